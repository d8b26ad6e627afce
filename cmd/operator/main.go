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
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	clientconfig "sigs.k8s.io/controller-runtime/pkg/client/config"
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
	handler := slog.NewJSONHandler(status.JSONWriter(stderr), &slog.HandlerOptions{Level: options.logLevel})
	logger := logr.FromSlogHandler(handler)
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	kubernetes, err := kubernetesConfig()
	if err != nil {
		return err
	}
	manager, err := newManager(ctx, kubernetes, options)
	if err != nil {
		return err
	}
	if err := addServers(ctx, manager, options, slog.New(handler)); err != nil {
		return err
	}
	collector := controllers.NewCollector(manager.GetClient())
	if err := metrics.Registry.Register(collector); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	defer metrics.Registry.Unregister(collector)
	logger.Info("starting the operator", "version", status.BuildVersion(version), "runtimeImage", options.runtimeImage)
	if err := manager.Start(ctx); err != nil {
		return fmt.Errorf("running the operator: %w", err)
	}
	return nil
}

const (
	// maxRequestRate and maxRequestBurst bound the requests to the API server, per second and at once. They are the last
	// guard against a fault that sends requests without end: limits of the reconciler bound what pods can cause, and the
	// API server's priority and fairness bound the total. 1,000 RoseyBots that are created at once need 13,000 requests,
	// of which an API server on two cores handles 50 per second (docs/performance.md). A lower limit would delay them on
	// a larger one.
	maxRequestRate  = 500
	maxRequestBurst = 1000
)

// kubernetesConfig returns the configuration of clients of the API server. They share one limit: with QPS, each kind of
// object would have one of its own.
func kubernetesConfig() (*rest.Config, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the configuration of the Kubernetes API: %w", err)
	}
	config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(maxRequestRate, maxRequestBurst)
	return config, nil
}

func newManager(ctx context.Context, kubernetes *rest.Config, options options) (ctrl.Manager, error) {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return nil, err
	}
	options.manager.Scheme = scheme
	// The manager's own servers do not bound their connections.
	options.manager.Metrics.BindAddress, options.manager.HealthProbeBindAddress = "0", "0"
	options.manager.Cache = controllers.CacheOptions(options.watchedNamespaces)
	options.manager.LeaderElectionID = "rosey-operator"
	// The Lease is renewed every two seconds, and must not wait for other requests.
	options.manager.LeaderElectionConfig = rest.CopyConfig(kubernetes)
	options.manager.LeaderElectionConfig.RateLimiter = nil
	// This is safe because the process exits with the manager. The next leader need not wait until the Lease expires.
	options.manager.LeaderElectionReleaseOnCancel = true
	manager, err := ctrl.NewManager(kubernetes, options.manager)
	if err != nil {
		return nil, fmt.Errorf("connecting to the Kubernetes API: %w", err)
	}
	params := manifests.Params{
		Image: options.runtimeImage, OperatorNamespace: options.manager.LeaderElectionNamespace,
		MetricsLabels: options.metricsLabels,
	}
	reconciler := controllers.New(manager, params, status.HTTPPort)
	if err := reconciler.SetupWithManager(ctx, manager); err != nil {
		return nil, err
	}
	return manager, nil
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
	logLevel          slog.Level
	printVersion      bool
}

// parseFlags parses the arguments. Its errors have one line; --help prints the flags to output.
func parseFlags(args []string, output io.Writer) (options, error) {
	var parsed options
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
	flags.TextVar(&parsed.logLevel, "log-level", slog.LevelInfo, "lowest `level` of logs: debug, info, warn or error")
	flags.BoolVar(&parsed.printVersion, "version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(output)
			flags.PrintDefaults()
		}
		return options{}, fmt.Errorf("parsing the flags: %w", err)
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q: the operator takes only flags", flags.Arg(0))
	case parsed.runtimeImage == "" && !parsed.printVersion:
		return options{}, errors.New("--runtime-image or $" + imageVariable + " is required: the container image of the bots")
	}
	return parsed, nil
}
