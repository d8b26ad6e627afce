package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bot"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/process"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
)

func newBotCommand() *cobra.Command {
	var flags *settings
	command := &cobra.Command{
		Use:   "bot",
		Short: "Run the bot: sit in the channel and publish on NATS what happens there",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			component, err := newComponent(status.BotComponent, flags, command.ErrOrStderr())
			if err != nil {
				return err
			}
			return failed(component.runBot(command.Context()))
		},
	}
	flags = newSettings(command.Flags(), filepath.Join(config.ConfigDir, config.BotFile), config.Keys())
	return command
}

func (c *component) runBot(ctx context.Context) error {
	if c.config.Mode == config.ModeDirect {
		work, checks := c.newDirectBot()
		return c.run(ctx, work, checks...)
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	work, checks := c.newBot(conn, c.bind(conn))
	return c.run(ctx, work, checks...)
}

// newBot makes the bot and what it publishes with: its work, until the context ends, and its checks.
func (c *component) newBot(
	conn *bus.Conn, binding *bus.Binding,
) (work func(context.Context) error, checks []func() status.Check) {
	fallback := c.newFallback()
	pub := publisher.New(publisher.Options{
		Conn: conn, Subjects: c.subjects, Binding: binding, Log: c.log, Registerer: c.registry,
		Store: fallback.sink(),
	})
	rosey := bot.New(c.config, bot.Options{
		Publisher:  pub,
		Requester:  fallback.behind(bus.NewRequester(conn, c.subjects, pub.ServiceAbsent)),
		Optional:   fallback.behind(bus.NewRequester(conn, c.subjects, nil)),
		Conn:       conn,
		Subjects:   c.subjects,
		Log:        c.log,
		Instance:   os.Getenv(config.PodNameVariable),
		Elector:    c.newLock(conn),
		Registerer: c.registry,
	})
	c.leader = rosey.Leader
	c.see = func(ctx context.Context) *process.Channel { return c.channelOf(ctx, rosey) }
	work = func(ctx context.Context) error {
		ctx, lost := endWith(ctx, conn)
		// What the bot has to say on leaving is sent after ctx has ended.
		publishing, stop := context.WithCancel(context.WithoutCancel(ctx))
		var publishers sync.WaitGroup
		publishers.Go(func() { pub.Run(publishing) })
		endFallback := fallback.start(ctx)
		err := rosey.Run(ctx)
		stop()
		publishers.Wait()
		return errors.Join(lost(), err, endFallback())
	}
	return work, []func() status.Check{conn.Check, binding.Check, pub.Check, rosey.Check}
}

// endWith makes a context that ends with ctx, or when the connection to NATS has ended for good, after
// which only a new process helps. lost releases it and says whether the latter happened.
func endWith(ctx context.Context, conn *bus.Conn) (ended context.Context, lost func() error) {
	ended, end := context.WithCancel(ctx)
	watching := make(chan error, 1)
	go func() {
		select {
		case <-ended.Done():
			watching <- nil
		case <-conn.Closed():
			watching <- errors.New("the connection to NATS ended for good: " + conn.Check().Message)
			end()
		}
	}()
	return ended, func() error {
		end()
		return <-watching
	}
}
