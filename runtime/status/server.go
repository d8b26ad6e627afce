package status

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
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

// NewServer returns an HTTP server for a handler, which whoever reaches it cannot use to end the process: time, headers
// and the number of connections are bounded, and idle connections do not keep the kubelet's probes out. On a loopback
// address it serves only loopback hosts, and a named one that a proxy before it passes on; empty: there is none. The
// processes of a RoseyBot and the operator use it. What the server itself reports is logged as a warning.
func NewServer(handler http.Handler, named string, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           checkHost(handler, named),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      responseTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         newConnections(maxConnections).changed,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// maxConnections is the number of connections that are open at a time. Each takes some 20 KB, and all of them together
// must stay far below the memory limit of a bot.
const maxConnections = 256

// connections bounds the number of connections of a server. A limit alone would let idle connections keep the kubelet's
// probe out, and the kubelet would restart the process. So a new connection is always accepted, and above the limit one
// that waits longest is closed: a probe's is the youngest, and is served within milliseconds.
type connections struct {
	limit int

	mu   sync.Mutex
	next int64 // numbers connections in the order of their last change of state
	open map[net.Conn]connection
}

type connection struct {
	state  http.ConnState
	number int64
}

func newConnections(limit int) *connections {
	return &connections{limit: limit, open: map[net.Conn]connection{}}
}

// changed is the ConnState of an http.Server.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if victim := c.record(conn, state); victim != nil {
		_ = victim.Close()
	}
}

// record notes the state of a connection and returns the one to close, if there are too many.
func (c *connections) record(conn net.Conn, state http.ConnState) (victim net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.open, conn)
		return nil
	}
	c.next++
	c.open[conn] = connection{state: state, number: c.next}
	if len(c.open) <= c.limit {
		return nil
	}
	for candidate, its := range c.open {
		if candidate != conn && (victim == nil || its.goesBefore(c.open[victim])) {
			victim = candidate
		}
	}
	delete(c.open, victim)
	return victim
}

// goesBefore reports whether a connection is closed rather than another: one without a request before one with a
// request, and then the one that has been in its state for longer.
func (c connection) goesBefore(other connection) bool {
	if active := c.state == http.StateActive; active != (other.state == http.StateActive) {
		return !active
	}
	return c.number < other.number
}

// checkHost refuses requests that come in on a loopback address for another host than this machine. They are those of a
// browser on this machine, or at the other end of a port-forward, whose page was loaded from a name that now points to
// the loopback address: the page could read everything that is served here. Nobody else has the named host.
func checkHost(next http.Handler, named string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if local != nil && IsLoopback(local.String()) && !IsLoopback(r.Host) && !IsHost(r.Host, named) {
			http.Error(w, "this address serves the hosts localhost, 127.0.0.1 and [::1] only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// IsHost reports whether a host, with or without a port, is the named one. No host is the empty name.
func IsHost(host, named string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return named != "" && strings.EqualFold(host, named)
}

// IsLoopback reports whether a host, with or without a port, is the loopback interface of this machine.
func IsLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil && address.Unmap().IsLoopback()
}
