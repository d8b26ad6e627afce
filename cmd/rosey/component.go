package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/process"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/web"
)

// component is what `rosey bot`, `rosey db`, `rosey web` and `rosey run` have in common: configuration, log and
// metrics.
type component struct {
	name     status.Component
	config   config.Config
	subjects bus.Subjects
	log      *slog.Logger
	registry registry
	started  time.Time
	// traces is nil while tracing is off.
	traces *telemetry.Provider
}

// registry is a *prometheus.Registry, or that of a test.
type registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// newComponent loads the configuration of a process that runs until it is told to end, and traces it. An error means
// that the configuration is invalid.
func newComponent(name status.Component, flags *configFlags, stderr io.Writer) (*component, error) {
	c, err := loadComponent(name, flags, stderr)
	if err != nil {
		return nil, err
	}
	c.traces, err = telemetry.Setup(telemetry.Options{
		Settings: telemetry.SettingsOf(c.config.Telemetry), Service: "rosey-" + string(name), Version: buildVersion(),
		Instance: podName(), Log: c.log, Registerer: c.registry,
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// loadComponent loads the configuration.
func loadComponent(name status.Component, flags *configFlags, stderr io.Writer) (*component, error) {
	loaded, err := flags.Load(name)
	if err != nil {
		return nil, err
	}
	subjects, err := bus.NewSubjects(loaded.NATS.SubjectPrefix)
	if err != nil {
		return nil, fmt.Errorf("nats.subjectPrefix: %w", err)
	}
	log := newLogger(stderr, loaded.LogLevel, name)
	for _, warning := range loaded.Warnings {
		log.Warn("configuration", "key", warning.Key, "warning", warning.Text)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &component{
		name: name, config: loaded.Config, subjects: subjects, registry: registry, started: time.Now(), log: log,
	}, nil
}

// newLogger returns a logger that writes JSON, or plain text for `rosey run`, which a person starts in a terminal.
func newLogger(stderr io.Writer, level string, name status.Component) *slog.Logger {
	if name == status.RunComponent {
		return telemetry.NewTextLogger(stderr, level)
	}
	return telemetry.NewJSONLogger(stderr, level).With("component", string(name))
}

// connect connects to the configured NATS server. It does not wait for a server that is down.
func (c *component) connect(ctx context.Context) (*bus.Conn, error) {
	return bus.Connect(ctx, bus.Options{
		URL:            c.config.NATS.URL,
		Name:           fmt.Sprintf("rosey %s %s", c.name, c.config.Channel.Name),
		InboxPrefix:    c.subjects.InboxPrefix(c.role()),
		CredentialsDir: c.config.NATS.CredentialsDir,
		TLSDir:         c.config.NATS.TLSDir,
		Log:            c.log,
		Registerer:     c.registry,
	})
}

// role returns what the component is on NATS.
func (c *component) role() bus.Role {
	switch c.name {
	case status.DatabaseComponent:
		return bus.ServiceRole
	case status.WebComponent:
		return bus.WebRole
	default:
		return bus.BotRole
	}
}

// newBinding returns what decides whether events go through a stream. Bot and service decide by the same rules.
func (c *component) newBinding(conn *bus.Conn) *bus.Binding {
	return bus.NewBinding(bus.BindingOptions{
		Conn: conn, Subjects: c.subjects, JetStream: c.config.NATS.JetStream, Log: c.log,
	})
}

// task runs until its context ends, or until it fails.
type task func(ctx context.Context) error

// workload is the work of a component, and what the HTTP server of the process shows of it.
type workload struct {
	run task
	// checks are in the order of process.Server.Checks: those that explain others come first.
	checks []func() status.Check
	// readyWhileServing is that of process.Server.
	readyWhileServing bool
	// served returns the channels that the database service serves, and those that it refuses. Nil: there is no service.
	served func() (channels []string, refused map[string]string)
	// streamWaiting is process.Server.StreamWaiting.
	streamWaiting func() *uint64
	// lastBackup returns when the newest backup was made. Nil: the workload has no database.
	lastBackup func() time.Time
	// liveFiles and plugins are those of process.Server.
	liveFiles func() map[string]string
	plugins   func() []status.PluginReport
	// channel returns what the bot sees. Nil: the workload has no bot.
	channel func(ctx context.Context) *room.Snapshot
	// leader returns the pod that leads. Nil: there is no election.
	leader func() string
	// pages are served beside the paths of the process, of which they guard the private ones. Nil: none.
	pages *web.Server
	// conn is the connection over which the process replies to requests for its status. Nil: there is none.
	conn *bus.Conn
	// listening is called with the address of the HTTP server when it has started. Nil: not called.
	listening func(address string)
}

// run runs a workload, and the HTTP server until the workload has ended, so that the status can be read during the
// shutdown too.
func (c *component) run(ctx context.Context, work workload) error {
	// Who reads the log may end first, such as `tee` when a terminal is closed. That must not kill the process.
	signal.Ignore(syscall.SIGPIPE)
	listener, err := process.Listen(ctx, c.config.HTTP.Address)
	if err != nil {
		return err
	}
	server := process.Server{
		Component: c.name, Version: buildVersion(), Started: c.started,
		Checks: work.checks, ReadyWhileServing: work.readyWhileServing, Leader: work.leader, Served: work.served,
		LastBackup: work.lastBackup, Channel: work.channel, LiveFiles: work.liveFiles, Plugins: work.plugins,
		StreamWaiting: work.streamWaiting, Telemetry: c.traces.Problem, Metrics: c.registry, Log: c.log,
	}
	if work.pages != nil {
		server.Pages, server.Private, server.Host = work.pages.Handler(), work.pages.Private, c.config.Web.Host
	}
	c.log.InfoContext(ctx, "started", "version", buildVersion(), "channel", c.config.Channel.Name,
		"http", listener.Addr().String())
	if work.listening != nil {
		work.listening(listener.Addr().String())
	}
	needed := []task{func(ctx context.Context) error { return server.Serve(ctx, listener) }}
	if work.conn != nil {
		needed = append(needed, func(ctx context.Context) error { return c.serveStatus(ctx, work.conn, server.Report) })
	}
	err = runWith(ctx, work.run, needed...)
	c.traces.Shutdown(context.WithoutCancel(ctx)) // ctx has ended
	c.log.InfoContext(ctx, "stopped")
	return err
}

// serveStatus replies to bus.StatusGet.
func (c *component) serveStatus(ctx context.Context, conn *bus.Conn, report func() status.Report) error {
	return conn.Serve(ctx, c.subjects.Subject(bus.StatusGet), func(context.Context) any {
		return bus.ProcessStatus{
			Success: true, Instance: podName(), Server: c.config.Channel.Server, Channel: c.config.Channel.Name,
			Report: report(),
		}
	})
}

// runWith runs main beside other tasks that main needs until its end. They outlive ctx, and are stopped in reverse
// order when main has returned. If one of them ends before, main is stopped. The error joins all errors.
func runWith(ctx context.Context, main task, needed ...task) error {
	if len(needed) == 0 {
		return main(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outliving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- needed[0](outliving)
	}()
	err := runWith(ctx, main, needed[1:]...)
	stop()
	return errors.Join(err, <-done)
}
