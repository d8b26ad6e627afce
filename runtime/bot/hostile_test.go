package bot

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// hostileServer is a CyTube server that does as it likes. It lets the bot in and calls serve.
func hostileServer(t *testing.T, serve func(ws *websocket.Conn)) (url string) {
	t.Helper()
	mux := http.NewServeMux()
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	mux.HandleFunc("GET /socketconfig/{channel}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"servers":[{"url":%q}]}`, site.URL)
	})
	mux.HandleFunc("GET /socket.io/", func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		for _, frame := range []string{`0{"pingInterval":25000,"pingTimeout":120000}`, `40{"sid":"x"}`} {
			if ws.Write(r.Context(), websocket.MessageText, []byte(frame)) != nil {
				return
			}
		}
		serve(ws)
	})
	return site.URL
}

// say sends frames, or stops when the bot is gone.
func say(t *testing.T, ws *websocket.Conn, frames ...string) {
	t.Helper()
	for _, frame := range frames {
		if ws.Write(t.Context(), websocket.MessageText, []byte(frame)) != nil {
			return
		}
	}
}

// Whatever a server writes into its events, rows are those of the configured channel, and no later than now.
func TestServerCausesRowsOnlyForItsOwnChannel(t *testing.T) {
	r := newRig(t)
	r.config.Account = nil
	r.config.Channel.Server = hostileServer(t, func(ws *websocket.Conn) {
		say(t, ws, `42["userlist",[{"name":"alice","channel":"elsewhere","server":"https://other.example"}]]`,
			`42["chatMsg",{"username":"alice","msg":"hi","time":253402300798999,"channel":"elsewhere","server":"x",`+
				`"meta":{"channel":"elsewhere"}}]`,
			`42["chatMsg",{"username":"alice","msg":"before","time":-1e300}]`,
			`42["addUser",{"name":"bob","channel":"elsewhere"}]`, `42["userLeave",{"name":"bob","channel":"elsewhere"}]`,
			`42["usercount",9]`, `42["changeMedia",{"id":"x","type":"yt","title":"T","seconds":1e308,"channel":"elsewhere"}]`)
		_, _, _ = ws.Read(t.Context())
	})
	r.start()
	r.eventually("rows", func() bool {
		return len(r.service.on(bus.StatsHighWater)) > 1 && len(r.service.on(bus.UserLeft)) > 0
	})
	for _, suffix := range bus.Events {
		for _, event := range r.service.on(suffix) {
			if event.Payload["channel"] != "movienight" || event.Payload["server"] != r.config.Channel.Server {
				t.Errorf("%s: %v", suffix, event.Payload)
			}
		}
	}
}

// A server that ends every connection at once must not be asked again without a pause, which grows: TestPauses.
func TestServerThatClosesAtOnceIsNotAskedAtOnce(t *testing.T) {
	for name, serve := range map[string]func(ws *websocket.Conn){
		"after the join":   func(ws *websocket.Conn) { say(t, ws, `42["userlist",[]]`, "1") },
		"in the handshake": func(*websocket.Conn) {},
		"kick":             func(ws *websocket.Conn) { say(t, ws, `42["userlist",[]]`, `42["kick",{"reason":"x"}]`, "41") },
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int64
			r := newRig(t)
			r.config.Account = nil
			r.timings.RetryMin, r.timings.RetryMax = time.Hour, time.Hour
			r.config.Channel.Server = hostileServer(t, func(ws *websocket.Conn) { connections.Add(1); serve(ws) })
			r.start()
			r.eventually("a failure", func() bool {
				return r.reconnects(status.ReasonServerUnreachable)+r.reconnects(status.ReasonDisconnected)+
					r.reconnects(status.ReasonKicked) == 1
			})
			must(t, r.stop())
			if made := connections.Load(); made != 1 {
				t.Errorf("%d connections", made)
			}
		})
	}
}

// A flood of large events that nobody on NATS takes must not fill the memory.
func TestFeedIsBoundedInBytes(t *testing.T) {
	r := newRig(t)
	connection, _ := r.make()
	t.Cleanup(connection.Close)
	f := r.bot.feed
	event := feedEvent{Event: "motd", PlatformData: json.RawMessage(`"` + strings.Repeat("x", 500_000) + `"`)}
	for range 100 {
		f.offer(event, time.Now()) // nobody publishes them
	}
	if waiting := len(f.queue); waiting == 0 || int64(waiting)*event.size() > feedBytes {
		t.Errorf("%d events of %d bytes wait", waiting, event.size())
	}
	for len(f.queue) > 0 {
		f.room.Release((<-f.queue).size)
	}
	if !f.room.TryAcquire(feedBytes) {
		t.Error("room is not given back")
	}
}
