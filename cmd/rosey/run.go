package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/natsserver"
	"rosey.dev/rosey/runtime/status"
)

// defaultDataDir is where somebody who starts a bot by hand finds its rows again.
const defaultDataDir = "rosey-data"

func newRunCommand() *cobra.Command {
	var flags *settings
	var data, listen string
	command := &cobra.Command{
		Use:   "run --channel NAME",
		Short: "Run it all in one process: bot, database service and NATS, with SQLite in a directory",
		Example: `  rosey run --channel movienight
  rosey run --channel movienight --username Rosey --password-file password --listen 127.0.0.1:4222`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			component, err := newComponent(status.RunComponent, flags, command.ErrOrStderr())
			if err != nil {
				return err
			}
			direct := component.config.Mode == config.ModeDirect
			if component.config.NATS.URL != "" && !direct {
				component.log.Warn("configuration", "key", "nats.url",
					"warning", "no effect: `rosey run` has NATS inside; to use another, start `rosey bot` and `rosey db`")
			}
			if component.config.Database.Postgres != nil {
				component.config.Database.Postgres = nil
				component.log.Warn("configuration", "key", "database.postgres",
					"warning", "no effect: `rosey run` has SQLite inside; for PostgreSQL start `rosey bot` and `rosey db`")
			}
			if direct && listen != "" {
				return errors.New("--listen: in mode direct there is no NATS that others could reach")
			}
			if err := component.makeData(data); err != nil {
				return failed(err)
			}
			if direct {
				return failed(component.runAllDirect(command.Context(), command.OutOrStdout()))
			}
			return failed(component.runAll(command.Context(), listen, command.OutOrStdout()))
		},
	}
	flags = newSettings(command.Flags(), "", keysBut("nats.url",
		"nats.credentialsDir", "nats.tlsDir", "nats.jetStream.mode", "nats.jetStream.replicas", "nats.jetStream.maxAge",
		"nats.jetStream.maxBytes", "database.sqlite.path", "database.postgres.urlFile", "database.directFallback"))
	command.Flags().Lookup("http").Usage = "Where health, status and metrics are served (default " +
		config.DefaultRunHTTPAddress + "); ROSEY_HTTP_ADDRESS"
	command.Flags().StringVar(&data, "data", "",
		"`directory` of the database, made when absent (default ./"+defaultDataDir+")")
	command.Flags().StringVar(&listen, "listen", "",
		"`host:port` where others reach NATS: whoever can, can read everything and speak as the bot (default: nobody)")
	return command
}

// setData decides on the database file: in dir if there is one, else as configured, else in the default directory.
func (c *component) setData(dir string) error {
	if dir == "" && c.config.Database.SQLite != nil && c.config.Database.SQLite.Path != "" {
		return nil
	}
	if dir == "" {
		dir = defaultDataDir
	}
	path, err := filepath.Abs(filepath.Join(dir, config.SQLiteFile))
	if err != nil {
		return fmt.Errorf("finding the data directory %s: %w", dir, err)
	}
	c.config.Database.SQLite = &config.SQLite{Path: path}
	return nil
}

func (c *component) makeData(dir string) error {
	if err := c.setData(dir); err != nil {
		return err
	}
	// What people say in a channel is nobody else's business on a shared machine.
	if err := os.MkdirAll(filepath.Dir(c.config.Database.SQLite.Path), 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	return nil
}

func (c *component) runAll(ctx context.Context, listen string, out io.Writer) error {
	server, err := natsserver.Start(natsserver.Options{Listen: listen, Log: c.log})
	if err != nil {
		return fmt.Errorf("NATS inside (--listen): %w", err)
	}
	defer server.Stop()
	conn, err := bus.Connect(ctx, bus.Options{
		URL: natsserver.Name, Name: "rosey run " + c.config.Channel.Name, InProcess: server,
		Log: c.log, Registerer: c.registry,
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	// The server inside keeps no stream: bot and database end together, and what the bot told is stored a moment later.
	service := c.newService(conn, nil)
	bot, botChecks := c.newBot(conn, nil)
	c.announce = func(address string) { c.writeBanner(out, address, server.URL()) }
	work := func(ctx context.Context) error { return botThenService(ctx, bot, service.Run) }
	// A database that does not open explains why no service answers the bot.
	checks := append([]func() status.Check{service.StoreCheck, service.NATSCheck, service.EventsCheck}, botChecks[2:]...)
	return c.run(ctx, work, checks...)
}

// botThenService ends the service after the bot, whose last words are to be stored. Without the service
// the bot ends too.
func botThenService(ctx context.Context, bot, service func(context.Context) error) error {
	serving, stopService := context.WithCancel(context.WithoutCancel(ctx))
	defer stopService()
	sitting, stopBot := context.WithCancel(ctx)
	defer stopBot()
	served := make(chan error, 1)
	go func() {
		defer stopBot()
		served <- service(serving)
	}()
	err := bot(sitting)
	stopService()
	return errors.Join(err, <-served)
}

// writeBanner says what runs where.
func (c *component) writeBanner(out io.Writer, address, natsURL string) {
	who := "a watcher without a name, who cannot speak (--username)"
	if c.config.Account != nil {
		who = "the guest " + c.config.Account.Username
		if c.config.Account.PasswordFile != "" {
			who = "the account " + c.config.Account.Username
		}
	}
	reach := "inside this process alone; --listen 127.0.0.1:4222 opens it for rosey say, tail, top and user"
	switch {
	case c.config.Mode == config.ModeDirect:
		reach = "none (mode direct): rosey say, tail, top and user have nothing to ask"
	case natsURL != "":
		reach = natsURL + ", without a password, for rosey say, tail, top and user"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "rosey %s\n", buildVersion())
	fmt.Fprintf(&text, "  channel   %s on %s, as %s\n", c.config.Channel.Name, c.config.Channel.Server, who)
	fmt.Fprintf(&text, "  database  %s\n", c.config.Database.SQLite.Path)
	fmt.Fprintf(&text, "  status    http://%s%s, also by rosey status\n", address, status.StatusPath)
	fmt.Fprintf(&text, "  NATS      %s\n", reach)
	fmt.Fprintf(&text, "Ctrl-C ends it: the bot leaves, what it told is stored, then the rest stops.\n")
	_, _ = io.WriteString(out, text.String()) // nobody to tell but the log, which goes on
}
