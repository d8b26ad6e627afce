package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/process"
	"rosey.dev/rosey/runtime/status"
)

// component is what `rosey bot`, `rosey db` and `rosey run` have in common.
type component struct {
	name     status.Component
	config   config.Config
	subjects bus.Subjects
	log      *slog.Logger
	registry registry
	started  time.Time
	// see is what the status page shows of the channel. Nil: this process has no bot.
	see func(ctx context.Context) *process.Channel
	// leader is the pod of the bot that has the lock. Nil: there is no lock.
	leader func() string
	// announce is told where HTTP is served when everything has started.
	announce func(address string)
}

// registry is a prometheus.Registry, or a test's around one.
type registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// newComponent reads the configuration. Its error is the user's to mend.
func newComponent(name status.Component, flags *settings, stderr io.Writer) (*component, error) {
	loaded, err := flags.load(name)
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
		announce: func(string) {},
	}, nil
}

// newLogger writes JSON lines, and for a person at the keyboard plain ones. The level was checked with the
// configuration.
func newLogger(stderr io.Writer, level string, name status.Component) *slog.Logger {
	var threshold slog.Level
	if err := threshold.UnmarshalText([]byte(level)); err != nil {
		threshold = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: threshold}
	if name == status.RunComponent {
		return slog.New(slog.NewTextHandler(stderr, options))
	}
	return slog.New(slog.NewJSONHandler(stderr, options)).With("component", string(name))
}

// connect returns at once; NATS may come later.
func (c *component) connect(ctx context.Context) (*bus.Conn, error) {
	return bus.Connect(ctx, bus.Options{
		URL:            c.config.NATS.URL,
		Name:           fmt.Sprintf("rosey %s %s", c.name, c.config.Channel.Name),
		CredentialsDir: c.config.NATS.CredentialsDir,
		TLSDir:         c.config.NATS.TLSDir,
		Log:            c.log,
		Registerer:     c.registry,
	})
}

// bind has bot and service go the same way with events.
func (c *component) bind(conn *bus.Conn) *bus.Binding {
	return bus.NewBinding(bus.BindingOptions{
		Conn: conn, Subjects: c.subjects, JetStream: c.config.NATS.JetStream, Log: c.log,
	})
}

// run does work and serves HTTP beside it until work has ended, which is when ctx ends or work fails.
// The first check that is not OK gives the status its reason.
func (c *component) run(
	ctx context.Context, work func(ctx context.Context) error, checks ...func() status.Check,
) error {
	listener, err := process.Listen(ctx, c.config.HTTP.Address)
	if err != nil {
		return err
	}
	server := process.Server{
		Report:  c.report(process.Reporter(c.name, buildVersion(), c.started, checks...)),
		Channel: c.see,
		Metrics: c.registry,
		Log:     c.log,
	}
	c.log.Info("started", "version", buildVersion(), "channel", c.config.Channel.Name, "http", listener.Addr().String())
	c.announce(listener.Addr().String())
	group, working := errgroup.WithContext(ctx)
	// The status can be asked for while work comes to its end.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return server.Serve(serving, listener) })
	group.Go(func() error {
		defer stopServing()
		return work(working)
	})
	err = group.Wait()
	c.log.Info("stopped")
	return err //nolint:wrapcheck // of work or of the server, and both say what failed
}
