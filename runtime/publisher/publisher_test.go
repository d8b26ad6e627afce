package publisher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
)

// service is a fake database service: it records the events that it receives, and replies to the publisher's request.
type service struct {
	subscriptions []*nats.Subscription

	mu   sync.Mutex
	seen []string // names, in the order of arrival
	ids  map[string]int
}

func startService(t *testing.T, client *nats.Conn) *service {
	t.Helper()
	return startServiceWith(t, client, nats.Header{bus.IDsHeader: {"once"}})
}

// startPythonService starts a service that does not know IDs.
func startPythonService(t *testing.T, client *nats.Conn) *service {
	t.Helper()
	return startServiceWith(t, client, nil)
}

func startServiceWith(t *testing.T, client *nats.Conn, header nats.Header) *service {
	t.Helper()
	s := &service{ids: map[string]int{}}
	s.subscribe(t, client, "rosey.db.user.joined", s.take)
	s.subscribe(t, client, "rosey.db.messages.outbound.get", func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Data: []byte("[]"), Header: header})
	})
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *service) subscribe(t *testing.T, client *nats.Conn, subject string, handle nats.MsgHandler) {
	t.Helper()
	subscription, err := client.Subscribe(subject, handle)
	if err != nil {
		t.Fatal(err)
	}
	s.subscriptions = append(s.subscriptions, subscription)
}

func (s *service) take(m *nats.Msg) {
	var payload bus.UserPayload
	_ = json.Unmarshal(m.Data, &payload)
	s.mu.Lock()
	defer s.mu.Unlock()
	id := m.Header.Get(bus.MsgIDHeader)
	if s.ids[id]++; s.ids[id] == 1 {
		s.seen = append(s.seen, payload.Username)
	}
}

// names returns the users of all messages in the order of arrival, each message ID once.
func (s *service) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

func (s *service) repeated() (count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.ids {
		count += times - 1
	}
	return count
}

func (s *service) stop(t *testing.T, client *nats.Conn) {
	t.Helper()
	for _, subscription := range s.subscriptions {
		if err := subscription.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
}

func runPublisher(t *testing.T, o publisher.Options) *publisher.Publisher {
	t.Helper()
	o.Subjects, o.Log = roseySubjects(t), natstest.Log(t)
	p := publisher.New(o)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return p
}

// joined publishes an event whose ID and user are name.
func joined(p *publisher.Publisher, name string) {
	p.Publish(context.Background(), bus.UserJoined, name, bus.UserPayload{Username: name})
}

func numbered(from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprintf("user%05d", i))
	}
	return names
}

func waitForNames(t *testing.T, s *service, want []string) {
	t.Helper()
	natstest.Eventually(t, fmt.Sprintf("%d messages", len(want)), func() bool { return len(s.names()) >= len(want) })
	if diff := cmp.Diff(want, s.names()); diff != "" {
		t.Error(diff)
	}
}

func TestMessagesWaitForAServiceAndKeepTheirOrder(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	registry := prometheus.NewPedanticRegistry()
	p := runPublisher(t, publisher.Options{Conn: connect(t, server.URL()), Registerer: registry})
	names := numbered(0, 1000)
	for _, name := range names[:500] {
		joined(p, name)
	}
	check := waitForReason(t, p.Check, status.ReasonServiceAbsent)
	want := "no database service answers on rosey.db.…; events are kept until one answers"
	if check.OK || check.Message != want || check.Name != status.ServiceCheck {
		t.Errorf("%+v, want message %q", check, want)
	}

	client := server.Client()
	s := startService(t, client)
	for _, name := range names[500:] {
		joined(p, name)
	}
	waitForNames(t, s, names)
	if check := waitForReason(t, p.Check, status.ReasonServiceAnswers); !check.OK {
		t.Errorf("%+v, want OK", check)
	}
	if s.repeated() != 0 {
		t.Errorf("%d messages came twice without a failure", s.repeated())
	}
	if got, err := testutil.GatherAndCount(registry, "rosey_bus_published_total"); err != nil || got != len(bus.Events) {
		t.Errorf("published by subject: %d series, %v", got, err)
	}
}

func TestNothingIsLostWhileTheServiceIsAway(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, *nats.Conn) *service{
		"with ids": startService, "without ids": startPythonService,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t)
			p := runPublisher(t, publisher.Options{Conn: connect(t, server.URL())})
			client := server.Client()
			first := start(t, client)
			joined(p, "a")
			waitForNames(t, first, []string{"a"})

			first.stop(t, client)
			// The publisher does not know yet that the service is absent.
			joined(p, "b")
			joined(p, "c")
			waitForReason(t, p.Check, status.ReasonServiceAbsent)

			second := start(t, client)
			waitForNames(t, second, []string{"b", "c"})
		})
	}
}

func TestNothingIsLostWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := connect(t, server.URL())
	p := runPublisher(t, publisher.Options{Conn: conn})
	client := server.Client()
	s := startService(t, client)
	joined(p, "before")
	waitForNames(t, s, []string{"before"})

	server.Stop()
	want := append([]string{"before"}, numbered(0, 600)...)
	for _, name := range want[1:] {
		joined(p, name)
	}
	waitForReason(t, p.Check, status.ReasonServiceAbsent)
	server.Restart()
	natstest.Eventually(t, "the service's connection", client.IsConnected)
	waitForNames(t, s, want)
}

// A server that is stopped while messages are published loses some of them; none may be missing in the end.
func TestNothingIsLostOnTheWire(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runPublisher(t, publisher.Options{Conn: connect(t, server.URL())})
	s := startService(t, server.Client())
	names := numbered(0, 3000)
	for i, name := range names {
		joined(p, name)
		if i == 1050 || i == 2050 {
			server.Restart()
		}
		if i%100 == 0 {
			natstest.Eventually(t, "messages to arrive", func() bool { return len(s.names()) >= i-100 })
		}
	}
	waitForNames(t, s, names)
}

func TestFullBufferDropsTheOldestAndCounts(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	registry := prometheus.NewPedanticRegistry()
	p := runPublisher(t, publisher.Options{
		Conn: connect(t, server.URL()), Buffer: 5, Registerer: registry,
	})
	for _, name := range numbered(0, 12) {
		joined(p, name)
	}
	want := "# HELP rosey_bus_dropped_total Messages that were neither published nor stored, by reason: " +
		"buffer_full, too_large, invalid or refused.\n" +
		"# TYPE rosey_bus_dropped_total counter\n" +
		"rosey_bus_dropped_total{reason=\"buffer_full\"} 7\nrosey_bus_dropped_total{reason=\"invalid\"} 0\n" +
		"rosey_bus_dropped_total{reason=\"refused\"} 0\nrosey_bus_dropped_total{reason=\"too_large\"} 0\n" +
		"# HELP rosey_bus_buffered Messages that wait for the stream, for a database service, " +
		"or for the database that the bot has open itself.\n" +
		"# TYPE rosey_bus_buffered gauge\nrosey_bus_buffered 5\n"
	err := testutil.GatherAndCompare(registry, strings.NewReader(want), "rosey_bus_dropped_total", "rosey_bus_buffered")
	if err != nil {
		t.Error(err)
	}
	waitForNames(t, startService(t, server.Client()), numbered(7, 12))
}

func TestAMessageThatCannotBeSentDoesNotBlockOthers(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runPublisher(t, publisher.Options{Conn: connect(t, server.URL())})
	s := startService(t, server.Client())
	joined(p, strings.Repeat("x", 2<<20))
	p.Publish(t.Context(), bus.UserJoined, "bad", make(chan int))
	joined(p, "good")
	waitForNames(t, s, []string{"good"})
}

func TestFlush(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runPublisher(t, publisher.Options{Conn: connect(t, server.URL())})
	joined(p, "a")
	joined(p, "b")
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := p.Flush(short)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 messages") {
		t.Errorf("without a service: %v", err)
	}
	s := startService(t, server.Client())
	if err := p.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	waitForNames(t, s, []string{"a", "b"})
	if err := p.Flush(t.Context()); err != nil {
		t.Errorf("with nothing to send: %v", err)
	}
}

// A service that is only slow has already received the messages. One that does not know IDs must not get them again,
// and is asked before they are published; one that does gets them again, since it may have been killed instead.
func TestASlowService(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header   nats.Header
		repeated int
	}{
		"without ids": {nil, 0},
		"with ids":    {nats.Header{bus.IDsHeader: {"once"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t)
			client := server.Client()
			s := &service{ids: map[string]int{}}
			var asked atomic.Int32
			s.subscribe(t, client, "rosey.db.user.joined", s.take)
			s.subscribe(t, client, "rosey.db.messages.outbound.get", func(m *nats.Msg) {
				// The first request finds the service. The second is sent after the batch or, without IDs, before it.
				if asked.Add(1) != 2 {
					_ = m.RespondMsg(&nats.Msg{Data: []byte("[]"), Header: test.header})
				}
			})
			if err := client.Flush(); err != nil {
				t.Fatal(err)
			}
			p := runPublisher(t, publisher.Options{Conn: connect(t, server.URL())})
			joined(p, "a")
			natstest.Eventually(t, "the third request", func() bool { return asked.Load() >= 3 })
			joined(p, "b")
			waitForNames(t, s, []string{"a", "b"})
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := s.repeated(); got != test.repeated {
				t.Errorf("%d messages repeated, want %d", got, test.repeated)
			}
		})
	}
}

// What was on its way to a service that does not know IDs when the connection broke may have been stored: it is not
// published again.
func TestAServiceWithoutIDsGetsNothingTwice(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	client := server.Client()
	s := &service{ids: map[string]int{}}
	var restarted atomic.Bool
	// One subscription receives events and requests in their order.
	s.subscribe(t, client, "rosey.db.>", func(m *nats.Msg) {
		switch {
		case m.Reply == "":
			s.take(m)
		case len(s.names()) == 0 || restarted.Load():
			_ = m.Respond([]byte("[]"))
		}
	})
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, publisher.Options{Conn: connect(t, server.URL())})
	joined(p, "a")
	waitForNames(t, s, []string{"a"})
	server.Restart()
	restarted.Store(true)
	joined(p, "b")
	waitForNames(t, s, []string{"a", "b"})
	if s.repeated() != 0 {
		t.Errorf("%d came twice", s.repeated())
	}
}

// A stream of all subjects acknowledges requests as if it were a service.
func TestAStreamIsNotTakenForAService(t *testing.T) {
	server := natstest.Start(t)
	client := server.Client()
	_, err := client.Subscribe("rosey.>", func(m *nats.Msg) { _ = m.Respond([]byte(`{"stream":"ALL","seq":7}`)) })
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
	p := runPublisher(t, publisher.Options{Conn: connect(t, server.URL())})
	check := waitForReason(t, p.Check, status.ReasonStreamCapturesRequests)
	if check.OK || !strings.Contains(check.Message, "the stream ALL takes requests on rosey.db.messages.outbound.get") {
		t.Errorf("%+v", check)
	}
}
