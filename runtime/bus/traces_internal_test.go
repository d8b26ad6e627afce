package bus

import (
	"testing"

	"github.com/nats-io/nats.go"
)

// A request must cost nothing while nobody traces.
func TestTracesOffAllocateNothing(t *testing.T) {
	m := &nats.Msg{Subject: "rosey.db.kv.get", Data: []byte("{}")}
	allocated := testing.AllocsPerRun(100, func() {
		_, span := startRequest(t.Context(), KVGet, m)
		endRequest(span, ErrNoReply)
	})
	if allocated != 0 || m.Header != nil {
		t.Errorf("%v allocations, headers %v", allocated, m.Header)
	}
}
