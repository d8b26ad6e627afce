// Package cli is what the commands of a person at the keyboard do over NATS: ask a bot's database
// service, give the bot a line to say, and watch the bus.
package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

const (
	// patience is how long a person waits for a connection. It spans the second attempt, which is the first
	// that knows why it failed.
	patience = 3 * time.Second
	// glance is how often the connection is looked at meanwhile.
	glance = 20 * time.Millisecond
)

// Client is a connection to a bot's bus.
type Client struct {
	conn     *bus.Conn
	requests *bus.Requester
	subjects bus.Subjects
	prefix   string
	origin   bus.Origin
}

// Connect connects to NATS. Unlike a bot it does not wait for a server that is away: the error says in a
// line why there is no connection. A channel in the configuration is what all that is asked is about.
func Connect(ctx context.Context, configuration config.Config, log *slog.Logger) (*Client, error) {
	subjects, err := bus.NewSubjects(configuration.NATS.SubjectPrefix)
	if err != nil {
		return nil, err
	}
	quiet := &gate{Handler: log.Handler()}
	conn, err := bus.Connect(ctx, bus.Options{
		URL: configuration.NATS.URL, Name: "rosey cli", Log: slog.New(quiet),
		CredentialsDir: configuration.NATS.CredentialsDir, TLSDir: configuration.NATS.TLSDir,
	})
	if err != nil {
		return nil, err
	}
	if err := await(ctx, conn); err != nil {
		conn.Close()
		return nil, err
	}
	quiet.open.Store(true)
	return &Client{
		conn: conn, subjects: subjects, requests: bus.NewRequester(conn, subjects, nil),
		prefix: configuration.NATS.SubjectPrefix,
		origin: bus.Origin{Server: configuration.Channel.Server, Channel: configuration.Channel.Name},
	}, nil
}

func await(ctx context.Context, conn *bus.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(glance)
	defer look.Stop()
	for !conn.Connected() {
		check := conn.Check()
		if check.Reason != status.ReasonStarting {
			return errors.New(strings.TrimSuffix(check.Message, "; trying again"))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", check.Message, ctx.Err())
		case <-look.C:
		}
	}
	return nil
}

// Close ends the connection.
func (c *Client) Close() { c.conn.Close() }

// Say has the bot say a line, as soon as it can, and returns the line's id.
func (c *Client) Say(ctx context.Context, text string) (id int64, err error) {
	var reply bus.OutboundPutReply
	// With an id of its own, a request that nats.go or somebody on the way repeats is one line still.
	request := bus.OutboundPutRequest{Message: text, ClientID: rand.Text(), Origin: c.origin}
	if err := c.ask(ctx, bus.OutboundPut, request, &reply); err != nil {
		return 0, err
	}
	if !reply.Success {
		return 0, fmt.Errorf("the database service does not take the line: %s", reply.Error)
	}
	return reply.ID, nil
}

// ChannelStats asks for the channel's records and its top chatters.
func (c *Client) ChannelStats(ctx context.Context) (bus.ChannelStatsReply, error) {
	var reply bus.ChannelStatsReply
	if err := c.ask(ctx, bus.QueryChannelStats, bus.ChannelStatsRequest{Origin: c.origin}, &reply); err != nil {
		return bus.ChannelStatsReply{}, err
	}
	if !reply.Success {
		return bus.ChannelStatsReply{}, fmt.Errorf("the database service cannot tell: %s", reply.Error)
	}
	return reply, nil
}

// UserStats asks what is known of a user. An unknown one is no error: the reply's Found is false.
func (c *Client) UserStats(ctx context.Context, name string) (bus.UserStatsReply, error) {
	var reply bus.UserStatsReply
	if err := c.ask(ctx, bus.QueryUserStats, bus.UserStatsRequest{Username: name, Origin: c.origin}, &reply); err != nil {
		return bus.UserStatsReply{}, err
	}
	if !reply.Success {
		return bus.UserStatsReply{}, fmt.Errorf("the database service cannot tell: %s", reply.Error)
	}
	return reply, nil
}

func (c *Client) ask(ctx context.Context, suffix bus.Suffix, request, reply any) error {
	err := c.requests.Request(ctx, suffix, request, reply)
	switch subject := c.subjects.Subject(suffix); {
	case errors.Is(err, bus.ErrNoService):
		return fmt.Errorf("%w on %s: is the bot's database service running, with the prefix %q?",
			bus.ErrNoService, subject, c.prefix)
	case errors.Is(err, bus.ErrNoReply):
		return fmt.Errorf("%w: %s on %s", bus.ErrNoReply, bus.RequestTimeout, subject)
	}
	return err
}
