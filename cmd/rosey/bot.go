package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bot"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/speech"
	"rosey.dev/rosey/runtime/status"
)

// botCommand is the name of the command that runs a bot alone.
const botCommand = "bot"

func newBotCommand() *cobra.Command {
	var flags *configFlags
	command := &cobra.Command{
		Use:   botCommand,
		Short: "Run the bot: join the channel and publish on NATS what happens there",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			component, err := newComponent(status.BotComponent, flags, command.ErrOrStderr())
			if err != nil {
				return err
			}
			return exit.Failed(component.runBot(command.Context()))
		},
	}
	flags = newConfigFlags(command.Flags(), filepath.Join(config.ConfigDir, config.BotFile),
		keysExcept("name", "web", "plugin", "database.channelsFile", "database.provenanceFile", "database.takeOver"))
	return command
}

func (c *component) runBot(ctx context.Context) error {
	if c.config.Mode == config.ModeDirect {
		unlimitProcessors()
		return c.run(ctx, c.newDirectBot())
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	binding := c.newBinding(conn)
	work, err := c.newBot(conn, binding)
	if err != nil {
		return err
	}
	work.checks = append([]func() status.Check{conn.Check, binding.Check}, work.checks...)
	work.conn = conn
	return c.run(ctx, work)
}

// newBot returns a bot that uses a database service over NATS. Without a binding it uses no stream.
func (c *component) newBot(conn *bus.Conn, binding *bus.Binding) (workload, error) {
	lineWaits, err := bus.SubscribeWaiting(conn, c.subjects, c.config.Channel.Name)
	if err != nil {
		return workload{}, err
	}
	needed := []task{func(ctx context.Context) error { return watchConnection(ctx, conn) }}
	options := publisher.Options{
		Conn: conn, Subjects: c.subjects, Binding: binding, Log: c.log, Registerer: c.registry,
		Channel: bus.Origin{Server: c.config.Channel.Server, Channel: c.config.Channel.Name},
	}
	fallback := c.newFallback()
	if fallback != nil {
		options.Store = fallback
		needed = append(needed, fallback.RunOnDemand)
	}
	pub := publisher.New(options)
	service := bus.NewRequester(conn, c.subjects)
	var requester speech.Requester = service
	if fallback != nil {
		requester = database.Fallback{Service: service, Database: fallback, Log: c.log}
	}
	rosey := bot.New(c.config, bot.Options{
		Publisher:  pub,
		Requester:  requester,
		Conn:       conn,
		Subjects:   c.subjects,
		Waiting:    lineWaits,
		Log:        c.log,
		Instance:   podName(),
		Elector:    c.newElector(conn),
		Registerer: c.registry,
	})
	return c.newBotWorkload(rosey, pub, needed...), nil
}

// newDirectBot returns a bot that has its database in the same process, without NATS.
func (c *component) newDirectBot() workload {
	direct := database.NewDirect(database.DirectOptions{EngineOptions: c.engineOptions()})
	pub := publisher.New(publisher.Options{Store: direct, Log: c.log, Registerer: c.registry})
	rosey := bot.New(c.config, bot.Options{
		Publisher: pub, Requester: direct, Waiting: direct.Waiting(), Log: c.log, Instance: podName(),
		Registerer: c.registry,
	})
	work := c.newBotWorkload(rosey, pub, direct.Run)
	work.checks = append([]func() status.Check{direct.StoreCheck}, work.checks...)
	work.lastBackup = direct.LastBackup
	return work
}

// newBotWorkload returns the workload of a bot. The publisher and what it needs outlive the bot, since a bot publishes
// events while it leaves the channel.
func (c *component) newBotWorkload(rosey *bot.Bot, pub *publisher.Publisher, needed ...task) workload {
	needed = append(needed, func(ctx context.Context) error { pub.Run(ctx); return nil })
	return workload{
		run:     func(ctx context.Context) error { return runWith(ctx, rosey.Run, needed...) },
		checks:  []func() status.Check{pub.Check, rosey.Check, rosey.PluginsCheck},
		channel: rosey.Snapshot, leader: rosey.Leader, liveFiles: rosey.LiveFiles, plugins: rosey.Plugins,
	}
}

// newFallback returns the database that the bot opens itself while it cannot reach the service, or nil if it has to
// wait. The NATS server inside `rosey run` is always reachable.
func (c *component) newFallback() *database.Direct {
	if !c.config.Database.DirectFallback || c.name != status.BotComponent {
		return nil
	}
	return database.NewDirect(database.DirectOptions{
		EngineOptions:   c.engineOptions(),
		ReportsInStream: c.config.NATS.JetStream.Mode != config.JetStreamNever,
	})
}

// watchConnection fails when the connection to NATS is closed and will not reconnect. Then only a new process helps.
func watchConnection(ctx context.Context, conn *bus.Conn) error {
	select {
	case <-ctx.Done():
		return nil
	case <-conn.Closed():
		return errors.New("the connection to NATS is closed: " + conn.Check().Message)
	}
}

// newElector returns this bot's side of the leader election, or nil for a bot that can have no standby.
func (c *component) newElector(conn *bus.Conn) *leader.Elector {
	if !c.config.Standby && c.config.StandbyFile == "" || c.name != status.BotComponent {
		return nil
	}
	return leader.New(leader.Options{
		Conn: conn, Subjects: c.subjects, Log: c.log,
		Server: c.config.Channel.Server, Channel: c.config.Channel.Name,
		Pod: podName(), UID: os.Getenv(config.PodUIDVariable),
		Replicas: c.config.NATS.JetStream.Replicas,
		Manual:   c.config.NATS.JetStream.Provisioning == config.ProvisioningManual,
		Alone:    func() bool { return c.config.StandbyFile != "" && isFalse(c.config.StandbyFile) },
	})
}

// isFalse reports whether a file contains false. A file that cannot be read may once have contained something else: a
// bot that wrongly believes to be the only one would be in the channel beside the leader.
func isFalse(file string) bool {
	content, err := config.ReadBoundedFile(file, 64)
	return err == nil && strings.TrimSpace(string(content)) == strconv.FormatBool(false)
}

// podName returns the name of the pod, or of the host if this process runs outside a cluster.
func podName() string {
	if name := os.Getenv(config.PodNameVariable); name != "" {
		return name
	}
	host, err := os.Hostname()
	if err != nil {
		return "this host"
	}
	return host
}
