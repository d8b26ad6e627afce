package cytube

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rosey.dev/rosey/runtime/status"
)

// checkPrintable checks that what a hostile site says reaches the status and the log on one short line.
func checkPrintable(t *testing.T, err error) {
	t.Helper()
	known, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%v is not an *Error", err)
	}
	for _, text := range []string{known.Message, known.Error()} {
		if len([]rune(text)) > 800 || text != status.OneLine(text, 1000) {
			t.Errorf("%d bytes reach the status or the log: %.1000q", len(text), text)
		}
	}
}

// A site must not send the bot to a server of its choice: it may be one that only the bot can reach.
func TestRedirectsToAnotherHostOrSchemeAreNotFollowed(t *testing.T) {
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_ = json.NewEncoder(w).Encode(servers("http://127.0.0.1:1", false))
	}))
	t.Cleanup(elsewhere.Close)
	secure := httptest.NewTLSServer(elsewhere.Config.Handler)
	t.Cleanup(secure.Close)
	for _, code := range []int{301, 302, 303, 307, 308} {
		for name, target := range map[string]string{
			"host": elsewhere.URL, "host without a scheme": strings.TrimPrefix(elsewhere.URL, "http:"), "scheme": secure.URL,
		} {
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, target+"/latest/meta-data/?token=\u202e", code)
			}))
			t.Cleanup(site.Close)
			_, err := Dial(t.Context(), Options{Server: site.URL, Channel: "movienight"})
			checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "follows no redirect to another host"})
			checkPrintable(t, err)
			if asked.Load() != 0 {
				t.Fatalf("another %s was asked after a redirect with status %d", name, code)
			}
		}
	}
}

func TestRedirectsWithinTheSiteAreFollowedAFewTimes(t *testing.T) {
	mux := http.NewServeMux()
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	mux.HandleFunc("GET /socketconfig/{channel}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/moved", http.StatusFound)
	})
	mux.HandleFunc("GET /moved", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(servers("http://a", false))
	})
	loops := 0
	mux.HandleFunc("GET /loop/socketconfig/{channel}", func(w http.ResponseWriter, r *http.Request) {
		loops++
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	})
	client, closeIdle := newHTTPClient(false, nil)
	t.Cleanup(closeIdle)
	got, err := socketURL(t.Context(), client, site.URL, "movienight")
	if err != nil || !strings.HasPrefix(got, "ws://a/") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := socketURL(t.Context(), client, site.URL+"/loop", "movienight"); err == nil || loops > maxRedirects+1 {
		t.Errorf("%v after %d requests", err, loops)
	}
}

// The WebSocket, too, is opened where the site said, and nowhere else.
func TestRedirectOfTheWebSocketIsNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("another host was asked")
	}))
	t.Cleanup(elsewhere.Close)
	mux := http.NewServeMux()
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	mux.HandleFunc("GET /socketconfig/{channel}", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(servers(site.URL, false))
	})
	mux.HandleFunc("GET /socket.io/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, err := Dial(t.Context(), Options{Server: site.URL, Channel: "movienight"})
	checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "redirect"})
}

// Whoever wrote https in channel.server expects that nobody on the way can read the password.
func TestASiteOnHTTPSGetsOnlyEncryptedSockets(t *testing.T) {
	for name, test := range map[string]struct {
		list []socketServer
		want string
	}{
		"only plain ones":    {[]socketServer{{"http://a"}, {"http://b"}}, ""},
		"upper case":         {[]socketServer{{"HTTP://a"}}, ""},
		"plain WebSocket":    {[]socketServer{{"ws://a"}}, ""},
		"no scheme":          {[]socketServer{{"//a"}}, ""},
		"encrypted last":     {[]socketServer{{"http://a"}, {"://"}, {"https://b"}}, "wss://b/"},
		"password in a URL":  {[]socketServer{{"https://user:password@b"}}, ""},
		"no host":            {[]socketServer{{"https:///x"}}, ""},
		"very long host":     {[]socketServer{{"https://" + strings.Repeat("a", 10_000)}}, ""},
		"fragment and query": {[]socketServer{{"https://b/x?y#z"}}, "wss://b/x/socket.io/?EIO=4&transport=websocket"},
	} {
		got, err := choose(test.list, true)
		if (err == nil) != (test.want != "") || !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := choose([]socketServer{{"http://a"}}, false); err != nil || !strings.HasPrefix(got, "ws://a/") {
		t.Errorf("a site on http: %q, %v", got, err)
	}

	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(servers("http://127.0.0.1:1", true)) // the flag is a lie
	}))
	t.Cleanup(site.Close)
	_, err := socketURL(t.Context(), site.Client(), site.URL, "movienight")
	checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "does not log in without encryption"})
}

// A site on the Internet must not have the bot open connections in the network of the cluster.
func TestASocketInAPrivateNetworkIsRefusedToASiteOnTheInternet(t *testing.T) {
	socket := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the bot connected")
	}))
	t.Cleanup(socket.Close)
	client, closeIdle := newHTTPClient(true, nil)
	t.Cleanup(closeIdle)
	for _, host := range []string{"127.0.0.1", "localhost"} { // the name is checked where it leads to
		_, port, err := net.SplitHostPort(strings.TrimPrefix(socket.URL, "http://"))
		must(t, err)
		_, err = openWebSocket(t.Context(), client, "ws://"+net.JoinHostPort(host, port)+"/socket.io/")
		checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "in a private network"})
	}
	_, inside, err := findSocket(t.Context(), Options{Server: serveSocket(t, func(*websocket.Conn) {}), Channel: "x"})
	if err != nil || !inside {
		t.Errorf("a site on a loopback address: inside %t, %v", inside, err)
	}
}

// rawServer answers a connection with what write writes, until the client closes it.
func rawServer(t *testing.T, write func(io.Writer) error) (url string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_ = write(conn)
			}
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}

// endless writes a beginning and then the same text until the client has enough, 64 MB at most.
func endless(begin, text string, sent *atomic.Int64) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, begin)
		for err == nil && sent.Load() < 64<<20 {
			var n int
			n, err = io.WriteString(w, text)
			sent.Add(int64(n))
		}
		return err
	}
}

func TestResponsesOfASiteAreBounded(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	kilobyte := strings.Repeat("x", 1000)
	for name, test := range map[string]struct{ begin, repeat string }{
		"endless header":    {ok, "X: " + kilobyte + "\r\n"},
		"header names":      {ok, strings.Repeat("A: \r\n", 200)},
		"endless line":      {ok + "X: ", kilobyte},
		"endless status":    {"HTTP/1.1 200 ", kilobyte},
		"interim responses": {"", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 20)},
		"endless body":      {ok + "\r\n", kilobyte},
		"endless list":      {ok + "\r\n" + `{"servers":[`, strings.Repeat("{},", 300)},
		"endless error":     {"HTTP/1.1 404 Not Found\r\n\r\n" + `{"error":"`, strings.Repeat("\\u001b\u202e", 100)},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			site := rawServer(t, endless(test.begin, test.repeat, &sent))
			_, err := Dial(t.Context(), Options{Server: site, Channel: "movienight"})
			checkPrintable(t, err)
			if sent.Load() > 16<<20 { // some of it waits in buffers of the kernel
				t.Errorf("the client reads %d MiB", sent.Load()>>20)
			}
		})
	}
}

func TestTextOfASiteIsPrintable(t *testing.T) {
	const nasty = "\x1b[2J\x1b]0;title\x07\u202e\u2066"
	long := strings.Repeat(nasty, 500)
	for name, response := range map[string]string{
		"reason phrase": "HTTP/1.1 503 " + nasty + "\r\nContent-Length: 0\r\n\r\n",
		"no HTTP":       nasty + "\r\n\r\n",
		"location":      "HTTP/1.1 302 Found\r\nLocation: http://\u202e" + nasty + "%zz/\r\nContent-Length: 0\r\n\r\n",
		"length":        "HTTP/1.1 200 OK\r\nContent-Length: " + nasty + "\r\n\r\n",
		"error":         "HTTP/1.1 404 Not Found\r\n\r\n" + `{"error":` + quoted(long) + `}`,
		"socket server": "HTTP/1.1 200 OK\r\n\r\n" + `{"servers":[{"url":` + quoted("http://h"+long) + `}]}`,
		"socket host":   "HTTP/1.1 200 OK\r\n\r\n" + `{"servers":[{"url":` + quoted("http://h\u202e.invalid") + `}]}`,
		"escaped host":  "HTTP/1.1 200 OK\r\n\r\n" + `{"servers":[{"url":"http://%E2%80%AE%1b.invalid"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			site := rawServer(t, func(w io.Writer) error { _, err := io.WriteString(w, response); return err })
			_, err := Dial(t.Context(), Options{Server: site, Channel: "movienight"})
			checkPrintable(t, err)
		})
	}
}

func quoted(text string) string {
	data, _ := json.Marshal(text)
	return string(data)
}

// A site that sends one byte now and then must not hold the bot.
func TestASlowSiteTimesOut(t *testing.T) {
	for name, begin := range map[string]string{
		"nothing": "", "header": "HTTP/1.1 200 OK\r\nX: ", "body": "HTTP/1.1 200 OK\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := rawServer(t, func(w io.Writer) error {
				_, err := io.WriteString(w, begin)
				for err == nil {
					time.Sleep(10 * time.Millisecond)
					_, err = io.WriteString(w, " ")
				}
				return fmt.Errorf("the client is gone: %w", err)
			})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := Dial(ctx, Options{Server: site, Channel: "movienight"})
			checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "timed out"})
		})
	}
}
