package speech

import (
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

func TestRepeatedLinesAreToldApart(t *testing.T) {
	tracker := NewTracker(0)
	sentAt := time.Now()
	l, _, _ := tracker.claim(bus.OutboundMessage{ID: 1, Timestamp: 1, Message: "hello"}, sentAt)
	l.markSent(l.message(), sentAt)
	if tracker.repeated("hello", sentAt.Add(-time.Hour)) != nil {
		t.Error("a line of an hour ago is taken for one that was just sent")
	}
	tracker.hear("hello", sentAt)
	if tracker.repeated("hello", sentAt) != nil {
		t.Error("a line that was heard before is taken for one that was not")
	}
	if tracker.repeated("hello", sentAt.Add(time.Millisecond)) != l || l.state != said {
		t.Error("the line is not found")
	}
	if tracker.appeared("hello", func(Message) bool { return true }) != nil {
		t.Error("one line confirms two")
	}
}

// TestASecondReplayIsNoLineOfOthers checks this for a line of this process that the server repeats on two joins.
func TestASecondReplayIsNoLineOfOthers(t *testing.T) {
	tracker := NewTracker(0)
	now := time.Now()
	l, _, _ := tracker.claim(bus.OutboundMessage{ID: 1, Timestamp: 1, Message: "hello"}, now)
	l.markSent(l.message(), now)
	l.on(disconnected)
	for range 2 {
		tracker.repeated("hello", now)
	}
	if len(tracker.saidByOthers) > 0 || l.state != said {
		t.Errorf("%s, said by others: %v", l.state, tracker.saidByOthers)
	}
}

// TestALineOnItsWayWhenTheConnectionEnded is tried again if the history shows that it was not said, and otherwise
// abandoned.
func TestALineOnItsWayWhenTheConnectionEnded(t *testing.T) {
	for _, test := range []struct {
		name   string
		replay replay
		safe   bool
	}{
		{"no history", replay{}, false},
		{"a history that goes back", replay{oldest: time.Now().Add(-time.Hour)}, true},
		{"a history that begins later", replay{oldest: time.Now().Add(time.Minute)}, false},
	} {
		tracker := NewTracker(0)
		now := time.Now()
		m := bus.OutboundMessage{ID: 1, Timestamp: 1, Message: "hello", LeaseSeconds: 60}
		l, due, safe := tracker.claim(m, now)
		if !due || !safe || l.state != claimed {
			t.Fatalf("%s: a new line is %s", test.name, l.state)
		}
		l.markSent(l.message(), now)
		l.on(disconnected)
		test.replay.joinedAt = now.Add(time.Second)
		tracker.joined(test.replay)
		if _, due, safe = tracker.claim(m, now.Add(2*time.Second)); !due || safe != test.safe {
			t.Errorf("%s: due %t, safe %t", test.name, due, safe)
		}
	}
}

// TestALineThatAnotherBotSaidMeanwhile was handed out to this bot, which lost the leadership before it said the line,
// and acquired it again after another bot had said it.
func TestALineThatAnotherBotSaidMeanwhile(t *testing.T) {
	tracker := NewTracker(0)
	now := time.Now()
	m := bus.OutboundMessage{ID: 1, Timestamp: 1, Message: "hello", LeaseSeconds: 60}
	l, _, _ := tracker.claim(m, now)
	l.on(released)
	tracker.repeated("hello", now.Add(2*time.Minute))
	tracker.joined(replay{joinedAt: now.Add(3 * time.Minute), oldest: now.Add(-time.Hour)})
	m.ClaimedSince = bus.Seconds{Time: now}
	if _, due, safe := tracker.claim(m, now.Add(4*time.Minute)); !due || !safe || l.state != said {
		t.Errorf("due %t, safe %t, %s", due, safe, l.state)
	}
}

func TestLinesAreForgotten(t *testing.T) {
	tracker := NewTracker(0)
	now := time.Now()
	tracker.claim(bus.OutboundMessage{ID: 1, Message: "old"}, now)
	tracker.claim(bus.OutboundMessage{ID: 2, Message: "new"}, now.Add(forgetAfter+time.Second))
	if len(tracker.lines) != 1 {
		t.Errorf("%d lines are remembered", len(tracker.lines))
	}
}
