package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	managers "sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/telemetry"
)

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

// operate serves health checks and metrics, and manages RoseyBots until ctx ends or something fails. When the
// namespaces change that it can manage, another manager follows.
func operate(ctx context.Context, kubernetes *rest.Config, options options, log *slog.Logger) (err error) {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	options.manager.Scheme = scheme
	traces, err := telemetry.Setup(telemetry.Options{ //nolint:contextcheck // it does not wait
		Settings: options.telemetry, Service: manifests.ManagedBy, Version: status.BuildVersion(version),
		Instance: os.Getenv(config.PodNameVariable), Log: log, Registerer: metrics.Registry,
	})
	if err != nil {
		return fmt.Errorf("setting up traces: %w", err)
	}
	defer traces.Shutdown(context.WithoutCancel(ctx))
	if traces.Enabled() {
		kubernetes.Wrap(func(inner http.RoundTripper) http.RoundTripper {
			return telemetry.NewTransport(inner, telemetry.KubernetesTemplate)
		})
	}
	reader, err := client.New(kubernetes, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("connecting to the Kubernetes API: %w", err)
	}
	watched := &namespaces{
		wanted: options.watchedNamespaces, reader: reader, log: log, interval: options.checkInterval,
	}
	stop, err := startServers(ctx, options, log, watched.ready)
	if err != nil {
		return err
	}
	defer stop()
	log.InfoContext(ctx, "starting the operator", "version", status.BuildVersion(version),
		"runtimeImage", options.runtimeImage)
	for {
		usable := watched.await(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := manage(ctx, kubernetes, options, watched, usable); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// manage runs a manager until ctx ends, or until it has to manage other namespaces.
func manage(
	ctx context.Context, kubernetes *rest.Config, options options, watched *namespaces, usable []string,
) error {
	manager, err := newManager(ctx, kubernetes, options, usable)
	if err != nil {
		return err
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if len(usable) > 0 {
		watching.Go(func() {
			defer cancel()
			watched.awaitChange(ctx, usable)
		})
	}
	if err := manager.Start(ctx); err != nil {
		return fmt.Errorf("running the operator: %w", err)
	}
	return nil
}

// newManager returns a manager of the RoseyBots in some namespaces, or in all of them if there are none.
func newManager(
	ctx context.Context, kubernetes *rest.Config, options options, watched []string,
) (ctrl.Manager, error) {
	// The manager's own servers do not bound their connections.
	options.manager.Metrics.BindAddress, options.manager.HealthProbeBindAddress = "0", "0"
	options.manager.Cache = controllers.CacheOptions(watched)
	options.manager.Controller.SkipNameValidation = new(true) // another manager may follow this one
	options.manager.LeaderElectionID = "rosey-operator"
	// The Lease is renewed every two seconds, and must not wait for other requests.
	options.manager.LeaderElectionConfig = rest.CopyConfig(kubernetes)
	options.manager.LeaderElectionConfig.RateLimiter = nil
	// This is safe because the manager ends all reconciles before. The next leader need not wait until the Lease expires.
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
	reconciler.Connections = options.connections
	reconciler.SetAutomaticUpdates(options.automaticUpdates)
	if err := reconciler.SetupWithManager(ctx, manager); err != nil {
		return nil, err
	}
	if err := manager.Add(exportMetrics(manager, options.connections)); err != nil {
		return nil, fmt.Errorf("adding the metrics: %w", err)
	}
	return manager, nil
}

// exportMetrics returns what exports the metrics of RoseyBots while this process is the leader: those of several
// replicas would add up.
func exportMetrics(manager ctrl.Manager, connections controllers.ConnectionLimits) managers.Runnable {
	return managers.RunnableFunc(func(ctx context.Context) error {
		collector := controllers.NewCollector(manager.GetClient(), connections)
		if err := metrics.Registry.Register(collector); err != nil {
			return fmt.Errorf("registering metrics: %w", err)
		}
		<-ctx.Done()
		metrics.Registry.Unregister(collector)
		return nil
	})
}

// maxScrapes is how many responses with metrics are made at a time: their size grows with the number of RoseyBots.
const maxScrapes = 4

// disabled is the address of a server that is not wanted.
const disabled = "0"

// startServers starts the servers of health checks and metrics, which outlive managers. /readyz says what ready
// returns.
func startServers(ctx context.Context, options options, log *slog.Logger, ready func() error) (stop func(), _ error) {
	health := http.NewServeMux()
	health.HandleFunc("GET "+status.HealthPath, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	})
	health.HandleFunc("GET "+status.ReadyPath, func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
	numbers := http.NewServeMux()
	numbers.Handle("GET "+status.MetricsPath, promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.HTTPErrorOnError, MaxRequestsInFlight: maxScrapes,
	}))
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	stop = func() { cancel(); serving.Wait() }
	for _, server := range []struct {
		name, address string
		handler       http.Handler
	}{{"health checks", options.healthAddress, health}, {"metrics", options.metricsAddress, numbers}} {
		if server.address == disabled {
			continue
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", server.address)
		if err != nil {
			stop()
			return nil, fmt.Errorf("listening for %s: %w", server.name, err)
		}
		serving.Go(func() {
			one := &managers.Server{Name: server.name, Server: status.NewServer(server.handler, "", log), Listener: listener}
			if err := one.Start(ctx); err != nil {
				log.ErrorContext(ctx, "the server has ended", "server", server.name, "error", err)
			}
		})
	}
	return stop, nil
}
