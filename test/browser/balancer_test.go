package browser

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// balancer is one address for several processes: it passes requests on to them in turn, and leaves out one that accepts
// no connections, as proxies do.
type balancer struct {
	url       string
	mu        sync.Mutex
	addresses []string
	next      int
	// loses makes the answers to POST be lost on their way. Browsers send a request again whose connection has ended.
	loses atomic.Bool
	// scheme is what it says that browsers use.
	scheme    string
	transport http.Transport
}

// newBalancer starts a balancer at an address of this machine.
func newBalancer(t *testing.T, host, scheme string, processes ...*webProcess) *balancer {
	t.Helper()
	b := &balancer{scheme: scheme, transport: http.Transport{DisableKeepAlives: true}}
	for _, one := range processes {
		b.addresses = append(b.addresses, one.address)
	}
	proxy := &httputil.ReverseProxy{Transport: b, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "one.of.them", r.In.Host
		r.SetXForwarded()
		r.Out.Header.Set("X-Forwarded-Proto", b.scheme)
	}, ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
		panic(http.ErrAbortHandler) // closes the connection to the browser
	}}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: proxy}}
	server.Start()
	// Open pages never end by themselves, and Close would wait for them.
	t.Cleanup(func() { server.CloseClientConnections(); _ = server.Config.Close() })
	b.url = server.URL
	return b
}

// RoundTrip implements http.RoundTripper.
func (b *balancer) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		var err error
		if body, err = io.ReadAll(request.Body); err != nil {
			return nil, err
		}
	}
	var err error
	for range b.addresses {
		attempt := request.Clone(request.Context())
		attempt.URL.Host, attempt.Body = b.turn(), io.NopCloser(bytes.NewReader(body))
		var response *http.Response
		response, err = b.transport.RoundTrip(attempt)
		var dialing *net.OpError
		if err != nil && errors.As(err, &dialing) && dialing.Op == "dial" {
			continue
		}
		if err == nil && request.Method == http.MethodPost && b.loses.Load() {
			_ = response.Body.Close()
			return nil, errors.New("the answer is lost")
		}
		return response, err
	}
	return nil, err
}

func (b *balancer) turn() (address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	return b.addresses[b.next%len(b.addresses)]
}

// ownAddress returns an address of this machine that is not a loopback address. What is sent to it does not leave the
// machine.
func ownAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range addresses {
		network, isNetwork := one.(*net.IPNet)
		if isNetwork && network.IP.To4() != nil && !network.IP.IsLoopback() && !network.IP.IsLinkLocalUnicast() {
			return network.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback ones")
	return ""
}

// TestTwoProcessesServeOneAddress is about two `rosey web` behind a proxy that gives each request to the other one.
func TestTwoProcessesServeOneAddress(t *testing.T) {
	t.Parallel()
	s := newParts(t)
	s.startBot()
	s.join("alice")
	first, second := s.startWeb(), s.startWeb()
	b := newBalancer(t, "127.0.0.1", "http", first, second)
	p := newPage(t)
	p.open(b.url + "/") // what was passed on is not local: reading needs a token
	p.shows("Your token")
	p.logIn(b.url, aliceToken)
	for range 4 { // whoever answers
		p.waits("the box for a line", `!!document.querySelector("#say")`)
		p.open(b.url + "/outbound")
		p.shows("Have the bot say a line")
		p.open(b.url + "/")
	}
	p.isLive()
	for i, web := range []*webProcess{first, second} {
		web.end()
		text := []string{"the first has ended", "the second has ended"}[i]
		s.say("alice", text)
		p.shows(text)
		p.isLive()
		again := s.startWebAt(web.address)
		defer again.end()
	}

	count := run[int](p, `document.querySelector("#chat").innerText.split("the first has ended").length - 1`)
	if count != 1 {
		t.Errorf("a line that came before the page lost its connection is there %d times", count)
	}

	// The answer is lost, so nobody knows whether the line was. It is sent again, to the other process.
	b.loses.Store(true)
	p.do("saying a line", sendKeys("#text", "said once\r"))
	p.shows("nobody knows whether the line was sent")
	b.loses.Store(false)
	p.do("saying it again", sendKeys("#text", "\r"))
	p.waits("an empty box", `document.querySelector("#text").value === ""`)
	p.waits("the line in the channel", `document.querySelector("#chat").innerText.includes("said once")`)
	if lines := body(t, second.url+"/api/v1/outbound"); strings.Count(lines, `"said once"`) != 1 {
		t.Errorf("a line whose answer was lost is there more than once: %s", lines)
	}
}
