package bot

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// limitingProxy is a proxy that limits the requests of an address as nginx's limit_req does: a burst, then one in each
// interval. While the server is down, it answers 502.
type limitingProxy struct {
	// sockets: only the requests for WebSockets count.
	sockets  bool
	status   int
	burst    float64
	interval time.Duration
	// retryAfter returns the header for a refused client that would be admitted after a time. Nil: no header.
	retryAfter func(wait time.Duration) string

	mu       sync.Mutex
	excess   float64
	last     time.Time
	admitted int
	downTill time.Time
}

func (p *limitingProxy) inFrontOf(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait, admitted := p.admit(strings.HasPrefix(r.URL.Path, "/socket.io/"))
		switch {
		case !admitted:
			if p.retryAfter != nil {
				w.Header().Set("Retry-After", p.retryAfter(wait))
			}
			w.WriteHeader(p.status)
		case p.isDown():
			w.WriteHeader(http.StatusBadGateway)
		default:
			server.ServeHTTP(w, r)
		}
	})
}

func (p *limitingProxy) admit(socket bool) (wait time.Duration, admitted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sockets && !socket {
		return 0, true
	}
	now := time.Now()
	excess := max(p.excess-now.Sub(p.last).Seconds()/p.interval.Seconds(), 0)
	if excess+1 > p.burst {
		return time.Duration((excess + 1 - p.burst) * float64(p.interval)), false
	}
	p.excess, p.last = excess+1, now
	p.admitted++
	return 0, true
}

func (p *limitingProxy) isDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.downTill)
}

func (p *limitingProxy) down(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.downTill = time.Now().Add(d)
}

// seconds returns what a proxy states that knows when it admits the client.
func seconds(wait time.Duration) string { return fmt.Sprint(math.Ceil(wait.Seconds())) }

func date(wait time.Duration) string {
	return time.Now().Add(wait + time.Second).UTC().Format(http.TimeFormat)
}

func always(value string) func(time.Duration) string {
	return func(time.Duration) string { return value }
}

// TestManyBotsBehindALimitingProxyComeBack: a proxy that limits connections with any status and header does not keep
// the bots out for longer than its limit demands.
func TestManyBotsBehindALimitingProxyComeBack(t *testing.T) {
	t.Parallel()
	for name, proxy := range map[string]*limitingProxy{
		"503 with seconds":               {sockets: true, status: 503, retryAfter: always("10")},
		"403 with a date":                {sockets: true, status: 403, retryAfter: date},
		"503 alone":                      {sockets: true, status: 503},
		"all requests, 503 with seconds": {status: 503, retryAfter: seconds},
		"all requests, 503 alone":        {status: 503},
		"all requests, 429 alone":        {status: 429},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { restartBehind(t, proxy) })
		})
	}
}

func restartBehind(t *testing.T, proxy *limitingProxy) {
	t.Helper()
	const bots, down = 20, 5 * time.Minute
	proxy.burst, proxy.interval = 5, 10*time.Second
	b := newBubbleBehind(t, accounts(bots, simulator.Limits{}), proxy.inFrontOf)
	for i := range bots {
		b.start(fmt.Sprint("bot", i), "p")
	}
	b.awaitAll()
	time.Sleep(2 * steadySession)
	b.sim.Restart(down)
	proxy.down(down)
	time.Sleep(down)
	least := (bots - 5) * proxy.interval
	if !proxy.sockets {
		least = (2*bots - 5) * proxy.interval // each needs two
	}
	took := b.awaitAll()
	if took > least*3/2 {
		t.Errorf("the last bot is back after %s, the limit allows %s", took, least)
	}
}
