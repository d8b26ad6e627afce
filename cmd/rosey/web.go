package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/process"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/web"
)

func newWebCommand() *cobra.Command {
	var flags *configFlags
	command := &cobra.Command{
		Use:   "web",
		Short: "Serve the pages for the people of the channel",
		Long: "Serve the pages for the people of the channel: what happens in it, what was said, who was there. It needs\n" +
			"the bot and the database service on the same NATS, and has no access to the channel or the database.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			component, err := newComponent(status.WebComponent, flags, command.ErrOrStderr())
			if err != nil {
				return err
			}
			return exit.Failed(component.runWeb(command.Context()))
		},
	}
	flags = newConfigFlags(command.Flags(), filepath.Join(config.ConfigDir, config.WebFile),
		keysExcept("name", "account", "mode", "standby", "standbyFile", "database", "commands", "commandsFile", "plugin",
			"plugins", "pluginsFile", "channel.passwordFile", "channel.maxMessageLength", "nats.jetStream.mode",
			"nats.jetStream.replicas", "nats.jetStream.maxAge", "nats.jetStream.maxBytes", "nats.jetStream.maxMessageBytes",
			"nats.jetStream.provisioning"))
	return command
}

func (c *component) runWeb(ctx context.Context) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	listener, err := process.Listen(ctx, c.config.Web.Listen)
	if err != nil {
		return err
	}
	pages := c.newPages(conn, c.config.Web.Listen, "")
	return c.run(ctx, workload{
		run: func(ctx context.Context) error {
			return runWith(ctx, func(ctx context.Context) error { return watchConnection(ctx, conn) }, pages.Run,
				func(ctx context.Context) error { return pages.Serve(ctx, listener) })
		},
		checks: append([]func() status.Check{conn.Check}, pages.Checks()...), readyWhileServing: true, conn: conn,
	})
}

// newPages returns the pages, which are served at an address. processPath is that of web.Options.
func (c *component) newPages(conn *bus.Conn, address, processPath string) *web.Server {
	return web.New(web.Options{
		Config: c.config.Web, Channel: c.config.Channel, Conn: conn, Subjects: c.subjects, Log: c.log, Registerer: c.registry,
		Version: buildVersion(), Loopback: status.IsLoopback(address), ProcessPath: processPath,
	})
}
