package fuzz

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
)

const (
	// honestPace is the time between two honest requests.
	honestPace = 200 * time.Millisecond
	// answerLimit is how long an honest request may be repeated. A reply that makes no sense is repeated too: a hostile
	// client may have sent it.
	answerLimit = time.Minute
)

// honest sends requests beside the hostile client, as the command line and plugins do.
type honest struct {
	conn     *nats.Conn
	subjects bus.Subjects
	run      string // makes keys and lines unique among runs

	answered int
	slowest  time.Duration
	// failures are the requests without a valid reply.
	failures []string
}

// work sends requests until ctx ends.
func (c *honest) work(ctx context.Context) {
	for number := 1; backoff.Sleep(ctx, honestPace); number++ {
		c.ask(context.WithoutCancel(ctx), number)
	}
}

// ask sends one request of each kind in turn.
func (c *honest) ask(ctx context.Context, number int) {
	text := fmt.Sprintf("%s, number %d", c.run, number/4)
	key := []field{{"plugin_name", `"honest"`}, {"key", quote(fmt.Sprintf("key%d", number/4%100))}}
	switch number % 4 {
	case 0:
		c.repeat(ctx, bus.KVSet, append(key, field{"value", quote(text)}), func(data []byte) error {
			return check(data, func(reply bus.KVReply[bus.KVSetData]) bool { return reply.Success })
		})
	case 1: // what was set just before
		c.repeat(ctx, bus.KVGet, key, func(data []byte) error {
			return check(data, func(reply bus.KVReply[bus.KVGetData]) bool {
				return reply.Success && (number < 4 || reply.Data != nil && string(reply.Data.Value) == quote(text))
			})
		})
	case 2:
		line := []field{{"message", quote(text)}, {"client_id", quote(text)}}
		c.repeat(ctx, bus.OutboundPut, line, func(data []byte) error {
			return check(data, func(reply bus.OutboundPutReply) bool { return reply.Success || reply.Error != "" })
		})
	default:
		c.repeat(ctx, bus.QueryUserStats, []field{{"username", `"alice"`}}, func(data []byte) error {
			return check(data, func(reply bus.UserStatsReply) bool { return reply.Success && reply.Username != "" })
		})
	}
}

// repeat sends a request until a valid reply comes, or answerLimit has passed.
func (c *honest) repeat(ctx context.Context, suffix bus.Suffix, fields []field, valid func(data []byte) error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	for {
		err := c.once(ctx, suffix, fields, valid)
		if err == nil {
			c.answered++
			c.slowest = max(c.slowest, time.Since(began))
			return
		}
		if !backoff.Sleep(ctx, 100*time.Millisecond) {
			c.failures = append(c.failures, fmt.Sprintf("%s %s: %v", suffix, object(fields...), err))
			return
		}
	}
}

func (c *honest) once(ctx context.Context, suffix bus.Suffix, fields []field, valid func(data []byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, bus.RequestTimeout)
	defer cancel()
	reply, err := c.conn.RequestWithContext(ctx, c.subjects.Subject(suffix), []byte(object(fields...)))
	if err != nil {
		return fmt.Errorf("requesting: %w", err)
	}
	return valid(reply.Data)
}

// check decodes a reply and reports whether it is as expected.
func check[T any](data []byte, expected func(T) bool) error {
	var reply T
	if err := json.Unmarshal(data, &reply); err != nil {
		return fmt.Errorf("decoding the reply: %w", err)
	}
	if !expected(reply) {
		return fmt.Errorf("unexpected reply %.300q", data)
	}
	return nil
}
