package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// channelSide answers as a bot and a database service do, and publishes what happens in the channel.
type channelSide struct {
	t        *testing.T
	conn     *nats.Conn
	subjects bus.Subjects
	number   uint64
	// asked counts the requests for stored lines.
	asked atomic.Int64
	state atomic.Pointer[bus.ChannelState]
	// stored are the stored lines.
	stored atomic.Pointer[[]bus.ChatItem]
	// database answers requests for stored lines.
	database *nats.Subscription
}

func (c *channelSide) answer(suffix bus.Suffix, reply func() any) *nats.Subscription {
	c.t.Helper()
	subscription, err := c.conn.Subscribe(c.subjects.Subject(suffix), func(request *nats.Msg) {
		body, err := json.Marshal(reply())
		if err == nil {
			err = request.Respond(body)
		}
		if err != nil {
			c.t.Error(err)
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return subscription
}

// say publishes a line. skipped events get numbers and are lost.
func (c *channelSide) say(text string, skipped uint64) {
	c.t.Helper()
	c.number += 1 + skipped
	body := fmt.Sprintf(`{"event":"message","user":"nora","content":%q,"timestamp":1764460800,`+
		`"platform_data":{"time":%d},"bot_start_ms":1,"number":%d}`, text, 1764460800000+c.number, c.number)
	if err := c.conn.Publish(c.subjects.Subject(bus.FeedEvents("movienight", "message")), []byte(body)); err != nil {
		c.t.Fatal(err)
	}
}

// newLiveServer serves public pages of a channel whose bot and database service a test plays.
func newLiveServer(t *testing.T) (*channelSide, *Server, *httptest.Server) {
	t.Helper()
	nats := natstest.Start(t)
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	connect := func() *bus.Conn {
		conn, err := bus.Connect(t.Context(), bus.Options{URL: nats.URL(), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		return conn
	}
	side := &channelSide{t: t, conn: connect().NATS(), subjects: subjects}
	side.state.Store(&bus.ChannelState{
		Success: true, Joined: true, FeedPosition: bus.FeedPosition{BotStart: 1}, Users: []bus.ChannelUser{{Name: "nora"}},
		UserCount: 1, Connected: 3,
	})
	side.stored.Store(&[]bus.ChatItem{{ID: "1", AtMS: 1764460000000, Username: "nora", Message: "stored"}})
	side.answer(bus.ChannelGet("movienight"), func() any { return side.state.Load() })
	side.database = side.answer(bus.QueryChat, func() any {
		side.asked.Add(1)
		return bus.ChatReply{Success: true, Items: *side.stored.Load()}
	})
	if err := side.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	server := New(Options{
		Config: public(), Channel: config.Channel{Server: "https://cytu.be", Name: "movienight"}, Conn: connect(),
		Subjects: subjects, Log: log,
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	served := httptest.NewUnstartedServer(server.Handler())
	served.Config = status.NewServer(server.Handler(), "", log)
	served.Start()
	t.Cleanup(func() { cancel(); running.Wait(); served.Close() })
	natstest.Eventually(t, "the page is live", func() bool {
		content := server.liveView()
		return content.Trouble == "" && content.State != nil && len(content.Lines) == 1
	})
	return side, server, served
}

// openStream requests the events of the page, and returns what comes, line by line.
func openStream(t *testing.T, served *httptest.Server) *bufio.Scanner {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", served.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil { // or a test would wait for ever
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(conn, "GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return bufio.NewScanner(conn)
}

// TestALineReachesEveryOpenPage opens 200 pages, a quarter of which never read.
func TestALineReachesEveryOpenPage(t *testing.T) {
	side, server, served := newLiveServer(t)
	const pages, silent, lines = 200, 50, 100
	var reading sync.WaitGroup
	for i := range pages {
		events := openStream(t, served)
		if i < silent {
			continue // nobody reads
		}
		reading.Go(func() {
			for events.Scan() {
				if strings.Contains(events.Text(), "the last line") {
					return
				}
			}
			t.Errorf("a page never got the last line: %v", events.Err())
		})
	}
	natstest.Eventually(t, "all pages are open", func() bool { return server.hub.count() == pages })
	for i := range lines {
		side.say(fmt.Sprintf("line %d", i), 0)
	}
	side.say("the last line", 0)
	reading.Wait()
}

func TestTheStateIsAskedForAgainAfterAGap(t *testing.T) {
	side, server, _ := newLiveServer(t)
	side.say("the first", 0)
	natstest.Eventually(t, "the first line", func() bool { return len(server.liveView().Lines) == 2 })
	before := side.asked.Load()
	side.state.Store(&bus.ChannelState{
		Success: true, Joined: true, FeedPosition: bus.FeedPosition{BotStart: 1, Number: 9}, UserCount: 2, Connected: 2,
		Users: []bus.ChannelUser{{Name: "nora"}, {Name: "newcomer"}},
	})
	side.say("after some that were lost", 7)
	natstest.Eventually(t, "the newcomer, and the lines of the database", func() bool {
		return len(server.liveView().Users) == 2 && side.asked.Load() > before && len(server.liveView().Lines) == 3
	})
}

func TestThePageSaysWhyNothingIsLive(t *testing.T) {
	side, server, served := newLiveServer(t)
	events := openStream(t, served)
	side.state.Store(&bus.ChannelState{
		Success: true, FeedPosition: bus.FeedPosition{BotStart: 2}, Check: status.Check{Message: "kicked <b>by</b> nora"},
	})
	side.say("something happens", 5)
	for events.Scan() {
		if strings.Contains(events.Text(), "kicked &lt;b&gt;by&lt;/b&gt; nora") {
			break
		}
	}
	if content := server.liveView(); content.State == nil || len(content.Lines) == 0 {
		t.Error("the page no longer shows what it has")
	}
}

func TestAnOpenPageSaysThatTheDatabaseIsAway(t *testing.T) {
	side, server, served := newLiveServer(t)
	events := openStream(t, served)
	comes(t, events, "event: lines") // the last of what a page gets at first
	if err := errors.Join(side.database.Unsubscribe(), side.conn.Flush()); err != nil {
		t.Fatal(err)
	}
	// Whoever asks for something that is stored notices it, and all are told.
	response, body := send(t, served, "GET", "/chat", "")
	since := "The database has not answered since <time"
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, since) ||
		!strings.Contains(body, `http-equiv="refresh"`) {
		t.Errorf("a page that lacks something: %d %s", response.StatusCode, body)
	}
	comes(t, events, since)
	if content := server.liveView(); content.Trouble != "" || len(content.Lines) == 0 {
		t.Error("the page no longer shows what it has")
	}
	side.database = side.answer(bus.QueryChat, func() any {
		return bus.ChatReply{Success: true, Items: *side.stored.Load()}
	})
	comes(t, events, "event: state")
	if since := server.liveView().AwayMS; since != 0 {
		t.Errorf("the database is back, and away since %d", since)
	}
}

func TestAProcessThatKnowsNothingTakesNothingFromAPage(t *testing.T) {
	t.Parallel()
	server := New(Options{Config: public(), Log: slog.New(slog.DiscardHandler)})
	request := httptest.NewRequestWithContext(t.Context(), "GET", "/live?seen=of-another-process", nil)
	if messages, _ := server.firstMessages(request); len(messages) != 1 {
		t.Errorf("an open page gets %q", messages)
	}
}
