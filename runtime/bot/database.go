package bot

import (
	"context"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// Publisher takes what the bot tells its database, over NATS or not: it is the Publisher that marks in the
// log which. publisher.Publisher is one.
type Publisher interface {
	// Publish takes a message and returns at once. eventID is the id of the event it tells of, and payload
	// one of the payloads of package bus, which the bot does not change afterwards.
	Publish(suffix bus.Suffix, eventID string, payload any)
	// Flush waits until everything that was published before the call is where it belongs.
	Flush(ctx context.Context) error
	// Check is status.ServiceCheck: whether the database takes what is published.
	Check() status.Check
}

// Requester asks the database. bus.Requester, database.Direct and database.Fallback are three.
type Requester interface {
	// Request asks with a request of package bus, and out is a pointer to its reply. Its errors are those
	// of bus.Requester.
	Request(ctx context.Context, suffix bus.Suffix, in, out any) error
}
