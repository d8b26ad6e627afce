package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
)

// Announcer puts lines into the outbound queue at a steady rate. It repeats a request, with the same client ID, until
// it gets a reply.
type Announcer struct {
	url      string
	subjects bus.Subjects
	run      string

	mu       sync.Mutex
	accepted []string
}

// NewAnnouncer returns an announcer for a world. run makes its texts and client IDs unique among runs.
func NewAnnouncer(world World, run string) *Announcer {
	url, subjects := world.Bus()
	return &Announcer{url: url, subjects: subjects, run: run}
}

// Work runs until ctx ends. It drops a line that is not accepted by then: the service has not promised to say it.
func (q *Announcer) Work(ctx context.Context, pace time.Duration) error {
	conn, err := nats.Connect(q.url, nats.Name("announcer"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(200*time.Millisecond), nats.PingInterval(5*time.Second))
	if err != nil {
		return fmt.Errorf("connecting the announcer to NATS: %w", err)
	}
	defer conn.Close()
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for number := 1; ; number++ {
		text := fmt.Sprintf("announcement %d of %s", number, q.run)
		for !q.put(ctx, conn, text) {
			if !backoff.Sleep(ctx, 300*time.Millisecond) {
				return nil
			}
		}
		q.mu.Lock()
		q.accepted = append(q.accepted, text)
		q.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// put reports whether the service has confirmed that the line is in the queue.
func (q *Announcer) put(ctx context.Context, conn *nats.Conn, text string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	body, err := json.Marshal(bus.OutboundPutRequest{Message: text, ClientID: text})
	if err != nil {
		return false
	}
	response, err := conn.RequestWithContext(ctx, q.subjects.Subject(bus.OutboundPut), body)
	if err != nil {
		return false
	}
	var reply bus.OutboundPutReply
	return json.Unmarshal(response.Data, &reply) == nil && reply.Success
}

// Lines returns the accepted lines.
func (q *Announcer) Lines() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]string(nil), q.accepted...)
}
