package chaos

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var someKinds = []Kind{KillLeader, PauseLeader, KillDatabase, RestartNATS, RestartCyTube}

func TestTheSeedReplaysTheFaults(t *testing.T) {
	first := Schedule(7, 10*time.Minute, someKinds)
	if diff := cmp.Diff(first, Schedule(7, 10*time.Minute, someKinds)); diff != "" {
		t.Errorf("the same seed: %s", diff)
	}
	short := Schedule(7, time.Minute, someKinds)
	if diff := cmp.Diff(first[:len(short)], short); diff != "" {
		t.Errorf("a shorter run has different faults: %s", diff)
	}
	if cmp.Equal(first, Schedule(8, 10*time.Minute, someKinds)) {
		t.Error("another seed gives the same faults")
	}
}

func TestEveryKindOccursBeforeAnyRepeats(t *testing.T) {
	faults := Schedule(3, 10*time.Minute, someKinds)
	for i := 0; i+len(someKinds) <= len(faults); i += len(someKinds) {
		seen := map[Kind]bool{}
		for _, fault := range faults[i : i+len(someKinds)] {
			seen[fault.Kind] = true
		}
		if len(seen) != len(someKinds) {
			t.Fatalf("faults %d to %d are of %d kinds, want %d", i, i+len(someKinds), len(seen), len(someKinds))
		}
	}
}

func TestFaultsFillTheDurationWithinTheirSpans(t *testing.T) {
	const duration = 30 * time.Minute
	var sum time.Duration
	for _, fault := range Schedule(1, duration, someKinds) {
		lasts := spans[fault.Kind]
		if fault.Lasts < lasts.least || fault.Lasts > lasts.most || fault.Quiet < quiet.least || fault.Quiet > quiet.most {
			t.Errorf("%+v: want a duration in %v and a quiet time in %v", fault, lasts, quiet)
		}
		if fault.Pick < 0 {
			t.Errorf("%+v: Pick is negative, so its remainder is not an index", fault)
		}
		sum += fault.Quiet + fault.Lasts
	}
	if sum < duration {
		t.Errorf("the faults fill %v of %v", sum, duration)
	}
	if got := Schedule(1, duration, nil); len(got) != 0 {
		t.Errorf("no kinds: %d faults", len(got))
	}
}
