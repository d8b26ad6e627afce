// Package bot sits in one CyTube channel, keeps its state, and tells the database service what happens there.
package bot

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/speech"
	"rosey.dev/rosey/runtime/status"
)

// Options are what a Bot works with. Publisher, Requester, Optional and Log are required.
type Options struct {
	// Publisher must be running until Run has returned.
	Publisher Publisher
	Requester Requester
	// Optional sends requests that not every service answers: no reply does not mean that the service is absent.
	Optional Requester
	// Conn and Subjects are for the events that anyone may watch. Conn nil: none are published.
	Conn     *bus.Conn
	Subjects bus.Subjects
	Log      *slog.Logger
	// Instance names this bot among those that share a channel's outbound lines; a pod's name, so that a
	// restarted container gets its own lines back at once. Empty: the host's name.
	Instance string
	// Lock is what one of several bots has. Nil: this bot is the only one.
	Lock *leader.Elector
	// Registerer gets the bot's metrics. Nil: none.
	Registerer prometheus.Registerer
	// Timings that are zero are the defaults.
	Timings Timings
}

// Bot is one bot in one channel.
type Bot struct {
	config    config.Config
	publisher Publisher
	requester Requester
	optional  Requester
	log       *slog.Logger
	metrics   *metrics
	check     *status.Recorder
	timings   Timings
	started   time.Time
	ids       *bus.IDs
	instance  string
	// lines are the lines of the outbound queue, which outlive a session.
	lines *speech.Tracker
	feed  *feed
	lead  *leadership
	// looks are taken by the session's goroutine.
	looks chan chan<- View
	// closing are connections on their way out, which nothing waits for but the end of Run.
	closing sync.WaitGroup
}

// New makes a bot for a configuration that config.Sources.Load returned.
func New(configuration config.Config, o Options) *Bot {
	started := time.Now()
	lead := newLeadership(o.Lock)
	metrics := newMetrics(o.Registerer, lead)
	return &Bot{
		config:    configuration,
		publisher: o.Publisher,
		requester: o.Requester,
		optional:  o.Optional,
		log:       o.Log,
		metrics:   metrics,
		check:     status.NewRecorder(status.ChannelCheck, "joining channel "+configuration.Channel.Name),
		timings:   o.Timings.withDefaults(),
		started:   started,
		ids:       bus.NewIDs(started),
		instance:  instanceName(o.Instance),
		lines:     speech.NewTracker(),
		looks:     make(chan chan<- View),
		feed:      newFeed(o.Conn, o.Subjects, configuration.Channel.Name, metrics),
		lead:      lead,
	}
}

func instanceName(given string) string {
	if given != "" {
		return given
	}
	host, err := os.Hostname()
	if err != nil {
		return "rosey" // without a name of its own a bot shares its lines with all that have none
	}
	return host
}

// Check is the state of the bot in its channel as status.ChannelCheck.
func (b *Bot) Check() status.Check { return b.check.Check() }

// Run keeps the bot in its channel, with a lock while it has the lock, until ctx ends. Then it leaves and
// sends what is still to be sent; an error says that not all of it could be. No trouble with the channel ends
// it: all can be mended from outside while it waits.
func (b *Bot) Run(ctx context.Context) error {
	defer b.closing.Wait()
	defer b.startFeed(ctx)()
	tries := newJoinBackoff(b.timings)
	if b.lead.lock == nil {
		b.stay(ctx, tries)
	} else {
		b.takeTurns(ctx, tries)
	}
	b.reportStopping()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.timings.Drain)
	defer cancel()
	return b.publisher.Flush(drain)
}

// stay keeps the bot in its channel until ctx ends, or another bot should try.
func (b *Bot) stay(ctx context.Context, tries *joinBackoff) {
	b.lead.sighted(time.Now())
	for b.mayJoin(ctx, tries) {
		used, err := b.readPasswords()
		if err == nil {
			began := time.Now()
			err = b.session(ctx, used)
			tries.lasted(time.Since(began))
		}
		problem := asProblem(err)
		if ctx.Err() != nil || b.isReplaced(ctx, problem) {
			continue
		}
		b.reportFailed(problem)
		if b.anotherShouldTry(problem) {
			return
		}
		b.wait(ctx, tries.next(problem), problem.Reason, used)
		tries.waited(ctx)
	}
}

// startFeed publishes events until the function that it returns is called, which is after ctx has ended:
// what happens on leaving is told too.
func (b *Bot) startFeed(ctx context.Context) (stop func()) {
	feeding, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var worker sync.WaitGroup
	worker.Go(func() { b.feed.run(feeding) })
	return func() {
		cancel()
		worker.Wait()
	}
}

// asProblem gives every error a reason. What has none of its own is a fault between us and the server.
func asProblem(err error) *cytube.Error {
	if problem, ok := errors.AsType[*cytube.Error](err); ok {
		return problem
	}
	return &cytube.Error{Reason: status.ReasonServerUnreachable, Message: err.Error()}
}
