package publisher_test

import (
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/publisher"
)

// A report that a bot could not make at once goes through the p. The service answers it, not a stream: taken
// for a stream's confirmation, that answer once held up every event behind it for as long as the bot lived.
func TestReportsDoNotHoldUpTheStream(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.JetStream(t))
	conn := connect(t, server.URL())
	p := runPublisher(t, publisher.Options{Conn: conn, Binding: bind(t, conn, mode(config.JetStreamAlways))})
	kept := func(messages uint64) func() bool {
		return func() bool {
			stream, err := jetStream(t, server).Stream(t.Context(), "rosey_events")
			return err == nil && stream.CachedInfo().State.Msgs == messages
		}
	}
	p.Publish(bus.OutboundSent, "1", bus.OutboundSentPayload{MessageID: new(int64(7))})
	joined(p, "alice")
	natstest.Eventually(t, "the event in the stream, though nobody takes the report", kept(1))

	var reports atomic.Int64
	service := &service{}
	service.subscribe(t, server.Client(), "rosey.db.messages.outbound.get", func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{bus.IDsHeader: {"1"}}, Data: []byte("[]")})
	})
	service.subscribe(t, server.Client(), "rosey.db.messages.outbound.mark_sent", func(m *nats.Msg) {
		reports.Add(1)
		_ = m.Respond([]byte(`{"success":true}`))
	})
	must(t, p.Flush(t.Context()))
	joined(p, "bob")
	must(t, p.Flush(t.Context()))
	natstest.Eventually(t, "the next event in the stream", kept(2))
	if reports.Load() != 1 {
		t.Errorf("%d reports, want one", reports.Load())
	}
}
