package simulator_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
)

func startSimulator(t *testing.T, options simulator.Options) (*simulator.Server, string) {
	t.Helper()
	return simulatortest.Start(t, options)
}

func TestOpenPacketAndHeartbeat(t *testing.T) {
	t.Parallel()
	_, url := startSimulator(t, simulator.Options{PingInterval: 10 * time.Millisecond, PingTimeout: time.Minute})
	s := dial(t, url)
	var open struct {
		SID                                   string
		Upgrades                              []string
		PingInterval, PingTimeout, MaxPayload int
	}
	packet := s.receive()
	if err := json.Unmarshal([]byte(strings.TrimPrefix(packet, "0")), &open); err != nil {
		t.Fatalf("open packet %s: %v", packet, err)
	}
	if len(open.SID) != 20 || open.PingInterval != 10 || open.PingTimeout != 60_000 || open.MaxPayload != 1<<20 {
		t.Errorf("open packet %s", packet)
	}
	for range 3 {
		if got := s.receive(); got != "2" {
			t.Fatalf("expected a ping, got %s", got)
		}
		s.send("3")
	}
}

func TestNoPongEndsTheConnection(t *testing.T) {
	t.Parallel()
	inBubble(t, simulator.Options{UsercountInterval: -1}, func(b *bubble) {
		arrived := b.enter("silent", "").readOn()
		time.Sleep(144 * time.Second) // a ping after 25 s, and a second less than the time-out of 120 s
		if n := b.sim.Channel("movienight").Connections(); n != 1 || arrived.ended() {
			t.Errorf("before the time-out: %d connections, want 1; ended is %v", n, arrived.ended())
		}
		time.Sleep(2 * time.Second)
		if n := b.sim.Channel("movienight").Connections(); n != 0 || !arrived.ended() {
			t.Errorf("after the time-out: %d connections, want 0; ended is %v", n, arrived.ended())
		}
	})
}

func waitFor(t *testing.T, sim *simulator.Server, kind simulator.Kind, user string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	_, err := sim.Channel("movienight").WaitFor(ctx, 0, func(e simulator.Entry) bool {
		return e.Kind == kind && e.User == user
	})
	if err != nil {
		t.Fatalf("%s of %s: %v", kind, user, err)
	}
}

// TestLeaving checks that the others see a client leave, in each way that it can.
func TestLeaving(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*socket){
		"closes the WebSocket":           func(s *socket) { _ = s.ws.CloseNow() },
		"disconnects from the namespace": func(s *socket) { s.send("41") },
		"sends what cannot be parsed":    func(s *socket) { s.send("42{") },
		"sends an event without a name":  func(s *socket) { s.send("42[]") },
		"connects twice":                 func(s *socket) { s.send("40") },
	}
	for name, leaveBy := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, url := startSimulator(t, simulator.Options{UsercountInterval: -1})
			watcher := connect(t, url)
			watcher.send(`42["joinChannel",{"name":"movienight"}]`)
			watcher.until("usercount")
			s := connect(t, url)
			s.send(`42["joinChannel",{"name":"movienight"}]`)
			s.send(`42["login",{"name":"bob"}]`)
			waitFor(t, sim, simulator.KindJoin, "bob")
			leaveBy(s)
			if got, _ := watcher.until("userLeave").(map[string]any); got["name"] != "bob" {
				t.Errorf("userLeave: %v", got)
			}
			if got := watcher.until("usercount"); got != 1.0 {
				t.Errorf("usercount: got %v, expected 1", got)
			}
		})
	}
}

func TestReconnectAfterDisconnect(t *testing.T) {
	t.Parallel()
	_, url := startSimulator(t, simulator.Options{})
	s := connect(t, url)
	s.send("41")
	s.send("40")
	if got := s.until("rank"); got != -1.0 {
		t.Errorf("rank: got %v, expected -1", got)
	}
}

func TestCloseEndsSockets(t *testing.T) {
	t.Parallel()
	sim, url := startSimulator(t, simulator.Options{})
	s := connect(t, url)
	sim.Close()
	if _, _, err := s.ws.Read(t.Context()); err == nil {
		t.Error("the connection outlived its server")
	}
	if status, _ := get(t, url+"/socket.io/?EIO=4&transport=websocket"); status != http.StatusServiceUnavailable {
		t.Errorf("a closed server answers a new socket with %d", status)
	}
}

func TestOtherTransportsAreRefused(t *testing.T) {
	t.Parallel()
	_, url := startSimulator(t, simulator.Options{})
	for query, want := range map[string]string{
		"EIO=4&transport=polling":   `{"code":0,"message":"Transport unknown"}`,
		"EIO=3&transport=websocket": `{"code":5,"message":"Unsupported protocol version"}`,
	} {
		status, body := get(t, url+"/socket.io/?"+query)
		if status != http.StatusBadRequest || body != want {
			t.Errorf("%s: got %d %s", query, status, body)
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	return call(t, http.MethodGet, url, "")
}

// call makes a request and returns the status and the body.
func call(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(answer))
}
