package bot

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/speech"
	"rosey.dev/rosey/runtime/status"
)

// session is the time from joining the channel to the end of the connection. Only the goroutine of run uses its fields;
// other goroutines use the Bot, the connection and the speaker.
type session struct {
	*Bot
	conn     *cytube.Conn
	room     *room.Room
	speaker  *speech.Speaker
	commands *command.Handler
	lineIDs  *bus.ChatLineIDs
	// receiveOptions are those of the spans of events.
	receiveOptions []trace.SpanStartOption
	// joined is false while the server sends the state of the channel and repeats the last lines of chat.
	joined bool
	// malformedAt is when a malformed frame was last logged.
	malformedAt time.Time
}

// runSession joins the channel and stays in it until ctx or the connection ends. The error says why it ended.
func (b *Bot) runSession(ctx context.Context, used passwords) error {
	conn, err := b.dial(ctx, used)
	if err != nil {
		return err
	}
	// Leaving waits for the server. In the background it does not delay the next attempt.
	defer b.closing.Go(func() {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer cancel()
		conn.Leave(leaving)
	})
	s := newSession(b, conn)
	leavePlugins := s.enterPlugins(ctx)
	defer s.leave(ctx)
	defer leavePlugins()
	err = s.run(ctx)
	if s.joined && ctx.Err() == nil {
		b.metrics.sessionsLost.WithLabelValues(string(asProblem(err).Reason)).Inc()
	}
	return err
}

func newSession(b *Bot, conn *cytube.Conn) *session {
	channel, speaker := room.New(), b.newSpeaker(conn)
	commands := command.New(command.Options{
		Registry: b.live.registry, Plugins: b.live.caller(),
		Room: channel, Conn: conn, Speaker: speaker, Requester: b.requester,
		Publisher: b.publisher, EventID: b.ids.Next, Origin: b.channelOrigin(), Leading: b.leads,
		Status:  func() (channel, database string) { return b.Check().Message, b.publisher.Check().Message },
		Started: b.started, Log: b.log,
		Count: func(source, name, outcome string) { b.metrics.commands.WithLabelValues(source, name, outcome).Inc() },
	})
	return &session{
		Bot: b, conn: conn, room: channel, speaker: speaker, commands: commands,
		lineIDs: bus.NewChatLineIDs(b.channelOrigin()), receiveOptions: b.receiveOptions(),
	}
}

func (b *Bot) newSpeaker(conn speech.Conn) *speech.Speaker {
	return speech.New(speech.Options{
		Conn: conn, Tracker: b.tracker, Requester: b.requester, Publisher: b.publisher, EventID: b.ids.Next,
		Origin: b.channelOrigin(), Claimant: b.instance, Leading: b.leads, Log: b.log,
		Count:   func(outcome speech.Outcome) { b.metrics.outbound.WithLabelValues(string(outcome)).Inc() },
		Waiting: b.waiting, Poll: b.timings.Outbound, RefusalDelay: b.timings.RefusalDelay,
	})
}

// dialTimeout bounds connecting, joining and logging in together.
const dialTimeout = 30 * time.Second

func (b *Bot) dial(ctx context.Context, used passwords) (*cytube.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	options := cytube.Options{
		Server:          b.config.Channel.Server,
		Channel:         b.config.Channel.Name,
		ChannelPassword: used.channel,
		Password:        used.account,
		Frame:           func(kind string) { b.metrics.frames.WithLabelValues(kind).Inc() },
		MayLogin:        b.leads,
		DialContext:     b.dialContext,
		Found:           &b.found,
	}
	if b.config.Account != nil {
		options.Username = b.config.Account.Username
	}
	return cytube.Dial(ctx, options)
}

// run handles events, timers and calls of others, one at a time. Nothing that it calls waits for the network:
// the server disconnects a client that does not read.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	events := make(chan incoming)
	workers.Go(func() { receive(ctx, s.conn, events) })
	workers.Go(func() { s.speaker.Run(ctx) })
	workers.Go(func() { s.commands.Run(ctx) })
	updates := time.NewTicker(s.timings.Status)
	defer updates.Stop()
	counts := time.NewTimer(s.counts.next(time.Now()))
	defer counts.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("leaving the channel: %w", context.Cause(ctx))
		case next := <-events:
			if next.err != nil {
				return next.err
			}
			s.handle(ctx, next.ReceivedEvent)
		case <-updates.C:
			now := time.Now()
			s.publishStatus(ctx, true, now)
			s.sampleUsers(ctx, now)
		case <-counts.C:
			now := time.Now()
			s.sampleUsers(ctx, now)
			counts.Reset(s.counts.next(now))
		case call := <-s.sessionCalls:
			call(s)
		}
	}
}

// sessionCallTimeout is far more than the handling of one event takes.
const sessionCallTimeout = time.Second

// inSession has the session's goroutine call f between two events. It reports whether it did: not while the bot is not
// in the channel.
func (b *Bot) inSession(ctx context.Context, f func(*session)) bool {
	if b.check.Check().Reason != status.ReasonJoined {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, sessionCallTimeout)
	defer cancel()
	called := make(chan struct{})
	select {
	case b.sessionCalls <- func(s *session) { f(s); close(called) }:
		<-called
		return true
	case <-ctx.Done():
		return false
	}
}

// Snapshot returns the state of the channel, and nil while the bot is not in it.
func (b *Bot) Snapshot(ctx context.Context) *room.Snapshot {
	var snapshot room.Snapshot
	if !b.inSession(ctx, func(s *session) { snapshot = s.room.Snapshot(time.Now()) }) {
		return nil
	}
	snapshot.Server, snapshot.Name = b.config.Channel.Server, b.config.Channel.Name
	return &snapshot
}

// incoming is the next event, or the error that ended the connection.
type incoming struct {
	cytube.ReceivedEvent
	err error
}

// receive sends events to the channel until the first error, which it sends too, or until ctx ends.
func receive(ctx context.Context, conn *cytube.Conn, events chan<- incoming) {
	for {
		next, err := conn.Next(ctx)
		select {
		case events <- incoming{next, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// leave publishes that everybody left whom the bot no longer sees, and that the bot is not in the channel. A bot that
// lost the leadership publishes nothing: the new leader may be in the channel already and have published who is there,
// and the database takes the last event about a user for the truth.
func (s *session) leave(ctx context.Context) {
	s.commands.Close()
	now := time.Now()
	if s.joined {
		s.lastInChannel = now
	}
	defer s.metrics.resetChannel()
	if !s.leads() {
		return
	}
	for _, user := range s.room.Disconnect().Left {
		s.publishLeft(ctx, user.Name, now)
	}
	s.publishStatus(ctx, false, now)
}
