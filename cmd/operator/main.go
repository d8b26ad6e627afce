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

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/runtime/config"
)

// version is set when a release is built: -ldflags "-X main.version=v1.2.3".
var version string

func buildVersion() string { return config.BuildVersion(version) }

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
		if _, err := fmt.Fprintln(stdout, buildVersion()); err != nil {
			return fmt.Errorf("printing the version: %w", err)
		}
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
	logger.Info("starting", "version", buildVersion(), "runtimeImage", options.runtimeImage)
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
