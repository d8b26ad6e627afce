package bot

import (
	"context"
	"fmt"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/speech"
)

// session is one stay in the channel. Its state belongs to the goroutine that runs it.
type session struct {
	*Bot
	conn     *cytube.Conn
	channel  *channel
	speaker  *speech.Speaker
	commands *commands
	// joined is false while the server tells what happened before we came.
	joined bool
	// watching is since when it is known who is there. The zero time: it is not.
	watching time.Time
	expected []*expectation
}

// session joins the channel and stays until ctx or the stay ends; the error says why.
func (b *Bot) session(ctx context.Context, used passwords) error {
	conn, err := b.dial(ctx, used)
	if err != nil {
		return err
	}
	// A server that does not answer must not hold up the next try.
	defer b.closing.Go(func() {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.timings.Leave)
		defer cancel()
		conn.Leave(leaving)
	})
	s := newSession(b, conn)
	defer s.left()
	return s.run(ctx, conn)
}

func newSession(b *Bot, conn *cytube.Conn) *session {
	return &session{
		Bot: b, conn: conn, channel: newChannel(), speaker: b.newSpeaker(conn), commands: newCommands(b.config.Commands),
	}
}

func (b *Bot) newSpeaker(conn speech.Conn) *speech.Speaker {
	return speech.New(speech.Options{
		Conn: conn, Tracker: b.lines, Requester: b.requester, Publisher: b.publisher, EventID: b.ids.Next,
		Origin: b.here(), Claimant: b.instance, Leading: b.lead.leads, Log: b.log,
		Count: func(outcome speech.Outcome) { b.metrics.outbound.WithLabelValues(string(outcome)).Inc() },
		Poll:  b.timings.Outbound, Echo: b.timings.Echo, Settle: b.timings.Settle,
	})
}

func (b *Bot) dial(ctx context.Context, used passwords) (*cytube.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timings.Dial)
	defer cancel()
	return cytube.Dial(ctx, b.dialOptions(used))
}

func (b *Bot) dialOptions(used passwords) cytube.Options {
	options := cytube.Options{
		Server:          b.config.Channel.Server,
		Channel:         b.config.Channel.Name,
		ChannelPassword: used.channel,
		Password:        used.account,
		Frame:           func(kind string) { b.metrics.frames.WithLabelValues(kind).Inc() },
		MayLogin:        b.lead.leads,
	}
	if b.config.Account != nil {
		options.Username = b.config.Account.Username
	}
	return options
}

// run handles one thing after the other. Nothing in it waits for the database service or the channel:
// a bot that does not read is thrown out.
func (s *session) run(ctx context.Context, conn *cytube.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	arrivals := make(chan arrival)
	workers.Go(func() { receive(ctx, conn, arrivals) })
	workers.Go(func() { s.speaker.Run(ctx) })
	workers.Go(func() { s.workOff(ctx) })
	status := time.NewTicker(s.timings.Status)
	defer status.Stop()
	counts := time.NewTicker(s.timings.UserCount)
	defer counts.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("leaving the channel: %w", context.Cause(ctx))
		case arrived := <-arrivals:
			if arrived.err != nil {
				return arrived.err
			}
			s.handle(arrived.Arrival)
		case <-status.C:
			s.publishStatus(true)
		case <-counts.C:
			s.publishUserCount()
		case answer := <-s.looks:
			answer <- s.channel.view() // it has room for one
		}
	}
}

// arrival is the next event, or why there is none.
type arrival struct {
	cytube.Arrival
	err error
}

// receive hands over events until one cannot be had.
func receive(ctx context.Context, conn *cytube.Conn, arrivals chan<- arrival) {
	for {
		next, err := conn.Next(ctx)
		select {
		case arrivals <- arrival{next, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// left ends what the bot can no longer see: everybody's presence, and its own. Without the lock it says
// nothing: another bot may see them all and has told so already, and what is said later counts more.
func (s *session) left() {
	s.dropJobs()
	if s.joined {
		s.lead.sighted(time.Now())
	}
	defer s.metrics.left()
	if !s.lead.leads() {
		return
	}
	for _, user := range s.channel.users.sorted() {
		s.publishLeft(user.Name)
	}
	s.channel.users = userList{}
	s.channel.connected = nil
	s.channel.playing = playing{}
	s.publishStatus(false)
}
