package simulator_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// waitLimit bounds the wait for frames that should arrive at once.
const waitLimit = 10 * time.Second

// socket is a client that sends and receives raw packets.
type socket struct {
	t  *testing.T
	ws *websocket.Conn
}

func dial(t *testing.T, url string) *socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	url = "ws" + strings.TrimPrefix(url, "http") + "/socket.io/?EIO=4&transport=websocket"
	ws, response, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatalf("dialling %s: %v", url, err)
	}
	if response.Body != nil {
		_ = response.Body.Close()
	}
	ws.SetReadLimit(16 << 20)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &socket{t: t, ws: ws}
}

func (s *socket) send(packet string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), waitLimit)
	defer cancel()
	if err := s.ws.Write(ctx, websocket.MessageText, []byte(packet)); err != nil {
		s.t.Fatalf("sending %s: %v", packet, err)
	}
}

// receive returns the next packet.
func (s *socket) receive() string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), waitLimit)
	defer cancel()
	_, packet, err := s.ws.Read(ctx)
	if err != nil {
		s.t.Fatalf("receiving: %v", err)
	}
	return string(packet)
}

// until receives packets up to the first one with an event and returns its first argument.
func (s *socket) until(event string) any {
	s.t.Helper()
	for {
		if name, args := splitEvent(s.t, s.receive()); name == event {
			if len(args) == 0 {
				return nil
			}
			return args[0]
		}
	}
}

// splitEvent splits an event packet into name and arguments. For other packets the name is empty.
func splitEvent(t *testing.T, packet string) (string, []any) {
	t.Helper()
	body, ok := strings.CutPrefix(packet, "42")
	if !ok {
		return "", nil
	}
	var parts []any
	if err := json.Unmarshal([]byte(body), &parts); err != nil || len(parts) == 0 {
		t.Fatalf("event packet %s: %v", packet, err)
	}
	name, _ := parts[0].(string)
	return name, parts[1:]
}

// connect opens a socket and connects to the namespace.
func connect(t *testing.T, url string) *socket {
	t.Helper()
	s := dial(t, url)
	s.send("40")
	s.until("rank")
	return s
}
