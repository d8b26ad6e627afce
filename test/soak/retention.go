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
}

func newOldLines(now time.Time) oldLines {
	return oldLines{next: now.Add(-config.DefaultChatRetention.Time() - time.Hour)}
}

const veteran = "veteran"

// users returns how many lines of whom were removed.
func (o *oldLines) users() map[string]int { return map[string]int{veteran: o.published} }

// retain publishes old lines, waits until each was stored once, and requests maintenance. The service makes its own, so
// it does not matter how many this one removes; in the end none may be left. A line that the stream delivers late, when
// newer ones were removed, is not stored and fails the run.
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
	err := e.until(ctx, "the old lines to be stored", func() error {
		var reply bus.UserStatsReply
		err := e.request(ctx, bus.QueryUserStats, bus.UserStatsRequest{Username: veteran}, &reply)
		if err == nil && reply.TotalChatLines != e.old.published {
			err = fmt.Errorf("%d old lines were stored of %d", reply.TotalChatLines, e.old.published)
		}
		return err
	})
	return errors.Join(err, e.maintain(ctx))
}

// maintain requests maintenance.
func (e *evening) maintain(ctx context.Context) error {
	var reply bus.MaintenanceReply
	err := e.request(ctx, bus.MaintenanceRun, struct{}{}, &reply)
	if err == nil && !reply.Success {
		err = errors.New(reply.Error)
	}
	return err
}

// request sends a request to the database service. Maintenance may last longer than other requests.
func (e *evening) request(ctx context.Context, suffix bus.Suffix, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	data, err := bus.Encode(in)
	if err != nil {
		return fmt.Errorf("requesting %s: %w", suffix, err)
	}
	message, err := e.conn.RequestWithContext(ctx, e.subjects.Subject(suffix), data)
	if err == nil {
		err = json.Unmarshal(message.Data, out)
	}
	if err != nil {
		return fmt.Errorf("requesting %s: %w", suffix, err)
	}
	return nil
}
