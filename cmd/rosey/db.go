package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

func newDatabaseCommand() *cobra.Command {
	var configFile string
	command := &cobra.Command{
		Use:   "db",
		Short: "Run the database service: store what bots publish on NATS and answer what they ask",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			component, err := newComponent(config.DatabaseComponent, configFile, command.ErrOrStderr())
			if err != nil {
				return err
			}
			return failed(component.serveDatabase(command.Context()))
		},
	}
	command.PersistentFlags().StringVar(&configFile, "config",
		filepath.Join(config.ConfigDir, config.DatabaseFile), "configuration `file`")
	command.AddCommand(newShowCommand(&configFile))
	return command
}

func (c *component) serveDatabase(ctx context.Context) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	service := database.New(database.Options{
		Conn:     conn,
		Subjects: c.subjects,
		Channel:  c.channel(),
		Open: func(ctx context.Context) (store.Store, error) {
			return sqlite.Open(ctx, c.config.Database.SQLite.Path)
		},
		Log:        c.log,
		Registerer: c.registry,
	})
	return c.run(ctx, service.Run, service.StoreCheck, service.NATSCheck)
}

func (c *component) channel() store.Channel {
	return store.Channel{Server: c.config.Channel.Server, Name: c.config.Channel.Name}
}
