package process

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxLargeResponses is how many responses are made at a time that take memory in proportion to the channel or the
// metrics. A client that does not read its response keeps it in memory until the server's time-out.
const maxLargeResponses = 4

// limiter bounds the number of requests that are served at a time, those of all handlers that it limits together.
// Those above it get 503.
type limiter chan struct{}

func newLimiter(limit int) limiter { return make(limiter, limit) }

func (l limiter) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case l <- struct{}{}:
			defer func() { <-l }()
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		}
	})
}

// checkHost refuses requests that come in on a loopback address for another host than this machine. They are those of a
// browser on this machine, or at the other end of a port-forward, whose page was loaded from a name that now points to
// the loopback address: the page could read everything that is served here.
func checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if local != nil && isLoopback(local.String()) && !isLoopback(r.Host) {
			http.Error(w, "this address serves the hosts localhost, 127.0.0.1 and [::1] only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback reports whether a host, with or without a port, is the loopback interface of this machine.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil && address.Unmap().IsLoopback()
}
