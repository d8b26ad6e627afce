package chaos

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
)

func TestAbsences(t *testing.T) {
	join := func(at int64) simulator.Entry {
		return simulator.Entry{Kind: simulator.KindJoin, User: "Rosey", Time: at}
	}
	leave := func(at int64) simulator.Entry {
		return simulator.Entry{Kind: simulator.KindLeave, User: "Rosey", Time: at}
	}
	seen := Seen{Bot: "Rosey", End: 100_000, Entries: []simulator.Entry{
		join(1_000),
		leave(10_000), join(14_000), // killed
		leave(24_500), join(24_500), // paused, and another bot joined
		leave(50_000), join(50_700), // killed again
	}}
	got := Absences(seen, []InjectedFault{
		{Fault: Fault{Kind: KillLeader}, Started: 10_000, Repaired: 10_001, Recovered: 15_001},
		{Fault: Fault{Kind: PauseLeader}, Started: 20_000, Repaired: 27_000, Recovered: 28_000},
		{Fault: Fault{Kind: PauseLeader}, Started: 30_000, Repaired: 33_000, Recovered: 33_500},
		{Fault: Fault{Kind: KillLeader}, Started: 50_000, Repaired: 50_000, Recovered: 51_000},
		{Fault: Fault{Kind: KillNATS}, Started: 60_000, Repaired: 62_000, Recovered: 69_000},
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

// Each fault that interrupts a bot may cost one outbound line; more missing lines are a mistake.
func TestUnsentLinesAreBoundedByInterruptions(t *testing.T) {
	result := Result{Faults: []InjectedFault{{Fault: Fault{Kind: KillLeader}}, {Fault: Fault{Kind: KillDatabase}}}}
	for lines, want := range map[int]bool{0: true, 1: true, 2: false} {
		result.Findings.NeverSent = make([]string, lines)
		if got := result.Clean(); got != want {
			t.Errorf("%d unsent lines: clean is %v", lines, got)
		}
	}
}
