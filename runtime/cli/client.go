package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

const (
	// connectTimeout is long enough for a second attempt: only then does the connection know why the first failed.
	connectTimeout = 3 * time.Second
	// pollInterval is the time between two checks of the connection during connectTimeout.
	pollInterval = 20 * time.Millisecond
	// maxReplyError bounds the error in a reply, which whoever answers may have chosen.
	maxReplyError = 300
)

// Client is a connection to the NATS server of a bot. Close it after use.
type Client struct {
	conn     *bus.Conn
	requests *bus.Requester
	subjects bus.Subjects
	prefix   string
	origin   bus.Origin
}

// Connect connects to the NATS server of a configuration. It does not wait for a server that is down: after a few
// seconds it returns an error that says why there is no connection. If the configuration names a channel, all requests
// are about that channel, and Tail leaves out the messages of others. role is that of the NATS user, who may have
// replies sent only to inboxes of its role.
func Connect(ctx context.Context, configuration config.Config, role bus.Role, log *slog.Logger) (*Client, error) {
	subjects, err := bus.NewSubjects(configuration.NATS.SubjectPrefix)
	if err != nil {
		return nil, err
	}
	conn, err := Dial(ctx, configuration.NATS, "rosey cli", subjects.InboxPrefix(role), log)
	if err != nil {
		return nil, err
	}
	return &Client{
		conn: conn, subjects: subjects, requests: bus.NewRequester(conn, subjects),
		prefix: configuration.NATS.SubjectPrefix,
		origin: bus.Origin{Server: configuration.Channel.Server, Channel: configuration.Channel.Name},
	}, nil
}

// Dial is Connect without a bot: it returns the connection alone, which has a name for the NATS server.
func Dial(
	ctx context.Context, nats config.NATS, name, inboxPrefix string, log *slog.Logger,
) (*bus.Conn, error) {
	handler := &switchedHandler{Handler: log.Handler()}
	conn, err := bus.Connect(ctx, bus.Options{
		URL: nats.URL, Name: name, InboxPrefix: inboxPrefix, Log: slog.New(handler),
		CredentialsDir: nats.CredentialsDir, TLSDir: nats.TLSDir,
	})
	if err != nil {
		return nil, err
	}
	if err := waitConnected(ctx, conn); err != nil {
		conn.Close()
		return nil, err
	}
	handler.enabled.Store(true)
	return conn, nil
}

func waitConnected(ctx context.Context, conn *bus.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	for !conn.Connected() {
		check := conn.Check()
		if check.Reason != status.ReasonStarting {
			return errors.New(strings.TrimSuffix(check.Message, "; trying again"))
		}
		if !backoff.Sleep(ctx, pollInterval) {
			return fmt.Errorf("%s: %w", check.Message, ctx.Err())
		}
	}
	return nil
}

// Close closes the connection.
func (c *Client) Close() { c.conn.Close() }

// Say enqueues a line for the bot to say and returns the line's ID. The database service holds the line until the bot
// has said it. A text that begins with "/" is a command, for which NATS needs a permission of its own
// (bus.OutboundPutCommand).
func (c *Client) Say(ctx context.Context, text string) (id int64, err error) {
	suffix := bus.OutboundPut
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "/") {
		suffix, text = bus.OutboundPutCommand, trimmed
	}
	var reply bus.OutboundPutReply
	err = c.request(ctx, suffix, bus.OutboundPutRequest{Message: text, Origin: c.origin}, &reply)
	if errors.Is(err, bus.ErrNoReply) {
		return 0, fmt.Errorf("%w; the line may be queued all the same", err)
	}
	if err != nil {
		return 0, err
	}
	if !reply.Success {
		return 0, fmt.Errorf("the database service rejects the line: %s", status.OneLine(reply.Error, maxReplyError))
	}
	return reply.ID, nil
}

// ChannelStats returns the records of the channel and its top chatters.
func (c *Client) ChannelStats(ctx context.Context) (reply bus.ChannelStatsReply, err error) {
	err = c.request(ctx, bus.QueryChannelStats, bus.ChannelStatsRequest{Origin: c.origin}, &reply)
	if err == nil && !reply.Success {
		err = fmt.Errorf("the database service cannot answer: %s", status.OneLine(reply.Error, maxReplyError))
	}
	return reply, err
}

// UserStats returns the statistics of one user. A user who has never been in the channel is no error: Found is false in
// the reply.
func (c *Client) UserStats(ctx context.Context, name string) (reply bus.UserStatsReply, err error) {
	err = c.request(ctx, bus.QueryUserStats, bus.UserStatsRequest{Username: name, Origin: c.origin}, &reply)
	if err == nil && !reply.Success {
		err = fmt.Errorf("the database service cannot answer: %s", status.OneLine(reply.Error, maxReplyError))
	}
	return reply, err
}

func (c *Client) request(ctx context.Context, suffix bus.Suffix, request, reply any) error {
	err := c.requests.Request(ctx, suffix, request, reply)
	switch subject := c.subjects.Subject(suffix); {
	case errors.Is(err, bus.ErrNoService):
		return fmt.Errorf("%w on %s: is the bot's database service running, and is its subject prefix %q?",
			bus.ErrNoService, subject, c.prefix)
	case errors.Is(err, bus.ErrNoReply):
		if check := c.conn.Check(); check.Reason == status.ReasonNATSPermissionMissing {
			return errors.New(check.Message) // the server reports it on the connection, not as a reply
		}
		return fmt.Errorf("%w: %s on %s", bus.ErrNoReply, bus.RequestTimeout, subject)
	}
	return err
}

// switchedHandler drops the connection's log until there is a connection: until then, the error that Connect returns
// says the same.
type switchedHandler struct {
	slog.Handler
	enabled atomic.Bool
}

// Enabled implements slog.Handler.
func (h *switchedHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.enabled.Load() && h.Handler.Enabled(ctx, level)
}
