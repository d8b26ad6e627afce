package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// tailBuffer is how many messages may wait for a slow terminal before nats.go drops further ones.
const tailBuffer = 4096

// tailSubjects are all subjects that bots and services send on, below the prefix.
var tailSubjects = []bus.Suffix{"db.>", "events.>", bus.AllChannels, bus.StatusGet, bus.AllPlugins}

// Tail calls show for each message that the filter matches, in the order of arrival, until ctx ends or show fails. It
// calls subscribed once: show is called for every matching message that is sent after that.
func (c *Client) Tail(ctx context.Context, filter Filter, subscribed func(), show func(Message) error) error {
	messages := make(chan *nats.Msg, tailBuffer)
	for _, suffix := range tailSubjects {
		subscription, err := c.conn.NATS().ChanSubscribe(c.subjects.Subject(suffix), messages)
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", c.subjects.Subject(suffix), err)
		}
		defer func() { _ = subscription.Unsubscribe() }() // it fails only if the connection is closed
	}
	if err := c.conn.NATS().FlushTimeout(bus.RequestTimeout); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	subscribed()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.conn.Closed():
			return errors.New(c.conn.Check().Message)
		case received := <-messages:
			suffix, ok := c.subjects.Suffix(received.Subject)
			if !ok {
				continue
			}
			message := newMessage(suffix, received, time.Now())
			if !message.isFrom(c.origin.Channel) || !filter.matches(message) {
				continue
			}
			if err := show(message); err != nil {
				return err
			}
		}
	}
}

// Filter selects messages: those that match one of its subjects, and have all of its fields. Without subjects it
// matches all subjects but requests, which bots send all the time. The zero value is a filter without subjects and
// fields.
type Filter struct {
	subjects [][]string // patterns, split into tokens
	fields   []fieldValue
}

type fieldValue struct{ name, value string }

// ParseFilter returns a filter of subjects without the prefix, such as "db.user.*" or "events.>", and of fields of the
// payload, such as "username=alice". The case of a value does not matter.
func ParseFilter(texts []string) (Filter, error) {
	var f Filter
	for _, text := range texts {
		if name, value, isField := strings.Cut(text, "="); isField {
			f.fields = append(f.fields, fieldValue{name, value})
			continue
		}
		tokens := strings.Split(text, ".")
		for i, token := range tokens {
			if token == "" || strings.ContainsAny(token, " \t") || (token == ">" && i < len(tokens)-1) {
				return Filter{}, fmt.Errorf(
					"%q, expected a subject without prefix such as db.user.* or events.>, or a field such as username=alice", text)
			}
		}
		f.subjects = append(f.subjects, tokens)
	}
	return f, nil
}

func (f Filter) matches(m Message) bool {
	subjectMatches := func(pattern []string) bool { return matchesSubject(pattern, m.Subject) }
	if len(f.subjects) == 0 && m.Request || len(f.subjects) > 0 && !slices.ContainsFunc(f.subjects, subjectMatches) {
		return false
	}
	return !slices.ContainsFunc(f.fields, func(wanted fieldValue) bool {
		value, ok := m.field(wanted.name)
		return !ok || !strings.EqualFold(fmt.Sprint(value), wanted.value)
	})
}

// matchesSubject reports whether a subject matches a pattern with the wildcards of NATS.
func matchesSubject(pattern []string, subject bus.Suffix) bool {
	tokens := strings.Split(string(subject), ".")
	for i, token := range pattern {
		switch {
		case token == ">":
			return len(tokens) > i
		case i >= len(tokens), token != "*" && token != tokens[i]:
			return false
		}
	}
	return len(pattern) == len(tokens)
}
