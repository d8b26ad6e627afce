package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	ctrl "sigs.k8s.io/controller-runtime"
	managers "sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"rosey.dev/rosey/runtime/status"
)

// maxScrapes is how many responses with metrics are made at a time: their size grows with the number of RoseyBots.
const maxScrapes = 4

// disabled is the address of a server that is not wanted.
const disabled = "0"

// addServers adds the servers of health checks and metrics to the manager, which starts them before everything else.
func addServers(ctx context.Context, manager ctrl.Manager, options options, log *slog.Logger) error {
	health := http.NewServeMux()
	for _, path := range []string{status.HealthPath, status.ReadyPath} {
		health.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	}
	numbers := http.NewServeMux()
	numbers.Handle("GET "+status.MetricsPath, promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.HTTPErrorOnError, MaxRequestsInFlight: maxScrapes,
	}))
	return errors.Join(
		addServer(ctx, manager, "health checks", options.healthAddress, status.NewServer(health, log)),
		addServer(ctx, manager, "metrics", options.metricsAddress, status.NewServer(numbers, log)))
}

func addServer(ctx context.Context, manager ctrl.Manager, name, address string, server *http.Server) error {
	if address == disabled {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening for %s: %w", name, err)
	}
	if err := manager.Add(&managers.Server{Name: name, Server: server, Listener: listener}); err != nil {
		return fmt.Errorf("adding the server of %s: %w", name, err)
	}
	return nil
}
