// Command operator is the Kubernetes operator for RoseyBots. It runs the reconciler of package controllers and serves
// metrics and health checks. All settings are flags; the Kubernetes API comes from --kubeconfig, $KUBECONFIG, the
// ServiceAccount of the pod or ~/.kube/config.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	clientconfig "sigs.k8s.io/controller-runtime/pkg/client/config"

	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/telemetry"
)

// version is set when a release is built: -ldflags "-X main.version=1.2.3".
var version string

func main() {
	err := run(ctrl.SetupSignalHandler(), os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "operator:", status.Printable(err.Error()))
		os.Exit(1)
	}
}

// run is main without access to the process. It returns when ctx is done, or with the first error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	options, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if options.printVersion {
		_, _ = fmt.Fprintln(stdout, status.BuildVersion(version))
		return nil
	}
	handler := telemetry.NewLogHandler(
		slog.NewJSONHandler(status.JSONWriter(stderr), &slog.HandlerOptions{Level: options.logLevel}))
	logger := logr.FromSlogHandler(handler)
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	options.manager.Logger = logger
	kubernetes, err := kubernetesConfig()
	if err != nil {
		return err
	}
	return operate(ctx, kubernetes, options, slog.New(handler))
}

// Environment variables with the defaults of --runtime-image and --namespace.
const imageVariable, namespaceVariable = "ROSEY_IMAGE", "POD_NAMESPACE"

type options struct {
	manager           ctrl.Options
	metricsAddress    string
	healthAddress     string
	runtimeImage      string
	metricsLabels     map[string]string
	watchedNamespaces []string
	connections       controllers.ConnectionLimits
	logLevel          slog.Level
	checkInterval     time.Duration // of the watched namespaces
	automaticUpdates  controllers.AutomaticUpdates
	telemetry         telemetry.Settings // what they leave out is in the variables of OpenTelemetry
	printVersion      bool
}

// parseFlags parses the arguments. Its errors have one line; --help prints the flags to output.
func parseFlags(args []string, output io.Writer) (options, error) {
	parsed := options{checkInterval: checkInterval}
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // do not print all flags after an error
	clientconfig.RegisterFlags(flags)
	flags.StringVar(&parsed.metricsAddress, "metrics-bind-address", ":8080",
		"`address` at which Prometheus metrics are served over HTTP; 0 disables them")
	flags.StringVar(&parsed.healthAddress, "health-probe-bind-address", ":8081",
		"`address` at which /healthz and /readyz are served over HTTP")
	flags.BoolVar(&parsed.manager.LeaderElection, "leader-elect", false,
		"use leader election, so that only one of several replicas is active")
	flags.StringVar(&parsed.manager.LeaderElectionNamespace, "namespace", os.Getenv(namespaceVariable),
		"`namespace` of the operator, with its Lease; network policies of bots admit it; default: $"+namespaceVariable)
	flags.StringVar(&parsed.runtimeImage, "runtime-image", os.Getenv(imageVariable),
		"container `image` of bots and database services, unless spec.image is set; default: $"+imageVariable)
	flags.Func("watch-namespaces", "comma-separated `namespaces` to watch; default: all", func(list string) error {
		parsed.watchedNamespaces = strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	})
	flags.Func("metrics-from", "`label` KEY=VALUE of the namespaces from which metrics of bots can be scraped; "+
		"default: metrics=enabled", func(label string) (err error) {
		parsed.metricsLabels, err = labels.ConvertSelectorToLabelsMap(label)
		if err != nil {
			return fmt.Errorf("expected KEY=VALUE: %w", err)
		}
		return nil
	})
	flags.Func("cytube-connections", "`number` of connections at once that CyTube servers allow from one address, or "+
		"SERVER=NUMBER for one server; can be repeated; default: 10", func(value string) error {
		return addConnections(&parsed.connections, value)
	})
	updates := &parsed.automaticUpdates
	flags.IntVar(&updates.MaxConcurrent, "automatic-updates-max-concurrent",
		controllers.DefaultAutomaticUpdates.MaxConcurrent,
		"`number` of RoseyBots with updatePolicy Automatic that change at a time after an upgrade of the operator")
	flags.DurationVar(&updates.Deadline, "automatic-updates-deadline", controllers.DefaultAutomaticUpdates.Deadline,
		"`time` after which a RoseyBot that was ready before its update, and is not ready again, halts the other updates")
	flags.StringVar(&parsed.telemetry.HeadersFile, "telemetry-headers-file", "",
		"`file` with headers for the receiver of traces, read at each export; where traces go is in OTEL_EXPORTER_OTLP_*")
	flags.StringVar(&parsed.telemetry.TLSDir, "telemetry-tls-dir", "",
		"`directory` with ca.crt, and tls.crt and tls.key for a client certificate, for the receiver of traces")
	flags.TextVar(&parsed.logLevel, "log-level", slog.LevelInfo, "lowest `level` of logs: debug, info, warn or error")
	flags.BoolVar(&parsed.printVersion, "version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(output)
			flags.PrintDefaults()
		}
		return options{}, fmt.Errorf("parsing the flags: %w", err)
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q: the operator takes only flags", flags.Arg(0))
	}
	return parsed, parsed.validate()
}

// validate returns an error if the operator cannot run with the options.
func (o *options) validate() error {
	switch {
	case o.printVersion:
		return nil
	case o.runtimeImage == "":
		return errors.New("--runtime-image or $" + imageVariable + " is required: the container image of the bots")
	case o.automaticUpdates.MaxConcurrent < 1:
		return fmt.Errorf("--automatic-updates-max-concurrent is %d: expected at least 1", o.automaticUpdates.MaxConcurrent)
	case o.automaticUpdates.Deadline <= 0:
		return fmt.Errorf("--automatic-updates-deadline is %s: expected more than 0", o.automaticUpdates.Deadline)
	}
	return nil
}

// addConnections adds the value of one --cytube-connections.
func addConnections(limits *controllers.ConnectionLimits, value string) error {
	server, number, isServer := strings.Cut(value, "=")
	if !isServer {
		server, number = "", value
	}
	allowed, err := strconv.Atoi(number)
	if err != nil || allowed < 1 || isServer && !strings.Contains(server, "://") {
		return errors.New("expected a number above 0, or http(s)://HOST[:PORT]=NUMBER")
	}
	if !isServer {
		limits.Default = allowed
		return nil
	}
	if limits.Servers == nil {
		limits.Servers = map[string]int{}
	}
	limits.Servers[controllers.ServerKey(server)] = allowed
	return nil
}
