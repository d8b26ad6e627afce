package main

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// connectProxy is an HTTP proxy that opens tunnels (CONNECT), all of them to one address.
type connectProxy struct {
	target string

	mu     sync.Mutex
	asked  map[string]int // tunnels by the host that a client wants
	active sync.WaitGroup
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
		return
	}
	p.mu.Lock()
	p.asked[r.Host]++
	p.mu.Unlock()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = server.Close()
		return
	}
	p.active.Go(func() {
		defer func() { _ = server.Close() }()
		_, _ = io.Copy(server, buffered)
	})
	p.active.Go(func() {
		defer func() { _ = client.Close() }()
		_, _ = io.Copy(client, server)
	})
}

func (p *connectProxy) tunnels(host string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[host]
}

// TestBotThroughAProxy has a bot that reaches its CyTube server by the proxy in HTTPS_PROXY alone: the site, and the
// WebSocket.
func TestBotThroughAProxy(t *testing.T) {
	t.Parallel()
	const site = "https://example.com" // the name in the certificate of package httptest
	sim, err := simulator.New(simulator.Options{
		PublicURL: site, Accounts: []simulator.Account{{Name: "Rosey", Password: rightPassword, Rank: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewTLSServer(sim.Handler())
	proxy := &connectProxy{target: web.Listener.Addr().String(), asked: map[string]int{}}
	front := httptest.NewServer(proxy)
	t.Cleanup(func() { sim.Close(); web.Close(); front.Close(); proxy.active.Wait() })

	s := newBotRig(t, simulator.Limits{})
	s.sim, s.site = sim, site
	trusted := filepath.Join(s.dir, "ca.pem")
	s.must(os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{
		Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600))
	python := startPythonService(t, s.nats.Client())
	s.startBot("HTTPS_PROXY="+front.URL, "SSL_CERT_FILE="+trusted)
	s.await(status.ReasonReady)
	s.talk("by the proxy")
	natstest.Eventually(t, "the line", func() bool { return len(python.saidByAlice()) == 1 })
	if proxy.tunnels("example.com:443") < 2 {
		t.Errorf("tunnels to %v, want one for the site and one for the WebSocket", proxy.asked)
	}
}
