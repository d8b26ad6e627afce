package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
)

// oldPerRound is how many old lines are published before each maintenance.
const oldPerRound = 2000

// oldLines are lines that are older than the retention: the only ones that it removes during an evening.
type oldLines struct {
	next      time.Time // each is newer than the one before
	published int
	// removed is less than published if the stream delivers a line once more after newer ones were removed: the database
	// ignores it then.
	removed int
}

func newOldLines(now time.Time) oldLines {
	return oldLines{next: now.Add(-config.DefaultChatRetention.Time() - time.Hour)}
}

const veteran = "veteran"

// users returns how many lines of whom were removed.
func (o *oldLines) users() map[string]int { return map[string]int{veteran: o.removed} }

// retain publishes old lines, and requests maintenance until most of them are gone.
func (e *evening) retain(ctx context.Context) error {
	for range oldPerRound {
		e.old.next = e.old.next.Add(10 * time.Millisecond)
		data, err := bus.Encode(bus.MessagePayload{
			Username: veteran, Message: fmt.Sprintf("old line %d", e.old.published),
			Origin: bus.Origin{Timestamp: bus.Seconds{Time: e.old.next}},
		})
		if err == nil {
			err = e.conn.Publish(e.subjects.Subject(bus.MessageLog), data)
		}
		if err != nil {
			return fmt.Errorf("publishing an old line: %w", err)
		}
		e.old.published++
	}
	least := e.old.removed + oldPerRound/2
	return e.until(ctx, "the old lines to be removed", func() error {
		if err := e.maintain(ctx); err != nil {
			return err
		}
		if e.old.removed < least {
			return fmt.Errorf("%d old lines were removed of %d", e.old.removed, e.old.published)
		}
		return nil
	})
}

// maintain requests maintenance, and counts what it removes. A run may last longer than other requests.
func (e *evening) maintain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var reply bus.MaintenanceReply
	message, err := e.conn.RequestWithContext(ctx, e.subjects.Subject(bus.MaintenanceRun), []byte("{}"))
	if err == nil {
		err = json.Unmarshal(message.Data, &reply)
	}
	if err == nil && !reply.Success {
		err = errors.New(reply.Error)
	}
	if err != nil {
		return fmt.Errorf("requesting maintenance: %w", err)
	}
	e.old.removed += int(reply.Removed.Chat)
	return nil
}
