// Package httpserver makes HTTP servers that whoever reaches them cannot use to end the process: time, headers and the
// number of connections are bounded, and idle connections do not keep the kubelet's probes out.
package httpserver

import (
	"log/slog"
	"net/http"
	"time"
)

const (
	// headerTimeout closes connections that send no request, which would otherwise accumulate, and readTimeout those
	// whose request has a body that never ends.
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	// responseTimeout is far more than any response takes. It ends with clients that do not read.
	responseTimeout = 30 * time.Second
	// idleTimeout is more than the time between two requests of the page and of Prometheus in most installations; a
	// new connection costs either of them nothing.
	idleTimeout = 60 * time.Second
	// maxHeaderBytes is far more than a browser or a prober sends.
	maxHeaderBytes = 16 << 10
)

// New returns a server for a handler. What the server itself reports is logged as a warning.
func New(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      responseTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         newConnections(maxConnections).changed,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
