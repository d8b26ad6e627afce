// Command operator runs RoseyBots in a Kubernetes cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	clientconfig "sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// version is set when a release is built: -ldflags "-X main.version=v1.2.3".
var version string

func main() {
	err := run(ctrl.SetupSignalHandler(), os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}

// run is main without the process: it ends when the context does, or with the first error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	options, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if options.printVersion {
		_, _ = fmt.Fprintln(stdout, status.BuildVersion(version))
		return nil
	}
	logger, err := newLogger(stderr, options.logLevel)
	if err != nil {
		return err
	}
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	kubernetes, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the Kubernetes API: %w", err)
	}
	// The API server's priority and fairness limits us; a limit of our own only delays the answer to many changes.
	kubernetes.QPS = -1
	manager, err := newManager(ctx, kubernetes, options)
	if err != nil {
		return err
	}
	collector := controllers.NewCollector(manager.GetClient())
	if err := metrics.Registry.Register(collector); err != nil {
		return fmt.Errorf("registering the metrics of RoseyBots: %w", err)
	}
	defer metrics.Registry.Unregister(collector)
	logger.Info("starting", "version", status.BuildVersion(version), "runtimeImage", options.runtimeImage)
	if err := manager.Start(ctx); err != nil {
		return fmt.Errorf("running: %w", err)
	}
	return nil
}

func newLogger(output io.Writer, level string) (logr.Logger, error) {
	var minimum slog.Level
	if err := minimum.UnmarshalText([]byte(level)); err != nil {
		return logr.Logger{}, fmt.Errorf("--log-level is %q, expected debug, info, warn or error", level)
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(output, &slog.HandlerOptions{Level: minimum})), nil
}

func newManager(ctx context.Context, kubernetes *rest.Config, options options) (ctrl.Manager, error) {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return nil, err
	}
	options.manager.Scheme = scheme
	options.manager.Cache = controllers.CacheOptions(options.watchedNamespaces)
	options.manager.LeaderElectionID = "rosey-operator"
	// The process ends with the manager, so the next leader need not wait for the Lease to run out.
	options.manager.LeaderElectionReleaseOnCancel = true
	manager, err := ctrl.NewManager(kubernetes, options.manager)
	if err != nil {
		return nil, fmt.Errorf("connecting to the Kubernetes API: %w", err)
	}
	err = errors.Join(manager.AddHealthzCheck("ping", healthz.Ping), manager.AddReadyzCheck("ping", healthz.Ping))
	if err != nil {
		return nil, fmt.Errorf("adding the health checks: %w", err)
	}
	params := manifests.Params{Image: options.runtimeImage, OperatorNamespace: options.manager.LeaderElectionNamespace}
	reconciler := controllers.New(manager, params, status.HTTPPort)
	if err := reconciler.SetupWithManager(ctx, manager); err != nil {
		return nil, err
	}
	return manager, nil
}

// The environment's places for --runtime-image and --namespace.
const imageVariable, namespaceVariable = "ROSEY_IMAGE", "POD_NAMESPACE"

type options struct {
	manager           ctrl.Options
	runtimeImage      string
	watchedNamespaces []string
	logLevel          string
	printVersion      bool
}

// parseFlags says what is wrong with the arguments in one error.
func parseFlags(args []string, output io.Writer) (options, error) {
	var parsed options
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // a wrong flag is one line, not the whole list of flags
	clientconfig.RegisterFlags(flags)
	flags.StringVar(&parsed.manager.Metrics.BindAddress, "metrics-bind-address", ":8080",
		"where to serve Prometheus metrics over HTTP; 0 switches them off")
	flags.StringVar(&parsed.manager.HealthProbeBindAddress, "health-probe-bind-address", ":8081",
		"where to serve /healthz and /readyz over HTTP")
	flags.BoolVar(&parsed.manager.LeaderElection, "leader-elect", false,
		"work only while holding a Lease, so that several operators can stand by")
	flags.StringVar(&parsed.manager.LeaderElectionNamespace, "namespace", os.Getenv(namespaceVariable),
		"namespace the operator runs in: for its Lease, and let in by network policies; default: $"+namespaceVariable)
	flags.StringVar(&parsed.runtimeImage, "runtime-image", os.Getenv(imageVariable),
		"image of bots and database services whose RoseyBot names none; default: $"+imageVariable)
	flags.Func("watch-namespaces", "namespaces to look after, separated by commas; default: all", func(list string) error {
		parsed.watchedNamespaces = strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	})
	flags.StringVar(&parsed.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.BoolVar(&parsed.printVersion, "version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(output)
			flags.PrintDefaults()
		}
		return options{}, fmt.Errorf("reading the flags: %w", err)
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q: there are only flags", flags.Arg(0))
	case parsed.runtimeImage == "" && !parsed.printVersion:
		return options{}, errors.New("--runtime-image or $" + imageVariable + " is required: the image of the bots")
	}
	return parsed, nil
}
