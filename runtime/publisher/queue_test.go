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

func TestQueueRemovesWhatWasSentAlthoughItsFrontWasDropped(t *testing.T) {
	q := newQueue(3)
	for _, id := range []string{"a", "b", "c"} {
		if !q.push(bus.Message{ID: id}) {
			t.Errorf("%s: dropped something from a queue that was not full", id)
		}
	}
	batch, end := q.front(2)
	if ids(batch) != "ab" {
		t.Fatalf("front = %q", ids(batch))
	}
	// While a and b are on their way, the full queue loses a.
	if q.push(bus.Message{ID: "d"}) {
		t.Error("pushing to a full queue dropped nothing")
	}
	q.removeTo(end)
	if rest, _ := q.front(9); ids(rest) != "cd" {
		t.Errorf("left %q, want cd", ids(rest))
	}
	// A batch that was dropped altogether meanwhile must not take newer messages with it.
	for _, test := range []struct{ pushed, left string }{{"ef", "def"}, {"ghi", "ghi"}} {
		_, end = q.front(1)
		for _, id := range test.pushed {
			q.push(bus.Message{ID: string(id)})
		}
		q.removeTo(end)
		if rest, _ := q.front(9); ids(rest) != test.left {
			t.Errorf("left %q, want %q", ids(rest), test.left)
		}
	}
}
