package process

import "net/http"

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
