package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// prefix is the prefix of all subjects.
	prefix = "rosey"
	// people is the number of users who say the lines in turn.
	people = 30
)

// line is a line of chat. IDs are in the order of the lines, so the greatest ID in a table shows its writer's progress.
type line struct {
	id, user, text string
	at             time.Time
}

// newLines returns lines of the last minutes, one per millisecond.
func newLines(count int) []line {
	first := time.Now().Truncate(time.Millisecond).Add(-time.Duration(count) * time.Millisecond)
	lines := make([]line, 0, count)
	for i := range count {
		user := fmt.Sprintf("user%02d", i%people)
		text := fmt.Sprintf("line %d: has anybody seen this one <em>before</em>?", i)
		at := first.Add(time.Duration(i) * time.Millisecond)
		lines = append(lines, line{bus.ChatLineID(site, channelName, user, at, "", text, 0), user, text, at})
	}
	return lines
}

// reached returns the number of stored lines if id is the last of them.
func reached(lines []line, id string) int {
	if id == "" {
		return 0
	}
	front, _, _ := strings.Cut(id, "-")
	at, err := strconv.ParseInt(front, 16, 64)
	if err != nil {
		return 0
	}
	return int(at-lines[0].at.UnixMilli()) + 1
}

// messages returns the lines as a bot publishes them.
func messages(lines []line) ([]*nats.Msg, error) {
	all := make([]*nats.Msg, 0, len(lines))
	for _, l := range lines {
		data, err := bus.Encode(bus.MessagePayload{
			Username: l.user, Message: l.text,
			Origin: bus.Origin{Server: site, Channel: channelName, Timestamp: bus.Seconds{Time: l.at}},
		})
		if err != nil {
			return nil, err
		}
		all = append(all, &nats.Msg{
			Subject: prefix + "." + string(bus.MessageLog), Data: data,
			Header: nats.Header{bus.MsgIDHeader: {bus.MsgID(l.id, bus.MessageLog)}},
		})
	}
	return all, nil
}

// publishCore publishes with core NATS. A request after every each lines is answered when they are stored. At most
// ahead requests are outstanding, so that the service need not drop lines.
func publishCore(ctx context.Context, conn *nats.Conn, lines []*nats.Msg, each, ahead int) error {
	inbox := nats.NewInbox()
	answers, err := conn.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("subscribing to replies: %w", err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	open := 0
	for len(lines) > 0 || open > 0 {
		if open == ahead || len(lines) == 0 {
			if _, err := answers.NextMsgWithContext(ctx); err != nil {
				return fmt.Errorf("waiting for the service: %w", err)
			}
			open--
			continue
		}
		some := lines[:min(each, len(lines))]
		lines = lines[len(some):]
		for _, m := range some {
			if err := conn.PublishMsg(m); err != nil {
				return fmt.Errorf("publishing: %w", err)
			}
		}
		err := conn.PublishRequest(prefix+"."+string(bus.OutboundGet), inbox, []byte(`{"limit":0}`))
		if err != nil {
			return fmt.Errorf("requesting after lines: %w", err)
		}
		open++
	}
	return nil
}

// publishStream publishes into the stream and returns when it has acknowledged all lines.
func publishStream(ctx context.Context, conn *nats.Conn, lines []*nats.Msg) error {
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		return fmt.Errorf("finding JetStream: %w", err)
	}
	for _, m := range lines {
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(stepTimeout)); err != nil {
			return fmt.Errorf("publishing into the stream: %w", err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the stream: %w", ctx.Err())
	}
}
