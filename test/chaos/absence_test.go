package chaos

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
)

func TestAbsencesAreTheirFaults(t *testing.T) {
	join := func(at int64) simulator.Entry {
		return simulator.Entry{Kind: simulator.KindJoin, User: "Rosey", Time: at}
	}
	leave := func(at int64) simulator.Entry {
		return simulator.Entry{Kind: simulator.KindLeave, User: "Rosey", Time: at}
	}
	seen := Seen{Bot: "Rosey", End: 100_000, Entries: []simulator.Entry{
		join(1_000),
		leave(10_000), join(14_000), // killed
		leave(24_500), join(24_500), // paused, and another came
		leave(50_000), join(50_700), // killed again
	}}
	got := Absences(seen, []Happened{
		{Fault: Fault{Kind: KillLeader}, Began: 10_000, Mended: 10_001, Well: 15_001},
		{Fault: Fault{Kind: PauseLeader}, Began: 20_000, Mended: 27_000, Well: 28_000},
		{Fault: Fault{Kind: PauseLeader}, Began: 30_000, Mended: 33_000, Well: 33_500},
		{Fault: Fault{Kind: KillLeader}, Began: 50_000, Mended: 50_000, Well: 51_000},
		{Fault: Fault{Kind: KillNATS}, Began: 60_000, Mended: 62_000, Well: 69_000},
	})
	want := []Absence{
		{Kind: PauseLeader, Count: 2, Longest: 4_500, Recovery: 1_000},
		{Kind: KillLeader, Count: 2, Longest: 4_000, Recovery: 5_000},
		{Kind: KillNATS, Count: 1, Recovery: 7_000},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A line of which nobody can know whether it was said is given up; more of them than bots were interrupted are lost.
func TestNoMoreLinesAreInDoubtThanBotsWereInterrupted(t *testing.T) {
	result := Result{Faults: []Happened{{Fault: Fault{Kind: KillLeader}}, {Fault: Fault{Kind: KillDatabase}}}}
	for lines, want := range map[int]bool{0: true, 1: true, 2: false} {
		result.Verdict.NeverSent = make([]string, lines)
		if got := result.Clean(); got != want {
			t.Errorf("%d lines in doubt: clean is %v", lines, got)
		}
	}
}
