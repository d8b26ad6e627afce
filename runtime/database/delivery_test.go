package database_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/publisher"
)

// bot returns a running publisher like the bot's.
func (r *rig) bot() *publisher.Publisher {
	r.t.Helper()
	return r.botWith(func(*publisher.Options) {})
}

func (r *rig) botWith(change func(*publisher.Options)) *publisher.Publisher {
	r.t.Helper()
	log := natstest.Log(r.t)
	conn, err := bus.Connect(r.t.Context(), bus.Options{URL: r.url, Log: log})
	if err != nil {
		r.t.Fatal(err)
	}
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		r.t.Fatal(err)
	}
	options := publisher.Options{Conn: conn, Subjects: subjects, Log: log}
	change(&options)
	pub := publisher.New(options)
	ctx, stop := context.WithCancel(context.WithoutCancel(r.t.Context()))
	var running sync.WaitGroup
	running.Go(func() { pub.Run(ctx) })
	r.t.Cleanup(func() { stop(); running.Wait(); conn.Close() })
	return pub
}

func (r *rig) publishLine(pub *publisher.Publisher, text string, at time.Time) {
	id := bus.ChatLineID(movies.Server, movies.Name, "alice", at, "chat", text, 0)
	pub.Publish(context.Background(), bus.MessageLog, id, bus.MessagePayload{
		Username: "alice", Message: text,
		Origin: bus.Origin{Server: movies.Server, Channel: movies.Name, Timestamp: bus.Seconds{Time: at}},
	})
}

// The service and the server stop and start while a bot publishes.
func TestPublisherStoresEachLineOnce(t *testing.T) {
	r := newRig(t)
	pub := r.bot()
	s := r.ready(r.start())
	start := time.UnixMilli(1763700000000)
	texts := numberedTexts(1200)
	for i, text := range texts {
		r.publishLine(pub, text, start.Add(time.Duration(i)*time.Millisecond))
		switch i {
		case 300:
			s.end() // and lines go on while it stops
		case 400:
			r.stop(s)
		case 600:
			s = r.ready(r.start())
		case 900:
			r.server.Restart()
		}
	}
	flushing, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := pub.Flush(flushing); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the service to be back", func() bool { return s.NATSCheck().OK })
	r.stop(s)
	same(t, "lines", texts, r.texts())
	if at := r.lines()[1199].At; !at.Equal(start.Add(1199 * time.Millisecond)) {
		t.Errorf("the last line has the time %v", at)
	}
}
