package publisher

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
		if q.push(bus.Message{ID: id}) > 0 {
			t.Errorf("%s: a queue with room dropped a message", id)
		}
	}
	batch, first := q.front(2)
	if ids(batch) != "ab" {
		t.Fatalf("front = %q", ids(batch))
	}
	// While a and b are being sent, the full queue drops a.
	if q.push(bus.Message{ID: "d"}) != 1 {
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

func TestQueueIsBoundedInBytes(t *testing.T) {
	q := newQueue(1000)
	dropped := 0
	for range 100 {
		dropped += q.push(bus.Message{Data: make([]byte, 1<<20)})
	}
	if dropped != 100-maxQueueBytes>>20 || q.len() != maxQueueBytes>>20 {
		t.Errorf("%d messages of 1 MiB dropped, %d kept", dropped, q.len())
	}
	batch, first := q.front(q.len())
	q.removeTo(first + len(batch))
	if q.push(bus.Message{Data: make([]byte, 2*maxQueueBytes)}) != 0 || q.len() != 1 {
		t.Error("an empty queue took no message")
	}
	if q.push(bus.Message{ID: "small"}) != 1 || q.len() != 1 {
		t.Error("a message larger than the queue stayed")
	}
}

// Messages that are delivered a second time would be counted twice, with the time that the service was away.
func TestOnlyTheFirstDeliveryIsObserved(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	p := New(Options{Log: slog.New(slog.DiscardHandler), Store: nobody{}, Registerer: registry})
	for _, m := range []bus.Message{{ID: "first", Published: time.Now()}, {ID: "again"}} {
		if _, err := p.store.send(t.Context(), destination{}, []bus.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "rosey_bus_publish_seconds" && family.GetMetric()[0].GetHistogram().GetSampleCount() != 1 {
			t.Errorf("observed are %v", family)
		}
	}
}

// nobody stores nothing.
type nobody struct{}

func (nobody) Store(context.Context, []bus.Message) error { return nil }
