package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
)

// Three servers replicate the stream. One that stops under load loses nothing; without a majority events wait, and
// neither side falls back to core NATS.
func TestStreamOfThreeServersSurvivesOne(t *testing.T) {
	t.Parallel()
	cluster := natstest.StartCluster(t, 3)
	r := newRigOn(t, cluster[0])
	r.url = cluster.URL()
	client, err := nats.Connect(r.url, nats.ReconnectWait(20*time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	r.client = client
	three := func(j *config.JetStream) { j.Replicas = 3 }
	var binding *bus.Binding
	pub := r.botWith(func(o *publisher.Options) {
		binding = bind(t, o.Conn, three)
		o.Binding = binding
	})
	s := r.startWithStream(func(o *database.ServiceOptions) { o.Binding = bind(t, o.Conn, three) })

	start := time.UnixMilli(1763700000000)
	texts := numberedTexts(3000)
	publish := func(from, to int) {
		for i := from; i < to; i++ {
			r.publishLine(pub, texts[i], start.Add(time.Duration(i)*time.Millisecond))
		}
	}
	flush := func() {
		t.Helper()
		flushing, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := pub.Flush(flushing); err != nil {
			t.Fatal(err)
		}
	}
	publish(0, 500)
	flush()
	leader := cluster.LeaderOf("rosey_events")
	if leader == nil {
		t.Fatal("nobody leads the stream")
	}
	publish(500, 1000)
	leader.Stop() // the hardest of the three, and under load
	publish(1000, 2000)
	flush()

	second := cluster.LeaderOf("rosey_events")
	second.Stop()
	publish(2000, 2500)
	natstest.Within(t, time.Minute, "the stream to be unavailable", func() bool {
		return binding.Check().Reason == status.ReasonStreamUnavailable
	})
	second.Restart()
	leader.Restart()
	publish(2500, 3000)
	flush()
	natstest.Within(t, time.Minute, "the service to be back", func() bool {
		return s.NATSCheck().OK && s.EventsCheck().OK && binding.Check().OK
	})
	r.waitUntilStreamStored()
	same(t, "lines", texts, r.texts())
}
