package bot

import (
	"testing"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// The path of a chat line must cost nothing while nobody traces.
func TestTracesOffAllocateNothing(t *testing.T) {
	s := &session{Bot: &Bot{}}
	received := cytube.ReceivedEvent{At: time.Now(), Event: cytube.ChatMessage{User: "alice"}}
	allocated := testing.AllocsPerRun(100, func() {
		_, span := s.startReceive(t.Context(), received)
		span.End()
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}
