package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	managers "sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"rosey.dev/rosey/runtime/status"
)

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
			one := &managers.Server{Name: server.name, Server: status.NewServer(server.handler, log), Listener: listener}
			if err := one.Start(ctx); err != nil {
				log.Error("the server has ended", "server", server.name, "error", err)
			}
		})
	}
	return stop, nil
}
