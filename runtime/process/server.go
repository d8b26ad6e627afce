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

	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/status"
)

// shutdownTimeout bounds the wait for responses that are in progress when the server stops.
const shutdownTimeout = 2 * time.Second

// Server serves the HTTP paths of one process. Its fields must not change while it serves.
type Server struct {
	Component status.Component
	Version   string
	Started   time.Time
	// Checks are what the process needs. They are called at every request for the report. The first that is not OK
	// determines the reason of the report.
	Checks []func() status.Check
	// ReadyWhileServing makes ReadyPath return 200 whatever the checks say: the process works without what it needs, and
	// tells those whom it serves what is missing.
	ReadyWhileServing bool
	// Leader returns the pod that leads, as far as this process knows. Nil: there is no election.
	Leader func() string
	// Served returns the channels that a database service serves, and why it does not serve others that its configuration
	// lists. Nil: this process has no database service.
	Served func() (channels []string, refused map[string]string)
	// StreamWaiting returns Report.StreamWaiting. Nil: this process has no database service.
	StreamWaiting func() *uint64
	// LastBackup returns when the newest backup of the database was made, and zero if there is none. Nil: this process
	// makes none.
	LastBackup func() time.Time
	// LiveFiles returns the hashes of status.Report.LiveFiles. Nil: this process reads no such file.
	LiveFiles func() map[string]string
	// Plugins returns the state of the plugins that this process calls or runs. Nil: there are none.
	Plugins func() []status.PluginReport
	// Channel returns what the bot sees in its channel, and nil while it is not in a channel. Nil: this process has no
	// bot.
	Channel func(ctx context.Context) *room.Snapshot
	// Telemetry returns why traces cannot be sent, or "".
	Telemetry func() string
	// Pages serve all paths that are not those of package status. Nil: / redirects to status.ProcessPath.
	Pages http.Handler
	// Host is the host of Pages that a proxy before a loopback address passes on. Empty: there is none.
	Host string
	// Private returns a handler that serves next to those alone who may see what is private: StatePath and ProcessPath,
	// which name who is in the channel. Nil: everybody may.
	Private func(next http.Handler) http.Handler
	// Metrics are served on MetricsPath.
	Metrics prometheus.Gatherer
	Log     *slog.Logger
}

// Report returns the current status of the process.
func (s Server) Report() status.Report {
	report := status.Report{
		Component: s.Component, Version: s.Version, Started: s.Started,
		Ready: true, Reason: status.ReasonReady, Message: "everything works",
	}
	for _, current := range s.Checks {
		check := current()
		report.Checks = append(report.Checks, check)
		if report.Ready && !check.OK {
			report.Ready, report.Reason, report.Message = false, check.Reason, check.Message
		}
	}
	if s.Leader != nil {
		report.Leader = s.Leader()
	}
	if s.Served != nil {
		report.Channels, report.RefusedChannels = s.Served()
	}
	if s.StreamWaiting != nil {
		report.StreamWaiting = s.StreamWaiting()
	}
	if s.Telemetry != nil {
		report.Telemetry = s.Telemetry()
	}
	if s.LastBackup != nil {
		report.LastBackup = s.LastBackup()
	}
	if s.LiveFiles != nil {
		report.LiveFiles = s.LiveFiles()
	}
	if s.Plugins != nil {
		report.Plugins = s.Plugins()
	}
	return report
}

// Listen returns a listener for Serve. It is separate so that an address in use is reported before the process starts
// its work.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for HTTP on %s: %w", address, err)
	}
	return listener, nil
}

// Serve serves until ctx ends, then waits a moment for responses in progress. It closes the listener.
func (s Server) Serve(ctx context.Context, listener net.Listener) error {
	server := status.NewServer(s.Handler(), s.Host, s.Log)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shutdown := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		shutdown <- server.Shutdown(grace)
	}()
	err := server.Serve(listener)
	cancel()
	shutdownErr := <-shutdown
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving HTTP on %s: %w", listener.Addr(), err)
	}
	if shutdownErr != nil {
		// No error: a client that does not read its response must not make the process exit with a failure.
		s.Log.WarnContext(ctx, "stopped before all HTTP responses were written", "error", shutdownErr)
	}
	return nil
}

// Handler returns the handler of all paths.
func (s Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+status.HealthPath, func(w http.ResponseWriter, _ *http.Request) {
		writeResponse(w, http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
	})
	mux.HandleFunc("GET "+status.ReadyPath, s.serveReady)
	mux.HandleFunc("GET "+status.StatusPath, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.Report()) })
	private := s.Private
	if private == nil {
		private = func(next http.Handler) http.Handler { return next }
	}
	large := newLimiter(maxLargeResponses)
	mux.Handle("GET "+status.MetricsPath, large.limit(promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{})))
	mux.Handle("GET "+status.StatePath, private(large.limit(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { writeJSON(w, s.state(r.Context())) }))))
	mux.Handle("GET "+status.ProcessPath, private(large.limit(http.HandlerFunc(s.servePage))))
	if s.Pages != nil {
		mux.Handle("/", s.Pages)
	} else {
		mux.Handle("GET /{$}", http.RedirectHandler(status.ProcessPath, http.StatusFound))
	}
	return withSecurityHeaders(mux)
}

// withSecurityHeaders forbids browsers to guess the type of a response and to send its URL as a referrer.
func withSecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

func (s Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	report := s.Report()
	code := http.StatusOK
	if !report.Ready && !s.ReadyWhileServing {
		code = http.StatusServiceUnavailable
	}
	line := status.Printable(string(report.Reason) + ": " + report.Message)
	writeResponse(w, code, "text/plain; charset=utf-8", []byte(line+"\n"))
}

func writeJSON(w http.ResponseWriter, content any) {
	body, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		http.Error(w, "cannot encode the response", http.StatusInternalServerError)
		return
	}
	writeResponse(w, http.StatusOK, "application/json", append(status.EscapeJSON(body), '\n'))
}

func writeResponse(w http.ResponseWriter, code int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(body) // it fails if the client has gone away
}
