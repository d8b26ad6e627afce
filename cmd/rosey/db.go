package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

func newDatabaseCommand() *cobra.Command {
	var flags *settings
	command := &cobra.Command{
		Use:   "db",
		Short: "Run the database service: store what bots publish on NATS and answer what they ask",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			component, err := newComponent(status.DatabaseComponent, flags, command.ErrOrStderr())
			if err != nil {
				return err
			}
			return failed(component.serveDatabase(command.Context()))
		},
	}
	flags = newSettings(command.PersistentFlags(), filepath.Join(config.ConfigDir, config.DatabaseFile),
		keysBut("account", "commands", "channel.passwordFile"))
	command.AddCommand(newShowCommand(flags), newBackupCommand(flags), newRestoreCommand(flags), newDeadCommand(flags),
		newMoveCommand())
	return command
}

func (c *component) serveDatabase(ctx context.Context) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	service := c.newService(conn, c.bind(conn))
	return c.run(ctx, service.Run, service.StoreCheck, service.NATSCheck, service.EventsCheck)
}

func (c *component) newService(conn *bus.Conn, binding *bus.Binding) *database.Service {
	return database.NewService(database.ServiceOptions{
		EngineOptions: c.engineOptions(), Conn: conn, Subjects: c.subjects, Binding: binding, Version: buildVersion(),
	})
}

func (c *component) engineOptions() database.EngineOptions {
	return database.EngineOptions{
		Channel:    c.channel(),
		Open:       c.openStore,
		Retention:  retention(c.config.Database.Retention),
		Log:        c.log,
		Registerer: c.registry,
	}
}

func (c *component) channel() store.Channel {
	return store.Channel{Server: c.config.Channel.Server, Name: c.config.Channel.Name}
}
