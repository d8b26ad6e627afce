package pluginclient

import (
	"fmt"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
)

func TestRequestsAreRemembered(t *testing.T) {
	t.Parallel()
	m := newMemory()
	begin := func(id string) (isNew bool, known *bus.PluginOutcome) { return m.begin(&request{kind: requestSay}, id) }
	end := func(id, outcome string) int { return len(m.end(requestSay, id, bus.PluginOutcome{Outcome: outcome})) }
	if isNew, known := begin("waits"); !isNew || known != nil {
		t.Error("the first one is not new")
	}
	if isNew, known := begin("waits"); isNew || known != nil {
		t.Error("one that repeats it is new")
	}
	if isNew, _ := m.begin(&request{kind: requestAct}, "waits"); !isNew {
		t.Error("one of another kind is not new")
	}
	// Refused ones must not push out what still waits, nor leave anything behind that pushes out the next one.
	for i := range 3 * maxRemembered {
		id := fmt.Sprint(i % 7)
		if isNew, _ := begin(id); !isNew {
			t.Fatalf("%s is not new after it was refused", id)
		}
		end(id, []string{bus.OutcomeThrottled, bus.OutcomeDenied, bus.OutcomeInvalid}[i%3])
	}
	begin("done")
	end("done", bus.OutcomeDone)
	for i := range maxRemembered - 1 {
		id := fmt.Sprint("other", i)
		begin(id)
		end(id, bus.OutcomeFailed)
	}
	if isNew, known := begin("done"); isNew || known == nil || known.Outcome != bus.OutcomeDone {
		t.Errorf("what was done would be done again: %v", known)
	}
	if waiting := end("waits", bus.OutcomeDone); waiting != 2 {
		t.Errorf("%d requests get the answer", waiting)
	}
	if len(m.done) != maxRemembered || len(m.byID) != maxRemembered+1 {
		t.Errorf("%d done, %d known", len(m.done), len(m.byID))
	}
}

// A call ends as a permit for acts soon after its answer, and as one for lines later.
func TestACallThatWasAnsweredLongAgoIsNoPermit(t *testing.T) {
	t.Parallel()
	p := newTestClient(t, "dice").find("dice")
	one := &call{id: "1", Call: command.Call{Command: bus.PluginCommand{TimeoutMS: 2000}}}
	p.calls["1"] = one
	for _, test := range []struct {
		ago     time.Duration
		isGiven bool
	}{{0, true}, {time.Second, true}, {3 * time.Second, false}} {
		if test.ago > 0 {
			one.over = time.Now().Add(-test.ago)
		}
		one.acted = 0
		if problem := p.countAct(one, false); (problem == nil) != test.isGiven {
			t.Errorf("%s ago: %+v", test.ago, problem)
		}
	}
	if found, _ := p.callOf("1"); found != one {
		t.Error("nothing may be said because of it any more")
	}
}

// A call that is dropped costs no cooldown, and is counted.
func TestACallWithoutASessionIsRefunded(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, "dice")
	refunded := 0
	for _, plugin := range []string{"dice", "removed"} {
		c.Call(command.Call{Plugin: plugin, Refund: func() { refunded++ }})
	}
	if refunded != 2 {
		t.Errorf("%d refunds", refunded)
	}
}
