// Package bot sits in one CyTube channel, keeps its state, and tells the database service what happens there.
package bot

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
)

// Options are what a Bot works with. Publisher, Requester and Log are required.
type Options struct {
	// Publisher must be running until Run has returned.
	Publisher *bus.Publisher
	Requester *bus.Requester
	Log       *slog.Logger
	// Registerer gets the bot's metrics. Nil: none.
	Registerer prometheus.Registerer
	// Timings that are zero are the defaults.
	Timings Timings
}

// Bot is one bot in one channel.
type Bot struct {
	config    config.Config
	publisher *bus.Publisher
	requester *bus.Requester
	log       *slog.Logger
	metrics   *metrics
	check     *config.CheckKeeper
	timings   Timings
	started   time.Time
	ids       *bus.IDs
	// said holds the outbound lines that were said lately; see outbound. One session at a time has it.
	said map[lineKey]time.Time
	// closing are connections on their way out, which nothing waits for but the end of Run.
	closing sync.WaitGroup
}

// New makes a bot for a configuration that config.Load returned.
func New(configuration config.Config, o Options) *Bot {
	started := time.Now()
	return &Bot{
		config:    configuration,
		publisher: o.Publisher,
		requester: o.Requester,
		log:       o.Log,
		metrics:   newMetrics(o.Registerer),
		check:     config.NewCheckKeeper(config.ChannelCheck, "joining channel "+configuration.Channel.Name),
		timings:   o.Timings.withDefaults(),
		started:   started,
		ids:       bus.NewIDs(started),
		said:      map[lineKey]time.Time{},
	}
}

// Check is the state of the bot in its channel as config.ChannelCheck.
func (b *Bot) Check() config.Check { return b.check.Check() }

// Run keeps the bot in its channel until ctx ends. Then it leaves and sends what is still to be sent;
// an error says that not all of it could be. No trouble with the channel ends it: all can be mended
// from outside while it waits.
func (b *Bot) Run(ctx context.Context) error {
	defer b.closing.Wait()
	tries := newBackoff(b.timings)
	for ctx.Err() == nil {
		used, err := b.readPasswords()
		if err == nil {
			began := time.Now()
			err = b.session(ctx, used)
			tries.lasted(time.Since(began))
		}
		if ctx.Err() != nil {
			break
		}
		problem := asProblem(err)
		b.reportFailed(problem)
		b.wait(ctx, tries.delay(problem), problem.Reason, used)
	}
	b.reportStopping()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.timings.Drain)
	defer cancel()
	return b.publisher.Flush(drain)
}

// asProblem gives every error a reason. What has none of its own is a fault between us and the server.
func asProblem(err error) *cytube.Error {
	if problem, ok := errors.AsType[*cytube.Error](err); ok {
		return problem
	}
	return &cytube.Error{Reason: config.ReasonServerUnreachable, Message: err.Error()}
}
