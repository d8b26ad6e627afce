package web

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
)

// comes reads events until one of the texts comes, and returns it.
func comes(t *testing.T, events *bufio.Scanner, texts ...string) string {
	t.Helper()
	for events.Scan() {
		for _, text := range texts {
			if strings.Contains(events.Text(), text) {
				return text
			}
		}
	}
	t.Fatalf("none of %q came: %v", texts, events.Err())
	return ""
}

// TestPagesOfAnotherProcessMissNoLines is about a page that was loaded from a process that has ended since, or from
// another replica, when as many changes had happened there.
func TestPagesOfAnotherProcessMissNoLines(t *testing.T) {
	_, server, _ := newLiveServer(t)
	content := server.liveView()
	elsewhere := &Server{live: newLive()}
	elsewhere.live.version = content.lines
	for seen, want := range map[string]bool{content.Version: false, elsewhere.liveView().Version: true, "": true} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/live?seen="+seen, nil)
		messages, shown := server.firstMessages(request)
		if got := bytes.Contains(bytes.Join(messages, nil), []byte("event: lines\n")); got != want || shown != content.lines {
			t.Errorf("a page that has seen %q gets the lines: %v, version %d", seen, got, shown)
		}
	}
}

func TestTheMarkOfWhatIsLiveDoesNotStick(t *testing.T) {
	side, _, served := newLiveServer(t)
	events := openStream(t, served)
	live := side.state.Load()
	side.state.Store(&bus.ChannelState{Success: true, FeedPosition: live.FeedPosition})
	side.say("the bot leaves", 5)
	comes(t, events, ">not live<")
	side.state.Store(live) // what plays and who is there are the same as before
	side.say("the bot is back", 5)
	comes(t, events, ">live<")
}

func TestALineIsNotShownTwice(t *testing.T) {
	_, server, served := newLiveServer(t)
	events := openStream(t, served)
	natstest.Eventually(t, "the page is open", func() bool { return server.hub.count() == 1 })
	comes(t, events, "event: lines")
	known := server.liveView().lines
	for _, one := range []message{
		{body: sseMessage("line", []byte("the first messages have it")), lines: known},
		{body: sseMessage("line", []byte("it is new")), lines: known + 1},
	} {
		server.hub.send(one)
	}
	if comes(t, events, "the first messages have it", "it is new") != "it is new" {
		t.Error("a line that the page has was sent again")
	}
}

func TestWhoIsForgottenVanishesFromThePages(t *testing.T) {
	side, server, served := newLiveServer(t)
	events := openStream(t, served)
	comes(t, events, ">stored<", "stored</span>")
	side.stored.Store(&[]bus.ChatItem{{ID: "2", AtMS: 1764460000001, Username: "bob", Message: "another"}})
	side.say("after some that were lost", 5)
	comes(t, events, "another</span>")
	for _, line := range server.liveView().Lines {
		if line.Message == "stored" {
			t.Error("the line is still there")
		}
	}
}

func TestLinesThatWereHeardAreKeptUntilTheyCanBeStored(t *testing.T) {
	t.Parallel()
	now := time.Now()
	young, old := now.Add(-storingTime/2), now.Add(-2*storingTime)
	for _, test := range []struct {
		line     chatLine
		unstored time.Time
		want     bool
	}{
		{chatLine{HeardAt: young}, time.Time{}, true},
		{chatLine{HeardAt: old}, time.Time{}, false},
		{chatLine{HeardAt: old}, young, true}, // the database was away
		{chatLine{HeardAt: old}, old, false},
		{chatLine{ID: "1"}, young, false}, // it was stored, and is not any more
	} {
		if got := len(mergeLines(nil, []chatLine{test.line}, now, test.unstored)) == 1; got != test.want {
			t.Errorf("%+v: kept: %v", test, got)
		}
	}
}

// TestOpenPagesDoNotEndEachOther opens more pages than there may be, and than the server has connections.
func TestOpenPagesDoNotEndEachOther(t *testing.T) {
	side, server, served := newLiveServer(t)
	var open []*bufio.Scanner
	for range maxStrangersStreams {
		open = append(open, openStream(t, served))
	}
	natstest.Eventually(t, "all pages are open", func() bool { return server.hub.count() == maxStrangersStreams })
	for range 100 {
		if refused := openStream(t, served); !refused.Scan() || !strings.Contains(refused.Text(), "503") {
			t.Fatalf("a page above the limit: %q, %v", refused.Text(), refused.Err())
		}
	}
	side.say("you are all still there", 0)
	var reading sync.WaitGroup
	for _, events := range open {
		reading.Go(func() {
			for events.Scan() {
				if strings.Contains(events.Text(), "you are all still there") {
					return
				}
			}
			t.Errorf("an open page was ended: %v", events.Err())
		})
	}
	reading.Wait()
}

func TestHeadOpensNoStream(t *testing.T) {
	_, server, _ := newLiveServer(t)
	response := httptest.NewRecorder()
	server.Handler().ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/live", nil))
	if response.Code != http.StatusOK || response.Header().Get("Content-Type") != eventStream {
		t.Errorf("%d %v", response.Code, response.Header())
	}
}

// TestOpenPagesDoNotDelayTheEnd serves without anything that would close the streams otherwise.
func TestOpenPagesDoNotDelayTheEnd(t *testing.T) {
	_, server, _ := newLiveServer(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	events := openStream(t, &httptest.Server{Listener: listener})
	comes(t, events, "event: lines")
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if _, ok := openIn(server.hub, true); ok {
		t.Error("the streams are not ended with the server")
	}
}

// TestReadersWhoDoNotReadDoNotDelayTheEnd has a page that does not read, so that a write to it lasts, with time limits
// that nobody would wait for.
func TestReadersWhoDoNotReadDoNotDelayTheEnd(t *testing.T) {
	_, server, _ := newLiveServer(t)
	server.streamWrite, server.shutdownTimeout = time.Hour, time.Hour
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	openStream(t, &httptest.Server{Listener: listener})
	natstest.Eventually(t, "the page is open", func() bool { return server.hub.count() == 1 })
	large := message{body: bytes.Repeat([]byte("x"), 16<<20)} // more than the kernel keeps for a reader
	natstest.Eventually(t, "messages wait for the reader", func() bool {
		server.hub.send(large)
		server.hub.mu.Lock()
		defer server.hub.mu.Unlock()
		for open := range server.hub.streams {
			return len(open.messages) > 1
		}
		return false
	})
	stop()
	natstest.Eventually(t, "the server has ended", func() bool {
		select {
		case err = <-ended:
			return true
		default:
			return false
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// TestReadersWhoComeShareWhatTheyGet checks that the lines, which can be long, are in memory once.
func TestReadersWhoComeShareWhatTheyGet(t *testing.T) {
	side, server, _ := newLiveServer(t)
	first := func() (lines []byte) {
		messages, _ := server.firstMessages(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/live", nil))
		return messages[len(messages)-1]
	}
	one, other := first(), first()
	if !bytes.HasPrefix(one, []byte("event: lines\n")) || &one[0] != &other[0] {
		t.Errorf("two readers have two copies of %.20q", one)
	}
	side.say("news", 0)
	natstest.Eventually(t, "a line that came later", func() bool { return bytes.Contains(first(), []byte("news")) })
}
