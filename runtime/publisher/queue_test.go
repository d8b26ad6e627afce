package publisher

import (
	"testing"

	"rosey.dev/rosey/runtime/bus"
)

func ids(messages []bus.Message) (all string) {
	for _, m := range messages {
		all += m.ID
	}
	return all
}

func TestQueueRemovesTheSentMessagesAfterItsFrontWasDropped(t *testing.T) {
	q := newQueue(3)
	for _, id := range []string{"a", "b", "c"} {
		if !q.push(bus.Message{ID: id}) {
			t.Errorf("%s: a queue with room dropped a message", id)
		}
	}
	batch, first := q.front(2)
	if ids(batch) != "ab" {
		t.Fatalf("front = %q", ids(batch))
	}
	// While a and b are being sent, the full queue drops a.
	if q.push(bus.Message{ID: "d"}) {
		t.Error("a full queue dropped nothing")
	}
	q.removeTo(first + 2)
	if rest, _ := q.front(9); ids(rest) != "cd" {
		t.Errorf("left %q, want cd", ids(rest))
	}
	// The removal of a batch that has been dropped meanwhile must not remove newer messages.
	for _, test := range []struct{ pushed, left string }{{"ef", "def"}, {"ghi", "ghi"}} {
		_, first = q.front(1)
		for _, id := range test.pushed {
			q.push(bus.Message{ID: string(id)})
		}
		q.removeTo(first + 1)
		if rest, _ := q.front(9); ids(rest) != test.left {
			t.Errorf("left %q, want %q", ids(rest), test.left)
		}
	}
}
