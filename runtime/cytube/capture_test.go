package cytube

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// captureDir holds connections recorded from a real server, one line for each WebSocket frame.
const captureDir = "../../hack/cytube/simulator/testdata/captures"

type capturedFrame struct {
	Dir   string `json:"dir"`
	Frame string `json:"frame"`
}

func readCapture(t testing.TB, name string) []capturedFrame {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(captureDir, name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var frames []capturedFrame
	for line := range bytes.Lines(data) {
		var frame capturedFrame
		if err := json.Unmarshal(line, &frame); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		frames = append(frames, frame)
	}
	return frames
}

// playCapture serves a capture once: what the real server sent is sent, and what the recorded client
// sent for joining must come from the client under test, byte for byte, before the rest is sent.
func playCapture(t *testing.T, name string) string {
	t.Helper()
	frames := readCapture(t, name)
	return serveSocket(t, func(ws *websocket.Conn) {
		for _, frame := range frames {
			switch {
			case frame.Dir == "in":
				if ws.Write(t.Context(), websocket.MessageText, []byte(frame.Frame)) != nil {
					return
				}
			case frame.Dir == "out" && isJoining(frame.Frame):
				_, got, err := ws.Read(t.Context())
				if err != nil {
					return
				}
				if string(got) != frame.Frame {
					t.Errorf("client sent %s, the recorded one %s", got, frame.Frame)
				}
			}
		}
	})
}

// isJoining reports whether a client sends a frame unasked while it joins.
func isJoining(frame string) bool {
	for _, prefix := range []string{"40", "3", `42["joinChannel"`, `42["login"`} {
		if strings.HasPrefix(frame, prefix) {
			return true
		}
	}
	return false
}

// serveSocket serves a site whose socket does what serve does, and returns the site's URL.
func serveSocket(t *testing.T, serve func(*websocket.Conn)) string {
	t.Helper()
	mux := http.NewServeMux()
	site := httptest.NewServer(mux)
	mux.HandleFunc("GET /socketconfig/{channel}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"servers":[{"url":"` + site.URL + `","secure":false}]}`))
	})
	mux.HandleFunc("GET /socket.io/", func(w http.ResponseWriter, r *http.Request) {
		if query := r.URL.RawQuery; query != "EIO=4&transport=websocket" {
			t.Errorf("query %s", query)
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("accepting a WebSocket: %v", err)
			return
		}
		defer func() { _ = ws.CloseNow() }()
		serve(ws)
		_ = ws.Close(websocket.StatusNormalClosure, "")
	})
	t.Cleanup(site.Close)
	return site.URL
}
