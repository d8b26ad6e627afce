package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"rosey.dev/rosey/runtime/bot"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/process"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
)

// newDirectBot makes a bot with its database in the same process and without NATS: its work, until the
// context ends, and its checks.
func (c *component) newDirectBot() (work func(context.Context) error, checks []func() status.Check) {
	direct := database.NewDirect(database.DirectOptions{EngineOptions: c.engineOptions()})
	pub := publisher.New(publisher.Options{Store: direct, Log: c.log, Registerer: c.registry})
	rosey := bot.New(c.config, bot.Options{
		Publisher: pub, Requester: direct, Optional: direct, Log: c.log, Registerer: c.registry,
	})
	c.see = func(ctx context.Context) *process.Channel { return c.channelOf(ctx, rosey) }
	work = func(ctx context.Context) error {
		// What the bot has to say on leaving is stored after ctx has ended, and then the database closed.
		after := context.WithoutCancel(ctx)
		endStore := alongside(after, direct.Run)
		storing, stop := context.WithCancel(after)
		var publishers sync.WaitGroup
		publishers.Go(func() { pub.Run(storing) })
		err := rosey.Run(ctx)
		stop()
		publishers.Wait()
		return errors.Join(err, endStore())
	}
	// A database that does not open explains most.
	return work, []func() status.Check{direct.StoreCheck, pub.Check, rosey.Check}
}

// runAllDirect is `rosey run` without NATS.
func (c *component) runAllDirect(ctx context.Context, out io.Writer) error {
	c.announce = func(address string) { c.writeBanner(out, address, "") }
	work, checks := c.newDirectBot()
	return c.run(ctx, work, checks...)
}

// alongside runs something until end is called, which waits for it.
func alongside(ctx context.Context, run func(context.Context) error) (end func() error) {
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- run(running) }()
	return func() error {
		stop()
		return <-ended
	}
}

// fallback is what a bot does where NATS is away. Nil: it waits.
type fallback struct {
	*component

	direct *database.Direct
}

func (c *component) newFallback() *fallback {
	if !c.config.Database.DirectFallback || c.name != status.BotComponent { // NATS inside `rosey run` is not away
		return nil
	}
	return &fallback{component: c, direct: database.NewDirect(database.DirectOptions{
		EngineOptions:   c.engineOptions(),
		ReportsInStream: c.config.NATS.JetStream.Mode != config.JetStreamNever,
	})}
}

func (f *fallback) sink() publisher.Storer {
	if f == nil {
		return nil
	}
	return f.direct
}

// behind asks the database where the service cannot be asked.
func (f *fallback) behind(service *bus.Requester) bot.Requester {
	if f == nil {
		return service
	}
	return database.Fallback{Service: service, Database: f.direct, Log: f.log}
}

// start lets the database be opened on demand until end is called, after its last use.
func (f *fallback) start(ctx context.Context) (end func() error) {
	if f == nil {
		return func() error { return nil }
	}
	return alongside(context.WithoutCancel(ctx), f.direct.RunOnDemand)
}
