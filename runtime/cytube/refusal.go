package cytube

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/status"
)

// maxRetryAfter bounds every time to wait that a server or a proxy demands.
const maxRetryAfter = 10 * time.Minute

// responseError returns the Error for a response that is not CyTube's: that of a proxy in front of the server, or of
// another site. refusal says what the response means if it is not about a limit.
//
// Proxies have several statuses for a client that exceeds a limit: 429, nginx 503 by default, Cloudflare also 403. Only
// 503 is ambiguous: it is that of a server that is down, too, so its reason stays ServerUnreachable unless the page
// speaks of a limit.
func responseError(host, refusal string, response *http.Response, body []byte) *Error {
	refused := &Error{
		Reason: status.ReasonServerUnreachable, Message: refusal + " " + statusText(response),
		Status: response.StatusCode,
	}
	if response.StatusCode >= http.StatusBadRequest {
		refused.RetryAfter = retryAfter(response.Header, time.Now())
	}
	if isRateLimit(response.StatusCode, refused.RetryAfter > 0, body) {
		refused.Reason, refused.Message = status.ReasonConnectionLimited, host+" limits connections: "+statusText(response)
	}
	return refused
}

// isRateLimit reports whether a response with an error status refuses a client that exceeds a limit.
func isRateLimit(code int, statesTime bool, page []byte) bool {
	switch {
	case code == http.StatusTooManyRequests, code == http.StatusForbidden && statesTime:
		return true
	case code != http.StatusForbidden && code != http.StatusServiceUnavailable:
		return false
	}
	lower := strings.ToLower(string(page))
	for _, text := range []string{"error code: 1015", "error 1015", "rate limit", "too many requests"} {
		if strings.Contains(lower, text) {
			return true
		}
	}
	return false
}

// retryAfter returns the time to wait that the header of a response demands, up to maxRetryAfter. Zero: none.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		return boundedSeconds(seconds)
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	// The clock of the server may differ from that of the bot.
	if sent, err := http.ParseTime(header.Get("Date")); err == nil {
		now = sent
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}

// boundedSeconds returns a number of seconds that a server demands to wait, up to maxRetryAfter.
func boundedSeconds(seconds uint64) time.Duration {
	return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
}

// FoundServer remembers the socket server of an attempt that a limit refused, so that the next attempt does not request
// it from the site again. A proxy that limits all requests counts that one too: with many bots, each would use what it
// is allowed for that request, and none would join. The zero value remembers nothing. It is not safe for concurrent
// use.
type FoundServer struct {
	address string
	inside  bool
	at      time.Time
}

// foundFor bounds how long a socket server is remembered: the site may have another one since.
const foundFor = maxRetryAfter

// find returns the remembered server, and requests it from the site if there is none.
func (f *FoundServer) find(ctx context.Context, options Options) (address string, inside bool, err error) {
	if f.address != "" && time.Since(f.at) < foundFor {
		return f.address, f.inside, nil
	}
	address, inside, err = findSocket(ctx, options)
	*f = FoundServer{address: address, inside: inside, at: time.Now()}
	return address, inside, err
}

// opened forgets the server, unless err is that of a limit.
func (f *FoundServer) opened(err error) {
	refused, ok := errors.AsType[*Error](err)
	limited := ok && (refused.Status == http.StatusServiceUnavailable || refused.Reason == status.ReasonConnectionLimited)
	if !limited {
		*f = FoundServer{}
	}
}
