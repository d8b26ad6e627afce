package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/sqlite"
)

func newDatabaseCommand() *cobra.Command {
	var flags *configFlags
	command := &cobra.Command{
		Use:   "db",
		Short: "Run the database service: store what bots publish on NATS and answer their requests",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			component, err := newComponent(status.DatabaseComponent, flags, command.ErrOrStderr())
			if err != nil {
				return err
			}
			return exit.Failed(component.runService(command.Context()))
		},
	}
	flags = newConfigFlags(command.PersistentFlags(), filepath.Join(config.ConfigDir, config.DatabaseFile),
		keysExcept("account", "commands", "commandsFile", "plugin", "plugins", "pluginsFile", "web",
			"channel.passwordFile"))
	command.AddCommand(newShowCommand(flags), newBackupCommand(flags), newRestoreCommand(flags), newDeadCommand(flags),
		newMoveCommand(flags), newChannelCommand(flags))
	return command
}

func (c *component) runService(ctx context.Context) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	service := c.newService(conn, c.newBinding(conn), newServiceProcessors().handling)
	return c.run(ctx, workload{
		run: service.Run, checks: serviceChecks(service), served: servedChannels(service),
		streamWaiting: service.StreamWaiting, lastBackup: service.LastBackup, conn: conn,
	})
}

func serviceChecks(service *database.Service) []func() status.Check {
	return []func() status.Check{service.StoreCheck, service.NATSCheck, service.EventsCheck}
}

// servedChannels returns the function of a service for process.Server.Served.
func servedChannels(service *database.Service) func() (channels []string, refused map[string]string) {
	return func() ([]string, map[string]string) { return service.Channels(), service.RefusedChannels() }
}

// newService returns a service that calls handling, which may be nil, before each batch.
func (c *component) newService(conn *bus.Conn, binding *bus.Binding, handling func(int, bool)) *database.Service {
	options := c.engineOptions()
	options.Listed, options.Service = c.listedChannels(), c.serviceIdentity()
	var gracePeriod time.Duration
	if c.name == status.RunComponent {
		gracePeriod = runGracePeriod
	}
	return database.NewService(database.ServiceOptions{
		EngineOptions: options, Conn: conn, Subjects: c.subjects, Binding: binding, Version: buildVersion(),
		Provenance: c.databaseProvenance(), GracePeriod: gracePeriod, Handling: handling,
	})
}

// runGracePeriod is how long the service in `rosey run` may take at its end. The bot has ended before, and waited for
// the service: together they must not take longer than one of them alone.
const runGracePeriod = 3 * time.Second

// databaseProvenance returns a function for database.ServiceOptions.Provenance, which the service calls in one
// goroutine. What cannot be read is not known, and the cause is logged when it changes: without it the service takes
// over no stream by itself.
func (c *component) databaseProvenance() func() database.Provenance {
	known := database.Provenance{Kind: database.SQLite, RoseyBot: c.config.Name, TakeOver: c.config.Database.TakeOver}
	if c.config.Database.Postgres != nil {
		known.Kind = database.Postgres
	}
	file := c.config.Database.ProvenanceFile
	if file == "" {
		return func() database.Provenance { return known }
	}
	logged := ""
	return func() database.Provenance {
		read, err := config.ReadProvenance(file)
		if err != nil {
			if err.Error() != logged {
				logged = err.Error()
				c.log.Warn("[DB] "+logged, "key", "database.provenanceFile")
			}
			provenance := known
			provenance.Unread = err
			return provenance
		}
		logged = ""
		provenance := known
		provenance.NamespaceUID, provenance.PVCCreated = read.NamespaceUID, read.PVCCreated
		provenance.OnlyPVC, provenance.TakeOver = read.OnlyPVC, cmp.Or(read.TakeOver, known.TakeOver)
		return provenance
	}
}

// listedChannels returns a function for database.EngineOptions.Listed, or nil if no file lists channels.
func (c *component) listedChannels() func() ([]store.Channel, error) {
	file := c.config.Database.ChannelsFile
	if file == "" {
		return nil
	}
	list := config.NewChannelList(file)
	return func() ([]store.Channel, error) {
		listed, err := list.Read()
		channels := make([]store.Channel, 0, len(listed))
		for _, channel := range listed {
			channels = append(channels, store.Channel{Server: channel.Server, Name: channel.Name})
		}
		return channels, err
	}
}

// serviceIdentity identifies the database service to others that use the same database.
func (c *component) serviceIdentity() store.Service {
	return store.Service{Prefix: c.config.NATS.SubjectPrefix, Name: c.config.Name}
}

func (c *component) engineOptions() database.EngineOptions {
	return database.EngineOptions{
		Channel:    c.channel(),
		Open:       func(ctx context.Context) (store.Store, error) { return c.database().open(ctx) },
		Server:     c.database().server(),
		Retention:  c.retention(),
		Backup:     c.backup(),
		Limits:     c.config.Database.Limits,
		Log:        c.log,
		Registerer: c.registry,
	}
}

func (c *component) backup() database.BackupOptions {
	backup := c.config.Database.Backup
	return database.BackupOptions{Directory: backup.Directory, Every: backup.Every.Time(), Keep: backup.Keep}
}

func (c *component) retention() store.Retention {
	kept := c.config.Database.Retention
	return store.Retention{
		Chat: kept.Chat.Time(), UserCounts: kept.UserCounts.Time(), Outbound: kept.Outbound.Time(),
		Media: kept.Media.Time(), People: kept.People.Time(),
	}
}

func (c *component) channel() store.Channel {
	return store.Channel{Server: c.config.Channel.Server, Name: c.config.Channel.Name}
}

// newDatabaseTool returns the component of a command that uses the configured database without a service. It requires
// the same keys as `rosey run`, since it needs no NATS.
func newDatabaseTool(flags *configFlags, command *cobra.Command) (*component, error) {
	tool, err := loadComponent(status.RunComponent, flags, command.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	if err := traceCommand(command, tool.config.Telemetry); err != nil {
		return nil, err
	}
	if tool.config.Database.Postgres == nil {
		return tool, tool.setDataFile("")
	}
	if tool.config.Database.SQLite != nil {
		return nil, errors.New("database: both sqlite and postgres, expected one of them")
	}
	return tool, nil
}

// readDatabase returns what read returns for the configured database, which a service may have open.
func readDatabase[T any](
	flags *configFlags, command *cobra.Command,
	read func(ctx context.Context, s store.Store, channel store.Channel) (T, error),
) (content T, err error) {
	tool, err := newDatabaseTool(flags, command)
	if err != nil {
		return content, err
	}
	opened, err := tool.database().openReadOnly(command.Context())
	if err != nil {
		return content, exit.Failed(err)
	}
	content, err = read(command.Context(), opened, tool.channel())
	return content, exit.Failed(errors.Join(err, opened.Close()))
}

// location is where a database is: the path of an SQLite file, or of a file with the URL of a PostgreSQL database.
type location struct {
	postgres bool
	path     string
}

// database returns the location of the configured database.
func (c *component) database() location {
	if c.config.Database.Postgres != nil {
		return location{postgres: true, path: c.config.Database.Postgres.URLFile}
	}
	return location{path: c.config.Database.SQLite.Path}
}

// String describes a database without its URL, which is a secret.
func (l location) String() string {
	if l.postgres {
		return "the PostgreSQL database of URL file " + l.path
	}
	return l.path
}

// server returns what returns the address of the server of PostgreSQL, or nil for SQLite.
func (l location) server() func() string {
	if !l.postgres {
		return nil
	}
	return func() string { return postgres.Server(l.path) }
}

// open opens a database for writing. It creates an SQLite file that is absent, and brings the schema up to date.
func (l location) open(ctx context.Context) (store.Importer, error) {
	if l.postgres {
		return postgres.Open(ctx, l.path)
	}
	return sqlite.Open(ctx, l.path)
}

// openExisting is open, but creates no SQLite file: a misspelled path should be an error.
func (l location) openExisting(ctx context.Context) (store.Importer, error) {
	if !l.postgres {
		if _, err := os.Stat(l.path); err != nil {
			return nil, fmt.Errorf("finding the database: %w", err)
		}
	}
	return l.open(ctx)
}

// openReadOnly opens a database that a service may have open for writing.
func (l location) openReadOnly(ctx context.Context) (store.Importer, error) {
	if l.postgres {
		return postgres.OpenReadOnly(ctx, l.path)
	}
	return sqlite.OpenReadOnly(ctx, l.path)
}
