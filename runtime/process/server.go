// Package process serves a process's health, status and metrics over HTTP, and keeps the checks that
// the status is made of.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rosey.dev/rosey/runtime/status"
)

const (
	// headerTimeout ends connections that send nothing, which would otherwise add up.
	headerTimeout = 5 * time.Second
	// answerTimeout is far more than any answer takes.
	answerTimeout = 30 * time.Second
	// shutdownTimeout is how long answers may take that are under way at the end.
	shutdownTimeout = 2 * time.Second
)

// Server answers the HTTP paths of package config.
type Server struct {
	// Report is asked at every request to StatusPath and ReadyPath.
	Report func() status.Report
	// Channel is asked what a bot of this process sees, at every request to the page or to StatePath. It
	// answers nil while there is nothing to see. Nil: there is no bot.
	Channel func(ctx context.Context) *Channel
	// Metrics are served on MetricsPath.
	Metrics prometheus.Gatherer
	Log     *slog.Logger
}

// Listen opens the address that Serve needs, so that an address in use is an error at the start.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for HTTP on %s: %w", address, err)
	}
	return listener, nil
}

// Serve answers until ctx ends, then lets answers under way finish. It closes the listener.
func (s Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      answerTimeout,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		stopped <- server.Shutdown(ending)
	}()
	err := server.Serve(listener)
	end()
	cutOff := <-stopped
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving HTTP on %s: %w", listener.Addr(), err)
	}
	if cutOff != nil {
		// Somebody who does not read their answer must not turn a clean end into a failure.
		s.Log.Warn("an HTTP answer was cut off", "error", cutOff)
	}
	return nil
}

// Handler answers the paths, for a server of the caller's.
func (s Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+status.HealthPath, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
	})
	mux.HandleFunc("GET "+status.ReadyPath, s.ready)
	mux.HandleFunc("GET "+status.StatusPath, s.status)
	mux.Handle("GET "+status.MetricsPath, promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET "+status.StatePath, s.state)
	mux.HandleFunc("GET /{$}", s.page)
	return guarded(mux)
}

// guarded has browsers take an answer for what it says it is, and tell nobody where it was read.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// ready answers in one line, which the kubelet shows in the pod's events.
func (s Server) ready(w http.ResponseWriter, _ *http.Request) {
	report := s.Report()
	code := http.StatusOK
	if !report.Ready {
		code = http.StatusServiceUnavailable
	}
	answer(w, code, "text/plain; charset=utf-8", fmt.Appendf(nil, "%s: %s\n", report.Reason, report.Message))
}

func (s Server) status(w http.ResponseWriter, _ *http.Request) {
	body, err := json.MarshalIndent(s.Report(), "", "  ")
	if err != nil {
		http.Error(w, "the report cannot be encoded", http.StatusInternalServerError)
		return
	}
	answer(w, http.StatusOK, "application/json", append(body, '\n'))
}

func answer(w http.ResponseWriter, code int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// A client that went away is no concern of ours.
	_, _ = w.Write(body)
}
