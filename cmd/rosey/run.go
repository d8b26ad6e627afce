package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/natsserver"
	"rosey.dev/rosey/runtime/status"
)

// defaultDataDir is relative to the working directory.
const defaultDataDir = "rosey-data"

func newRunCommand() *cobra.Command {
	var flags *configFlags
	var data, listen string
	command := &cobra.Command{
		Use:   "run --channel NAME",
		Short: "Run bot, database service and NATS server in one process, with SQLite in a directory",
		Example: `  rosey run --channel movienight
  rosey run --channel movienight --username Rosey --password-file password --listen 127.0.0.1:4222`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			component, err := newComponent(status.RunComponent, flags, command.ErrOrStderr())
			if err != nil {
				return err
			}
			component.warnUnused()
			if component.config.Mode == config.ModeDirect && listen != "" {
				return errors.New("--listen: mode direct has no NATS server to listen")
			}
			if err := component.makeDataDir(data); err != nil {
				return exit.Failed(err)
			}
			return exit.Failed(component.runAll(command.Context(), listen, command.OutOrStdout()))
		},
	}
	flags = newConfigFlags(command.Flags(), "", keysExcept("name", "plugin", "nats.url",
		"nats.credentialsDir", "nats.tlsDir", "nats.jetStream.mode", "nats.jetStream.replicas", "nats.jetStream.maxAge",
		"nats.jetStream.maxBytes", "nats.jetStream.maxMessageBytes", "nats.jetStream.provisioning",
		"database.sqlite.path", "database.postgres.urlFile", "database.directFallback", "database.provenanceFile",
		"database.takeOver", "web.listen"))
	command.Flags().Lookup("http").Usage = "Address of the HTTP server for health, status and metrics (default " +
		config.DefaultRunHTTPAddress + "); ROSEY_HTTP_ADDRESS"
	command.Flags().StringVar(&data, "data", "",
		"Data `directory` with the database, created if it is absent (default ./"+defaultDataDir+")")
	command.Flags().StringVar(&listen, "listen", "",
		"Address (`host:port`) for other processes to reach the NATS server, without a password: they can read\n"+
			"everything and make the bot speak. With plugins that are not built in, each logs in with files in the\n"+
			"data directory, and so do rosey say, tail, top and user (default none)")
	return command
}

// warnUnused logs which settings of a configuration file `rosey run` does not use.
func (c *component) warnUnused() {
	if c.config.NATS.URL != "" && c.config.Mode != config.ModeDirect {
		c.log.Warn("configuration", "key", "nats.url",
			"warning", "no effect: `rosey run` has its own NATS server; for another one, start `rosey bot` and `rosey db`")
	}
	if c.config.Database.Postgres != nil {
		c.config.Database.Postgres = nil
		c.log.Warn("configuration", "key", "database.postgres",
			"warning", "no effect: `rosey run` uses SQLite; for PostgreSQL, start `rosey bot` and `rosey db`")
	}
}

// setDataFile sets the path of the SQLite file: in dir if that is given, else as configured, else in defaultDataDir.
func (c *component) setDataFile(dir string) error {
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

// makeDataDir is setDataFile, and creates the directory.
func (c *component) makeDataDir(dir string) error {
	if err := c.setDataFile(dir); err != nil {
		return err
	}
	// Other users of the machine must not read what was said in the channel.
	if err := os.MkdirAll(filepath.Dir(c.config.Database.SQLite.Path), 0o700); err != nil {
		return fmt.Errorf("creating the data directory: %w", err)
	}
	return nil
}

func (c *component) runAll(ctx context.Context, listen string, out io.Writer) error {
	c.config.Database.Backup.Directory = c.backupDir()
	if c.config.Mode == config.ModeDirect {
		work := c.newDirectBot()
		work.listening = func(address string) { c.writeBanner(out, address, noNATS) }
		return c.run(ctx, work)
	}
	server, users, err := c.startNATS(listen)
	if err != nil {
		return err
	}
	defer server.Stop()
	inside := bus.Options{
		URL: natsserver.Name, InProcess: server, Username: users.inside.Name, Password: users.inside.Password, Log: c.log,
	}
	forBot := inside
	forBot.Name, forBot.InboxPrefix = "rosey run "+c.config.Channel.Name, c.subjects.InboxPrefix(c.role())
	forBot.Registerer = c.registry
	conn, err := bus.Connect(ctx, forBot)
	if err != nil {
		return err
	}
	defer conn.Close()
	service := c.newService(conn, nil, nil)
	work, err := c.newBot(conn, nil)
	if err != nil {
		return err
	}
	plugins := c.newPluginHost(func(ctx context.Context, own bus.PluginSubjects) (*bus.Conn, error) {
		forPlugin := inside
		forPlugin.Name, forPlugin.InboxPrefix = "rosey run plugin "+own.Name, own.InboxPrefix()
		forPlugin.Log = c.log.With("plugin", own.Name)
		return bus.Connect(ctx, forPlugin)
	}, true)
	runBot := work.run
	pages := c.newPages(conn, c.config.HTTP.Address, status.ProcessPath)
	work.pages = pages
	work.run = func(ctx context.Context) error {
		return runWith(ctx, func(ctx context.Context) error {
			waitForService(ctx, service)
			return runBot(ctx)
		}, pages.Run, service.Run, plugins.Run, func(ctx context.Context) error {
			return c.followUsers(ctx, server, users)
		})
	}
	// A database that cannot be opened explains why the bot finds no service, so the service's checks come first.
	work.checks = slices.Concat(serviceChecks(service), work.checks, pages.Checks())
	work.served, work.lastBackup, work.conn = servedChannels(service), service.LastBackup, conn
	work.listening = func(address string) { c.writeBanner(out, address, natsBanner(server.URL(), users)) }
	return c.run(ctx, work)
}

// startNATS starts the NATS server of the process.
func (c *component) startNATS(listen string) (*natsserver.Server, natsUsers, error) {
	users, err := c.newNATSUsers(listen)
	if err != nil {
		return nil, users, err
	}
	server, err := natsserver.Start(natsserver.Options{Listen: listen, Users: users.all(), Log: c.log})
	if err != nil && listen != "" {
		err = fmt.Errorf("--listen: %w", err)
	}
	return server, users, err
}

const (
	// serviceStart is how long the bot waits for the service in its own process, which is ready as soon as the database is
	// open. Without the wait each start would warn that no service answers.
	serviceStart = 2 * time.Second
	// serviceLook is the time between two looks whether it is.
	serviceLook = 5 * time.Millisecond
)

// waitForService returns when the service is ready, ctx has ended, or the bot has to start without it.
func waitForService(ctx context.Context, service *database.Service) {
	ctx, cancel := context.WithTimeout(ctx, serviceStart)
	defer cancel()
	for !service.NATSCheck().OK && backoff.Sleep(ctx, serviceLook) {
	}
}

// readers says who may read the page.
func (c *component) readers() string {
	switch {
	case c.config.Web.Public || status.IsLoopback(c.config.HTTP.Address):
		return "the people of the channel"
	case c.config.Web.TokensDir == "":
		return "nobody yet: set web.tokensDir, so that people can log in, or web.public"
	default:
		return "people with a token"
	}
}

// noNATS is what writeBanner says of NATS in mode direct.
const noNATS = "none (mode direct), so rosey say, tail, top and user cannot be used"

// natsBanner tells a person how to reach the NATS server. url is empty if it does not listen.
func natsBanner(url string, users natsUsers) string {
	switch {
	case url == "":
		return "inside this process only; --listen 127.0.0.1:4222 opens it for rosey say, tail, top and user"
	case !users.exist():
		return url + ", without a password, for rosey say, tail, top and user"
	}
	var plugins []string
	for _, user := range users.others[1:] {
		plugins = append(plugins, users.credentialsDir(user.Name))
	}
	return fmt.Sprintf("%s, for rosey say, tail, top and user with --nats-credentials-dir %s;\n"+
		"            plugins log in with the files of %s", url, users.credentialsDir(cliUser),
		strings.Join(plugins, ", "))
}

// writeBanner tells a person where everything is, and how to reach NATS.
func (c *component) writeBanner(out io.Writer, address, nats string) {
	user := "an anonymous user, who cannot chat (see --username)"
	if c.config.Account != nil {
		user = "the guest " + c.config.Account.Username
		if c.config.Account.PasswordFile != "" {
			user = "the account " + c.config.Account.Username
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "rosey %s\n", buildVersion())
	fmt.Fprintf(&text, "  channel   %s on %s, as %s\n", c.config.Channel.Name, c.config.Channel.Server, user)
	fmt.Fprintf(&text, "  database  %s\n", c.config.Database.SQLite.Path)
	if backup := c.config.Database.Backup; backup.Every.Time() > 0 {
		fmt.Fprintf(&text, "  backups   %s, every %s\n", backup.Directory, backup.Every)
	}
	if c.config.Mode != config.ModeDirect {
		fmt.Fprintf(&text, "  page      http://%s%s, for %s\n", address, c.config.Web.BasePath, c.readers())
	}
	fmt.Fprintf(&text, "  status    http://%s%s, also with rosey status\n", address, status.StatusPath)
	fmt.Fprintf(&text, "  NATS      %s\n", nats)
	fmt.Fprintf(&text, "Press Ctrl-C to stop: the bot leaves the channel, and everything it has published is stored.\n")
	_, _ = io.WriteString(out, text.String()) // a bot runs without a terminal too
}
