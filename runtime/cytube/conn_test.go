package cytube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/status"
)

// TestDialPlaysCaptures joins channels as a real server showed them.
func TestDialPlaysCaptures(t *testing.T) {
	rosey := Options{Channel: "movienight", Username: "rosey", Password: "pw-rosey"}
	tests := map[string]struct {
		options Options
		name    string // the client's name in the channel, when it gets in
		want    Error  // why it does not get in, or why the connection ends
	}{
		"evening": {options: rosey, name: "rosey", want: Error{Reason: status.ReasonServerUnreachable}},
		"kicked":  {options: rosey, name: "rosey", want: Error{Reason: status.ReasonKicked, Message: "be nice"}},
		"duplicate-login": {options: rosey, name: "rosey",
			want: Error{Reason: status.ReasonDuplicateLogin, Message: "somebody else logged in"}},
		"muted": {options: Options{Channel: "movienight", Username: "bob", Password: "pw-bob"}, name: "bob",
			want: Error{Reason: status.ReasonServerUnreachable}},
		"channel-password-given": {
			options: Options{Channel: "private", ChannelPassword: "sesame", Username: "rosey", Password: "pw-rosey"},
			name:    "rosey", want: Error{Reason: status.ReasonServerUnreachable}},
		"channel-password-wrong": {options: Options{Channel: "private", ChannelPassword: "nope", Username: "rosey"},
			want: Error{Reason: status.ReasonChannelPasswordWrong, Message: "refuses the channel password"}},
		"channel-password-asked": {options: Options{Channel: "private", Username: "rosey"},
			want: Error{Reason: status.ReasonChannelPasswordWrong, Message: "none is configured"}},
		"connect-rate-limited": {options: rosey,
			want: Error{Reason: status.ReasonConnectionLimited, Message: "Rate limit exceeded"}},
		"join-invalid-channel": {options: Options{Channel: "bad name!"},
			want: Error{Reason: status.ReasonChannelRefused, Message: "Invalid channel name"}},
		"login-guest-name-in-use": {options: Options{Channel: "movienight", Username: "sam_guest"},
			want: Error{Reason: status.ReasonNameTaken, Message: "already in use"}},
		"login-guest-rate-limited": {options: Options{Channel: "movienight", Username: "quick_two"},
			want: Error{Reason: status.ReasonLoginLimited, Message: "one per IP", RetryAfter: 2 * time.Second}},
		"login-invalid-name": {options: Options{Channel: "movienight", Username: "no spaces allowed!"},
			want: Error{Reason: status.ReasonLoginRefused, Message: "1-20 characters"}},
		"login-wrong-password": {
			options: Options{Channel: "movienight", Username: "rosey", Password: "not-the-password"},
			want:    Error{Reason: status.ReasonLoginRefused, Message: "Invalid username/password"}},
	}
	for capture, test := range tests {
		t.Run(capture, func(t *testing.T) {
			test.options.Server = playCapture(t, capture)
			conn, err := Dial(t.Context(), test.options)
			if test.name != "" {
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if conn.name != test.name {
					t.Errorf("name %q, want %q", conn.name, test.name)
				}
				err = drain(t, conn, inboundEvents(t, capture))
			}
			checkError(t, err, test.want)
			if test.options.Password != "" && strings.Contains(err.Error(), test.options.Password) {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

// inboundEvents lists the events of a capture by name, in order.
func inboundEvents(t *testing.T, capture string) []string {
	t.Helper()
	var names []string
	for _, frame := range readCapture(t, capture) {
		if payload, isEvent := strings.CutPrefix(frame.Frame, "42"); isEvent && frame.Dir == "in" {
			name, _, err := splitEvent([]byte(payload))
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
	}
	return names
}

// drain reads until the connection ends, checks that nothing was left out or changed places, and returns why it ended.
func drain(t *testing.T, conn *Conn, want []string) error {
	t.Helper()
	var got []string
	for {
		received, err := conn.Next(t.Context())
		if err != nil {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("events (-sent +received):\n%s", diff)
			}
			return err
		}
		if _, joined := received.Event.(Joined); !joined {
			got = append(got, received.Name)
		}
	}
}

func checkError(t *testing.T, err error, want Error) {
	t.Helper()
	got, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%v is not an *Error", err)
	}
	if want.Status != 0 && got.Status != want.Status {
		t.Errorf("HTTP status %d, want %d", got.Status, want.Status)
	}
	if got.Reason != want.Reason || got.RetryAfter != want.RetryAfter || !strings.Contains(got.Message, want.Message) {
		t.Errorf("reason %s, retry after %s, message %q; want %s, %s, %q",
			got.Reason, got.RetryAfter, got.Message, want.Reason, want.RetryAfter, want.Message)
	}
}

const (
	openFrame    = `0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":120000,"maxPayload":1048576}`
	connectFrame = `40{"sid":"t"}`
	emptyList    = `42["userlist",[]]`
)

// admit lets a client into the channel.
func admit(t *testing.T, ws *websocket.Conn, open string) {
	t.Helper()
	write(t, ws, open)
	read(t, ws)
	write(t, ws, connectFrame)
	read(t, ws)
	write(t, ws, emptyList)
}

func write(t *testing.T, ws *websocket.Conn, frame string) {
	t.Helper()
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		t.Errorf("server's write: %v", err)
	}
}

func read(t *testing.T, ws *websocket.Conn) string {
	t.Helper()
	_, frame, err := ws.Read(t.Context())
	if err != nil {
		t.Errorf("server's read: %v", err)
	}
	return string(frame)
}

func dialAnonymous(t *testing.T, options Options) *Conn {
	t.Helper()
	options.Channel = "movienight"
	conn, err := Dial(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	for _, want := range []Event{UserList{Users: []User{}}, Joined{}} {
		if diff := cmp.Diff(want, next(t, conn)); diff != "" {
			t.Fatalf("event on joining (-want +got):\n%s", diff)
		}
	}
	return conn
}

func next(t *testing.T, conn *Conn) Event {
	t.Helper()
	received, err := conn.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return received.Event
}

func TestMalformedFramesAreDropped(t *testing.T) {
	server := serveSocket(t, func(ws *websocket.Conn) {
		admit(t, ws, openFrame)
		write(t, ws, `42["usercount","many"]`)
		write(t, ws, `9`)
		_ = ws.Write(t.Context(), websocket.MessageBinary, []byte{1, 2, 3})
		write(t, ws, `42["usercount",4]`)
		_, _, _ = ws.Read(t.Context())
	})
	conn := dialAnonymous(t, Options{Server: server})
	for _, want := range []Event{
		Malformed{&FrameError{Kind: "usercount", Size: 6}},
		Malformed{&FrameError{Kind: "Engine.IO packet type", Size: 1}},
		Malformed{&FrameError{Kind: "binary", Size: 3}},
		UserCount{4},
	} {
		if diff := cmp.Diff(want, next(t, conn)); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	}
}

func TestPongAndSay(t *testing.T) {
	received := make(chan string, 2)
	server := serveSocket(t, func(ws *websocket.Conn) {
		admit(t, ws, openFrame)
		write(t, ws, "2")
		received <- read(t, ws)
		write(t, ws, `42["usercount",1]`)
		received <- read(t, ws)
	})
	conn := dialAnonymous(t, Options{Server: server})
	if got := <-received; got != "3" {
		t.Errorf("a ping is answered with %q", got)
	}
	next(t, conn)
	if err := conn.Say(t.Context(), "a <b> & \"c\""); err != nil {
		t.Fatal(err)
	}
	if got, want := <-received, `42["chatMsg",{"msg":"a <b> & \"c\"","meta":{}}]`; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

func TestCloseEndsTheConnection(t *testing.T) {
	ended := make(chan error, 1)
	server := serveSocket(t, func(ws *websocket.Conn) {
		admit(t, ws, openFrame)
		_, _, err := ws.Read(t.Context())
		ended <- err
	})
	conn := dialAnonymous(t, Options{Server: server})
	conn.Close()
	conn.Close()
	if err := <-ended; err == nil {
		t.Error("the server does not see the end")
	}
	if _, err := conn.Next(t.Context()); err == nil {
		t.Error("a closed connection has a next event")
	}
}

func TestSilentServer(t *testing.T) {
	server := serveSocket(t, func(ws *websocket.Conn) {
		admit(t, ws, `0{"pingInterval":200,"pingTimeout":200}`)
		_, _, _ = ws.Read(t.Context())
	})
	conn := dialAnonymous(t, Options{Server: server})
	_, err := conn.Next(t.Context())
	checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "lost: the server is silent"})
}

func TestServerThatDoesNotAnswerPings(t *testing.T) {
	gone := make(chan struct{})
	server := serveSocket(t, func(ws *websocket.Conn) {
		admit(t, ws, openFrame)
		<-gone // only a server that reads answers pings
	})
	t.Cleanup(func() { close(gone) })
	conn := dialAnonymous(t, Options{Server: server})
	conn.workers.Go(func() { conn.keepAlive(t.Context(), 10*time.Millisecond, 300*time.Millisecond) })
	_, err := conn.Next(t.Context())
	checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "lost: the server does not answer pings"})
}

func TestNextEndsWithItsContext(t *testing.T) {
	server := serveSocket(t, func(ws *websocket.Conn) {
		admit(t, ws, openFrame)
		_, _, _ = ws.Read(t.Context())
	})
	conn := dialAnonymous(t, Options{Server: server})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := conn.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next returns %v", err)
	}
	if err := conn.Say(t.Context(), "still here"); err != nil {
		t.Errorf("the connection broke with it: %v", err)
	}
}

func TestDialTimesOut(t *testing.T) {
	server := serveSocket(t, func(ws *websocket.Conn) { _, _, _ = ws.Read(t.Context()) })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := Dial(ctx, Options{Server: server, Channel: "movienight"})
	checkError(t, err, Error{Reason: status.ReasonServerUnreachable,
		Message: "does not start a Socket.IO connection: timed out"})
}

// TestAServerThatFallsSilentDoesNotDelay checks that with a server that neither reads nor writes any more, joining,
// leaving and closing end with their context, and do not wait for a close handshake.
func TestAServerThatFallsSilentDoesNotDelay(t *testing.T) {
	hang := make(chan struct{})
	mute := func(admitted bool) string {
		return serveSocket(t, func(ws *websocket.Conn) {
			if admitted {
				admit(t, ws, openFrame)
			} else {
				write(t, ws, openFrame)
				read(t, ws)
				write(t, ws, connectFrame)
			}
			<-hang
		})
	}
	joining, leaving, closing := mute(false), mute(true), mute(true)
	t.Cleanup(func() { close(hang) })
	tests := map[string]func(ctx context.Context){
		"Dial": func(ctx context.Context) {
			_, err := Dial(ctx, Options{Server: joining, Channel: "movienight"})
			checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "timed out"})
		},
		"Leave": dialAnonymous(t, Options{Server: leaving}).Leave,
		"Close": func(context.Context) { dialAnonymous(t, Options{Server: closing}).Close() },
	}
	for name, run := range tests {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		run(ctx)
		cancel()
		if took := time.Since(began); took > 3*time.Second { // a close handshake takes five
			t.Errorf("%s took %s", name, took)
		}
	}
}

func TestSocketConfig(t *testing.T) {
	tests := map[string]struct {
		status int
		body   any
		want   string
		err    Error
	}{
		"secure first": {200, servers("http://a", false, "https://b:8443", true, "https://c", true),
			"wss://b:8443/socket.io/?EIO=4&transport=websocket", Error{}},
		"none secure": {200, servers("http://a:1337/", false, "http://b", false),
			"ws://a:1337/socket.io/?EIO=4&transport=websocket", Error{}},
		"empty": {200, servers(), "", Error{Reason: status.ReasonServerUnreachable, Message: "the list of servers is empty"}},
		"no URL": {200, servers("gopher://a", true), "",
			Error{Reason: status.ReasonServerUnreachable, Message: `socket server "gopher://a"`}},
		"refused": {404, map[string]string{"error": "Channel \"x\"\n does not exist"}, "",
			Error{Reason: status.ReasonChannelRefused, Message: `Channel "x" does not exist`}},
		"other site": {200, "<html>", "",
			Error{Reason: status.ReasonServerUnreachable, Message: "is not the response of a CyTube server"}},
		"proxy": {503, "sorry", "", Error{Reason: status.ReasonServerUnreachable, Message: "503"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/socketconfig/movienight.json" {
					t.Errorf("path %s", r.URL.Path)
				}
				w.WriteHeader(test.status)
				_ = json.NewEncoder(w).Encode(test.body)
			}))
			t.Cleanup(site.Close)
			client, closeIdle := newHTTPClient(false, nil)
			t.Cleanup(closeIdle)
			got, err := socketURL(t.Context(), client, site.URL, "movienight")
			if test.want == "" {
				checkError(t, err, test.err)
				return
			}
			if err != nil || got != test.want {
				t.Errorf("%s, %v; want %s", got, err, test.want)
			}
		})
	}
}

func servers(pairs ...any) map[string]any {
	list := []map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, map[string]any{"url": pairs[i], "secure": pairs[i+1]})
	}
	return map[string]any{"servers": list}
}

// TestSecureServer checks a server that speaks HTTP/2, over which there are no WebSockets.
func TestSecureServer(t *testing.T) {
	mux := http.NewServeMux()
	site := httptest.NewUnstartedServer(mux)
	site.EnableHTTP2 = true
	site.StartTLS()
	t.Cleanup(site.Close)
	mux.HandleFunc("GET /socketconfig/{channel}", func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("asked by %s", r.Proto)
		}
		_ = json.NewEncoder(w).Encode(servers(site.URL, true))
	})
	mux.HandleFunc("GET /socket.io/", func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("accepting a WebSocket: %v", err)
			return
		}
		_, _, _ = ws.Read(t.Context())
	})
	client, closeIdle := newHTTPClient(false, nil)
	t.Cleanup(closeIdle)
	trusted, ok := site.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("the test server's client has another transport")
	}
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatal("the bot's client has another transport")
	}
	transport.TLSClientConfig = trusted.TLSClientConfig
	address, err := socketURL(t.Context(), client, site.URL, "movienight")
	must(t, err)
	ws, err := openWebSocket(t.Context(), client, address)
	must(t, err)
	must(t, ws.Close(websocket.StatusNormalClosure, ""))
}

func TestNoServer(t *testing.T) {
	site := httptest.NewServer(nil)
	site.Close()
	_, first := Dial(t.Context(), Options{Server: site.URL, Channel: "movienight"})
	checkError(t, first, Error{Reason: status.ReasonServerUnreachable, Message: "connection refused"})
	_, second := Dial(t.Context(), Options{Server: site.URL, Channel: "movienight"})
	one, _ := errors.AsType[*Error](first)
	two, _ := errors.AsType[*Error](second)
	if one.Message != two.Message {
		t.Errorf("the message changes from attempt to attempt: %q, %q", one.Message, two.Message)
	}
}

func TestJoiningRequestsHoldNoEmptyPassword(t *testing.T) {
	frame, err := encodeEvent("joinChannel", joinRequest{Name: "a"})
	if err != nil || bytes.Contains(frame, []byte("pw")) {
		t.Errorf("%s, %v", frame, err)
	}
}
