package speech

import (
	"testing"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
)

// TestEveryTransition checks what can happen to a line in each state, by the methods that the Speaker calls.
func TestEveryTransition(t *testing.T) {
	now := time.Now()
	on := func(i input) func(*line) { return func(l *line) { l.on(i) } }
	fail := func(o Outcome) func(*line) { return func(l *line) { l.markFailed(o, now) } }
	failFourth := func(l *line) { l.retryCount = backoff.OutboundAttempts - 1; l.markFailed(Unanswered, now) }
	refuseFourth := func(l *line) { l.retryCount = backoff.OutboundAttempts - 1; l.markFailed(Filtered, now) }
	appearFirst := func(l *line) { l.markAppeared(l.message(), "") }
	appearLast := func(l *line) { l.rest = "two"; l.markAppeared(l.message(), "") }
	tests := []struct {
		from state
		on   input
		do   func(*line)
		to   state
	}{
		{queued, handedOut, on(handedOut), claimed},
		{queued, appeared, appearFirst, queued},
		{queued, completed, appearLast, said},
		{claimed, sent, func(l *line) { l.markSent(l.message(), now) }, sending},
		{claimed, released, on(released), queued},
		{claimed, appeared, appearFirst, claimed},
		{claimed, completed, appearLast, said},
		{claimed, permanentlyFailed, fail(Doubtful), abandoned},
		{sending, appeared, appearFirst, claimed},
		{sending, completed, appearLast, said},
		{sending, throttled, on(throttled), claimed},
		{sending, refused, fail(Filtered), failed},
		{sending, permanentlyFailed, fail(Muted), abandoned},
		{sending, timedOut, fail(Unanswered), unconfirmed},
		{sending, disconnected, on(disconnected), unconfirmed},
		{unconfirmed, handedOut, on(handedOut), claimed},
		{unconfirmed, appeared, appearFirst, queued},
		{unconfirmed, completed, appearLast, said},
		{unconfirmed, exhausted, func(l *line) { l.state = sending; failFourth(l) }, abandoned},
		{failed, handedOut, on(handedOut), claimed},
		{failed, exhausted, func(l *line) { l.state = sending; refuseFourth(l) }, abandoned},
		{abandoned, appeared, appearFirst, abandoned},
		{abandoned, completed, appearLast, said},
	}
	walked := map[state]map[input]bool{}
	for _, test := range tests {
		if walked[test.from] == nil {
			walked[test.from] = map[input]bool{}
		}
		walked[test.from][test.on] = true
		l := newLine(bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "one\ntwo"}, newMaxLength(0))
		l.state = test.from
		if test.do(l); l.state != test.to {
			t.Errorf("%s, %s: %s, want %s", test.from, test.on, l.state, test.to)
		}
		if listed := transitions[test.from][test.on]; listed != test.to {
			t.Errorf("%s, %s: the table has %q, want %q", test.from, test.on, listed, test.to)
		}
	}
	for from, inputs := range transitions {
		for i := range inputs {
			if !walked[from][i] {
				t.Errorf("%s, %s is not tested", from, i)
			}
		}
	}
	l := &line{state: said}
	if l.on(timedOut); l.state != said {
		t.Errorf("an input that is not listed led to %s", l.state)
	}
}

func TestOutcomesOfAttempts(t *testing.T) {
	for _, test := range []struct {
		text      string
		outcome   Outcome
		state     state
		permanent bool
	}{
		{"hello", Muted, abandoned, true},
		{"hello", Forbidden, abandoned, true},
		{"hello", Throttled, failed, false},
		{"hello", Filtered, failed, false},
		{"hello", Refused, failed, false},
		{"hello", Unanswered, unconfirmed, false},
		{"/say hello", Unanswered, abandoned, true},
	} {
		l := newLine(bus.OutboundMessage{ID: 1, Message: test.text}, newMaxLength(0))
		l.on(handedOut)
		l.markSent(l.message(), time.Now())
		if permanent := l.markFailed(test.outcome, time.Now()); permanent != test.permanent || l.state != test.state {
			t.Errorf("%s, %s: %s, permanent %t", test.text, test.outcome, l.state, permanent)
		}
	}
}

func TestAFailedLineIsTriedAgainAfterTheDelaysOfTheDatabase(t *testing.T) {
	now := time.Now()
	l := newLine(bus.OutboundMessage{ID: 1, Message: "hello"}, newMaxLength(0))
	for _, minutes := range []int{2, 4, 8} {
		l.on(handedOut)
		l.markSent(l.message(), now)
		l.markFailed(Filtered, now)
		due := now.Add(time.Duration(minutes) * time.Minute)
		if l.mayTry(0, due.Add(-time.Second)) || !l.mayTry(0, due) {
			t.Errorf("not due %d minutes after the failure", minutes)
		}
		if !l.mayTry(1, now) {
			t.Error("a service that has counted the failure does not decide when the line is due")
		}
		now = due
	}
	l.on(handedOut)
	l.markSent(l.message(), now)
	if l.markFailed(Filtered, now); l.state != abandoned || l.mayTry(0, now.Add(time.Hour)) {
		t.Errorf("%s after four failures", l.state)
	}
}
