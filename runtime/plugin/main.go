package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/pflag"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/process"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/telemetry"
)

// Main is the main function of a program that is one plugin. It reads flags, environment variables and a file, as
// `rosey` does, connects to NATS, also again with other credentials, serves /status and /metrics over HTTP, sends
// traces, and runs the plugin until SIGINT or SIGTERM. It ends the process, with 2 if flags or configuration are
// invalid and 1 if the plugin has failed.
func Main(p *Plugin) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills the process
	err := Execute(ctx, p, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err == nil {
		os.Exit(0)
	}
	_, _ = fmt.Fprintf(status.PrintableWriter(os.Stderr), "%s: %v\n", p.name, err) // there is nowhere else
	if errors.Is(err, ErrConfiguration) {
		os.Exit(2)
	}
	os.Exit(1)
}

// ErrConfiguration means that the flags, the environment or the file of a plugin are invalid, for errors.Is.
var ErrConfiguration = errors.New("invalid configuration")

// usageFailure is an ErrConfiguration.
type usageFailure struct{ error }

// Is reports whether the target is ErrConfiguration.
func (f *usageFailure) Is(target error) bool { return target == ErrConfiguration }

// Unwrap returns the error.
func (f *usageFailure) Unwrap() error { return f.error }

// keys are the settings of a process that is one plugin.
var keys = []string{
	"channel.server", "channel.name", "nats.url", "nats.subjectPrefix", "nats.credentialsDir", "nats.tlsDir",
	"plugin.name", "plugin.settings", "http.address", "telemetry.endpoint", "telemetry.protocol",
	"telemetry.samplingRatio", "telemetry.headersFile", "telemetry.tlsDir", "telemetry.resourceAttributes", "logLevel",
}

// Execute is what Main does, without a signal and without the end of the process: it returns when ctx has ended. The
// arguments are those behind the name of the program.
func Execute(ctx context.Context, p *Plugin, arguments []string, stdout, stderr io.Writer) error {
	set := pflag.NewFlagSet(p.name, pflag.ContinueOnError)
	set.SetOutput(stdout)
	set.Usage = func() {
		_, _ = fmt.Fprintf(stdout, "Run the plugin %s until a signal ends it\n\nFlags:\n%s", p.name, set.FlagUsages())
	}
	flags := config.NewFlags(set, filepath.Join(config.ConfigDir, config.PluginFile),
		"Configuration `file` in YAML or JSON", config.KeysAt(keys...), nil)
	version := set.Bool("version", false, "Print the version")
	switch err := set.Parse(arguments); {
	case errors.Is(err, pflag.ErrHelp):
		return nil
	case err != nil:
		return &usageFailure{err}
	case set.NArg() > 0:
		return &usageFailure{fmt.Errorf("%q: expected flags only", set.Arg(0))}
	case *version:
		_, err := fmt.Fprintln(stdout, p.name, p.version)
		return err //nolint:wrapcheck // it is the error of the output
	}
	loaded, err := flags.Load(status.PluginComponent)
	if err == nil {
		err = p.Problems()
	}
	if err != nil {
		return &usageFailure{err}
	}
	return p.execute(ctx, loaded, telemetry.NewJSONLogger(stderr, loaded.LogLevel))
}

func (p *Plugin) execute(ctx context.Context, loaded config.Loaded, log *slog.Logger) error {
	started := time.Now()
	for _, warning := range loaded.Warnings {
		log.WarnContext(ctx, "configuration", "key", warning.Key, "warning", warning.Text)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	// contextcheck finds this only where telemetry is checked in the same run.
	traces, err := telemetry.Setup(telemetry.Options{ //nolint:contextcheck,nolintlint // it waits for nothing
		Settings: telemetry.SettingsOf(loaded.Telemetry), Service: "rosey-plugin-" + p.name, Version: p.version,
		Instance: os.Getenv(config.PodNameVariable), Log: log, Registerer: registry,
	})
	if err != nil {
		return &usageFailure{err}
	}
	defer traces.Shutdown(context.WithoutCancel(ctx))
	options, err := p.connect(ctx, loaded.Config, log, registry)
	if err != nil {
		return err
	}
	defer options.Conn.Close()
	listener, err := process.Listen(ctx, loaded.HTTP.Address)
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "started", "version", p.version, "channel", loaded.Channel.Name,
		"http", listener.Addr().String())
	server := process.Server{
		Component: status.PluginComponent, Version: p.version, Started: started,
		Checks:    []func() status.Check{options.Conn.Check, p.Check},
		Telemetry: traces.Problem, Metrics: registry, Log: log,
	}
	// The status can be read until the plugin has ended.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var served error
	var both sync.WaitGroup
	running, end := context.WithCancel(ctx)
	defer end()
	both.Go(func() {
		defer end()
		served = server.Serve(serving, listener)
	})
	err = p.Run(running, options)
	stop()
	both.Wait()
	log.InfoContext(ctx, "stopped")
	return errors.Join(err, served)
}

// connect returns the options of a plugin that runs with a configuration.
func (p *Plugin) connect(
	ctx context.Context, c config.Config, log *slog.Logger, registry *prometheus.Registry,
) (Options, error) {
	subjects, err := bus.NewSubjects(c.NATS.SubjectPrefix)
	if err != nil {
		return Options{}, &usageFailure{fmt.Errorf("nats.subjectPrefix: %w", err)}
	}
	name := c.Plugin.Name
	if name == "" {
		name = p.name
	}
	own, err := subjects.Plugin(c.Channel.Name, name)
	if err != nil {
		return Options{}, &usageFailure{fmt.Errorf("plugin.name: %w", err)}
	}
	conn, err := bus.Connect(ctx, bus.Options{
		URL: c.NATS.URL, Name: "rosey plugin " + name + " " + c.Channel.Name, InboxPrefix: own.InboxPrefix(),
		CredentialsDir: c.NATS.CredentialsDir, TLSDir: c.NATS.TLSDir, Log: log, Registerer: registry,
	})
	if err != nil {
		return Options{}, err
	}
	return Options{
		Conn: conn, Subjects: subjects, Server: c.Channel.Server, Channel: c.Channel.Name, Name: name,
		Settings: SettingsAt(c.Plugin.Settings), Log: log, Metrics: NewMetrics(registry),
	}, nil
}
