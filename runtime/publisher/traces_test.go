package publisher

import (
	"testing"

	"rosey.dev/rosey/runtime/bus"
)

// The path of a chat line must cost nothing while nobody traces.
func TestTracesOffAllocateNothing(t *testing.T) {
	p, m := &Publisher{service: &service{}}, bus.Message{Suffix: bus.MessageLog, ID: "1", Data: []byte("{}")}
	allocated := testing.AllocsPerRun(100, func() {
		m.Span = p.startSend(t.Context(), m)
		noteFailure([]bus.Message{m}, bus.ErrNoReply)
		endDropped(m, droppedFull)
		endSend(m)
	})
	if allocated != 0 || m.Span != nil {
		t.Errorf("%v allocations, span %v", allocated, m.Span)
	}
}
