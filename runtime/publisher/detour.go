package publisher

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/status"
)

const (
	// detourPatience is how long messages wait for NATS before they go past it: a server that restarts
	// must not make every bot open a connection to the database.
	detourPatience = time.Second
	// detourAttempt bounds one try, after which NATS is looked at again.
	detourAttempt = 5 * time.Second
)

// detour is the way of a Publisher's messages past NATS, straight into the database, while nobody there
// takes them. Their ids make it harmless that some have been published before and are stored again.
type detour struct {
	storer  Storer
	log     *slog.Logger
	metrics metrics

	closed time.Time // since when NATS takes nothing; the publisher's goroutine alone knows it

	mu      sync.Mutex
	taken   bool
	since   time.Time // since when it is taken
	trouble string    // why it cannot be taken
}

// take stores the oldest of what waits and is false when it did not: then there is time for a pause.
// No detour is never taken.
func (d *detour) take(ctx context.Context, waiting *queue) bool {
	if d == nil {
		return false
	}
	if d.closed.IsZero() {
		d.closed = time.Now()
	}
	if time.Since(d.closed) < detourPatience {
		return false
	}
	attempt, cancel := context.WithTimeout(ctx, detourAttempt)
	defer cancel()
	stored, err := waiting.drain(attempt, d.storer)
	if err != nil {
		d.note(ctx, err)
		return false
	}
	if len(stored) == 0 {
		return false
	}
	d.note(ctx, nil)
	d.metrics.noteStored(d.log, stored)
	return true
}

// end says that NATS takes messages again.
func (d *detour) end() {
	if d == nil || d.closed.IsZero() {
		return
	}
	d.closed = time.Time{}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.taken {
		d.log.Info("[NATS] messages go over NATS again")
	}
	d.taken, d.trouble = false, ""
}

func (d *detour) note(ctx context.Context, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil && !d.taken:
		d.taken, d.since, d.trouble = true, time.Now(), ""
		d.log.Warn("[DB] nobody takes messages on NATS: the bot writes to the database itself")
	case err != nil && ctx.Err() == nil && d.trouble == "":
		d.taken, d.trouble = false, err.Error()
		d.log.Error("[DB] nobody takes messages on NATS, and the database takes none either", "error", err)
	}
}

// check is the service's check, unless the bot does without the service.
func (d *detour) check(service status.Check) status.Check {
	if d == nil || service.OK {
		return service
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.taken:
		service.OK, service.Reason, service.Since = true, status.ReasonDirect, d.since
		service.Message = "the bot writes to the database itself meanwhile"
	case d.trouble != "":
		service.Message += "; the bot cannot write to the database itself: " + d.trouble
	}
	return service
}
