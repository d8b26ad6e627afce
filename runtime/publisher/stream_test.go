package publisher_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
)

// runDurable runs a publisher with a stream, and with room for everything that a test publishes.
func runDurable(t *testing.T, nats *natstest.Server) *publisher.Publisher {
	t.Helper()
	conn := connect(t, nats.URL())
	return runPublisher(t, publisher.Options{Conn: conn, Binding: bind(t, conn), Buffer: 1_000_000})
}

// keptNames returns the users of the events in the stream, in its order.
func keptNames(t *testing.T, nats *natstest.Server) (names []string) {
	t.Helper()
	stream, err := jetStream(t, nats).Stream(t.Context(), "rosey_events")
	must(t, err)
	for sequence := range stream.CachedInfo().State.LastSeq {
		m, err := stream.GetMsg(t.Context(), sequence+1)
		must(t, err)
		names = append(names, bus.EventID(m.Header.Get(bus.MsgIDHeader), bus.UserJoined))
	}
	return names
}

// With a stream no service is needed, and the server may stop: every event is kept once, in order.
func TestTheStreamKeepsEverythingOnceInOrder(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	p := runDurable(t, nats)
	names := numbered(0, 4000)
	for i, name := range names {
		joined(p, name)
		if i == 1000 || i == 3000 {
			must(t, p.Flush(t.Context()))
			nats.Stop()
		}
		if i == 1500 || i == 3500 {
			nats.Restart()
		}
	}
	must(t, p.Flush(t.Context()))
	if got := keptNames(t, nats); !slices.Equal(names, got) {
		t.Errorf("%d events kept, want %d in order", len(got), len(names))
	}
	check := waitForReason(t, p.Check, status.ReasonServiceAbsent)
	if !strings.Contains(check.Message, "the stream keeps events until one does") {
		t.Errorf("%+v", check)
	}
}

// A server that is stopped while events are published leaves some unacknowledged. None may be missing, none kept twice.
func TestUnacknowledgedEventsArePublishedAgain(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	p := runDurable(t, nats)
	stop, published := make(chan struct{}), make(chan []string)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		var names []string
		for {
			select {
			case <-stop:
				published <- names
				return
			case <-tick.C:
			}
			for _, name := range numbered(len(names), len(names)+2) {
				joined(p, name)
				names = append(names, name)
			}
		}
	}()
	for range 5 {
		must(t, p.Flush(t.Context()))
		nats.Restart()
	}
	must(t, p.Flush(t.Context()))
	close(stop)
	names := <-published
	must(t, p.Flush(t.Context()))
	got := keptNames(t, nats)
	slices.Sort(got)
	if !slices.Equal(names, got) {
		t.Errorf("%d events kept, want each of %d once", len(got), len(names))
	}
}

// A service that does not know IDs gets each event once, also if there is a stream.
func TestAServiceWithoutIDsGetsEachEventOnce(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	s := startPythonService(t, nats.Client())
	p := runDurable(t, nats)
	waitForReason(t, p.Check, status.ReasonServiceAnswers)
	names := numbered(0, 500)
	for _, name := range names {
		joined(p, name)
	}
	waitForNames(t, s, names)
	if s.repeated() != 0 {
		t.Errorf("%d came twice", s.repeated())
	}
}

// Such a service reads no stream: events wait until it is back.
func TestAServiceWithoutIDsIsWaitedFor(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	client := nats.Client()
	first := startPythonService(t, client)
	conn := connect(t, nats.URL())
	p := runPublisher(t, publisher.Options{Conn: conn, Binding: bind(t, conn)})
	waitForReason(t, p.Check, status.ReasonServiceAnswers)
	joined(p, "a")
	waitForNames(t, first, []string{"a"})
	first.stop(t, client)
	joined(p, "b")
	waitForReason(t, p.Check, status.ReasonServiceAbsent)
	asked := conn.NATS().Stats().OutMsgs
	natstest.Eventually(t, "the publisher looks for a service", func() bool {
		return conn.NATS().Stats().OutMsgs > asked+3
	})
	joined(p, "c")
	waitForNames(t, startPythonService(t, client), []string{"b", "c"})
}

// A service that starts later than the bot gets what went to the stream before, in order and once: one without IDs by
// core NATS, and one of ours from the stream alone.
func TestEventsBeforeTheFirstAnswerReachTheService(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, *nats.Conn) *service{
		"without IDs": startPythonService, "with IDs": startService,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t, natstest.JetStream(t))
			p := runDurable(t, server)
			names := numbered(0, 300)
			for _, name := range names[:200] {
				joined(p, name)
			}
			must(t, p.Flush(t.Context()))
			s := start(t, server.Client())
			waitForReason(t, p.Check, status.ReasonServiceAnswers)
			for _, name := range names[200:] {
				joined(p, name)
			}
			must(t, p.Flush(t.Context()))
			want := names
			if name == "with IDs" { // it would read the first ones from the stream
				want = names[200:]
			}
			waitForNames(t, s, want)
			if s.repeated() != 0 {
				t.Errorf("%d came twice", s.repeated())
			}
			if got := keptNames(t, server); !slices.Equal(names, got) {
				t.Errorf("%d events kept, want %d in order", len(got), len(names))
			}
		})
	}
}

// A stream that a service of ours has consumed belongs to it: one without IDs, which answers first by chance, must not
// get its events.
func TestEventsOfAConsumedStreamAreNotPublishedAgain(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.JetStream(t))
	conn := connect(t, server.URL())
	bound, err := bind(t, conn).Bind(t.Context())
	must(t, err)
	consumer := jetstream.ConsumerConfig{Durable: "rosey_db", AckPolicy: jetstream.AckExplicitPolicy}
	_, err = bound.Stream.CreateConsumer(t.Context(), consumer)
	must(t, err)
	p := runDurable(t, server)
	joined(p, "early")
	must(t, p.Flush(t.Context()))
	s := startPythonService(t, server.Client())
	waitForReason(t, p.Check, status.ReasonServiceAnswers)
	joined(p, "later")
	waitForNames(t, s, []string{"later"})
}

// stoppedAfterAnswer returns a publisher with a stream, and the service that has just stopped after it had answered.
func stoppedAfterAnswer(t *testing.T) (*publisher.Publisher, *nats.Conn, *service) {
	t.Helper()
	server := natstest.Start(t, natstest.JetStream(t))
	client := server.Client()
	s := startService(t, client)
	p := runDurable(t, server)
	waitForReason(t, p.Check, status.ReasonServiceAnswers)
	s.stop(t, client)
	return p, client, s
}

// A service that ends or hangs is reported although the stream takes all events and nothing needs the service.
func TestAServiceThatEndsIsReportedInSpiteOfTheStream(t *testing.T) {
	t.Parallel()
	p, client, _ := stoppedAfterAnswer(t)
	natstest.Within(t, 30*time.Second, "the service is reported absent", func() bool {
		return p.Check().Reason == status.ReasonServiceAbsent
	})
	startService(t, client)
	waitForReason(t, p.Check, status.ReasonServiceAnswers)
}

func TestAServiceThatHangsIsReportedInSpiteOfTheStream(t *testing.T) {
	t.Parallel()
	p, client, s := stoppedAfterAnswer(t)
	s.subscribe(t, client, "rosey.db.messages.outbound.get", func(*nats.Msg) {})
	must(t, client.Flush())
	natstest.Within(t, 30*time.Second, "the missing replies are reported", func() bool {
		return strings.Contains(p.Check().Message, "does not answer in time")
	})
}

// A rolling update of the service must not make bots not ready.
func TestAServiceThatRestartsIsNotReported(t *testing.T) {
	t.Parallel()
	p, _, _ := stoppedAfterAnswer(t)
	time.Sleep(7 * time.Second) // an answer is overdue after 5 to 6 seconds
	if check := p.Check(); !check.OK {
		t.Errorf("during the restart: %+v", check)
	}
}

// One that answers is asked every few seconds at most.
func TestAnIdlePublisherSendsFewRequests(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	startService(t, server.Client())
	conn := connect(t, server.URL())
	p := runPublisher(t, publisher.Options{Conn: conn})
	waitForReason(t, p.Check, status.ReasonServiceAnswers)
	before := conn.NATS().Stats().OutMsgs
	time.Sleep(3 * time.Second)
	if requests := conn.NATS().Stats().OutMsgs - before; requests > 1 {
		t.Errorf("%d requests within 3 s", requests)
	}
}

func sent(p *publisher.Publisher, id int64) {
	p.Publish(context.Background(), bus.OutboundSent, fmt.Sprint(id), bus.OutboundSentPayload{MessageID: &id})
}

func failed(p *publisher.Publisher, id int64) {
	p.Publish(context.Background(), bus.OutboundFailed, fmt.Sprint(id), bus.OutboundFailedPayload{
		MessageID: &id, RetryCount: new(0),
	})
}

// Reports of outbound lines are events like all others: the stream takes them in their place between the others, and
// Flush does not wait for a service to acknowledge them.
func TestReportsGoToTheStream(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	p := runDurable(t, nats)
	joined(p, "alice")
	sent(p, 7)
	failed(p, 8)
	joined(p, "bob")
	short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	must(t, p.Flush(short))
	stream, err := jetStream(t, nats).Stream(t.Context(), "rosey_events")
	must(t, err)
	for i, want := range []bus.Suffix{bus.UserJoined, bus.OutboundSent, bus.OutboundFailed, bus.UserJoined} {
		m, err := stream.GetMsg(t.Context(), uint64(i+1))
		must(t, err)
		if got, _ := roseySubjects(t).Suffix(m.Subject); got != want {
			t.Errorf("message %d is %s, want %s", i+1, got, want)
		}
	}
}

// When the publisher changed from the stream to core NATS, reports once stayed in a queue of their own and held up
// Flush. Here a service without IDs makes it change.
func TestReportsSurviveTheChangeToCoreNATS(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.JetStream(t))
	p := runDurable(t, server)
	sent(p, 1)
	must(t, p.Flush(t.Context()))
	client := server.Client()
	got := make(chan string, 100)
	new(service).subscribe(t, client, "rosey.db.messages.outbound.mark_sent", func(m *nats.Msg) {
		got <- string(m.Data)
	})
	s := startPythonService(t, client)
	waitForReason(t, p.Check, status.ReasonServiceAnswers)
	sent(p, 2)
	joined(p, "alice")
	short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	must(t, p.Flush(short))
	waitForNames(t, s, []string{"alice"})
	// The first one too, because the service has not read it from the stream.
	if len(got) != 2 || <-got != `{"message_id":1}` || <-got != `{"message_id":2}` {
		t.Errorf("%d reports came after the change, want both once", len(got))
	}
}

// A full second queue once dropped reports without a trace, and its messages were missing in rosey_bus_buffered.
func TestDroppedReportsAreCounted(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.JetStream(t))
	conn := connect(t, server.URL())
	registry := prometheus.NewPedanticRegistry()
	p := runPublisher(t, publisher.Options{Conn: conn, Binding: bind(t, conn), Buffer: 5, Registerer: registry})
	joined(p, "alice")
	must(t, p.Flush(t.Context()))
	server.Stop()
	waitForReason(t, p.Check, status.ReasonServiceAbsent)
	for id := range int64(12) {
		sent(p, id)
	}
	want := "# HELP rosey_bus_buffered Messages that wait for the stream, for a database service, " +
		"or for the database that the bot has open itself.\n# TYPE rosey_bus_buffered gauge\nrosey_bus_buffered 5\n" +
		"# HELP rosey_bus_dropped_total Messages that were neither published nor stored, by reason: " +
		"buffer_full, too_large, invalid or refused.\n# TYPE rosey_bus_dropped_total counter\n" +
		"rosey_bus_dropped_total{reason=\"buffer_full\"} 7\nrosey_bus_dropped_total{reason=\"invalid\"} 0\n" +
		"rosey_bus_dropped_total{reason=\"refused\"} 0\nrosey_bus_dropped_total{reason=\"too_large\"} 0\n"
	must(t, testutil.GatherAndCompare(registry, strings.NewReader(want), "rosey_bus_dropped_total", "rosey_bus_buffered"))
}

// A message that the server or the stream refuses because of its size must neither block those behind it nor be
// published again and again.
func TestTooLargeMessagesAreDroppedAndCounted(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	conn := connect(t, nats.URL())
	registry := prometheus.NewPedanticRegistry()
	p := runPublisher(t, publisher.Options{
		Conn: conn, Registerer: registry,
		Binding: bind(t, conn, func(j *config.JetStream) { j.MaxMessageBytes = 16 << 10 }),
	})
	joined(p, "alice")
	for n, size := range []int{20_000, 2_000_000} {
		p.Publish(t.Context(), bus.MessageLog, fmt.Sprintf("large-%d", n), bus.MessagePayload{
			Username: "alice", Message: strings.Repeat("x", size),
		})
	}
	joined(p, "bob")
	must(t, p.Flush(t.Context()))
	if got := keptNames(t, nats); !slices.Equal(got, []string{"alice", "bob"}) {
		t.Errorf("kept %q", got)
	}
	want := "# HELP rosey_bus_dropped_total Messages that were neither published nor stored, by reason: " +
		"buffer_full, too_large, invalid or refused.\n# TYPE rosey_bus_dropped_total counter\n" +
		"rosey_bus_dropped_total{reason=\"buffer_full\"} 0\nrosey_bus_dropped_total{reason=\"invalid\"} 0\n" +
		"rosey_bus_dropped_total{reason=\"refused\"} 0\nrosey_bus_dropped_total{reason=\"too_large\"} 2\n"
	must(t, testutil.GatherAndCompare(registry, strings.NewReader(want), "rosey_bus_dropped_total"))
	// A dropped message was never confirmed.
	if observed := publishedTimes(t, registry); observed != 2 {
		t.Errorf("the times of %d messages are observed, expected those of the two that the stream has", observed)
	}
}

// publishedTimes returns how many messages rosey_bus_publish_seconds has counted.
func publishedTimes(t *testing.T, registry prometheus.Gatherer) (count uint64) {
	t.Helper()
	families, err := registry.Gather()
	must(t, err)
	for _, family := range families {
		if family.GetName() == "rosey_bus_publish_seconds" {
			count += family.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	return count
}

// A stream that an administrator has created for an earlier version lacks a subject: events on it must not block those
// behind them.
func TestAnEventThatTheStreamLacksBlocksNothing(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	conn := connect(t, nats.URL())
	manual := func(j *config.JetStream) { j.Provisioning = config.ProvisioningManual }
	stream := jetstream.StreamConfig{Name: "rosey_events", Storage: jetstream.FileStorage, MaxBytes: 1 << 20}
	for _, suffix := range bus.Events {
		if !slices.Contains(bus.LaterEvents, suffix) {
			stream.Subjects = append(stream.Subjects, "rosey."+string(suffix))
		}
	}
	_, err := jetStream(t, nats).CreateStream(t.Context(), stream)
	must(t, err)
	registry := prometheus.NewPedanticRegistry()
	p := runPublisher(t, publisher.Options{Conn: conn, Registerer: registry, Binding: bind(t, conn, manual)})
	joined(p, "alice")
	p.Publish(t.Context(), bus.MediaPlayed, "film", bus.MediaPayload{Media: bus.Media{Type: "yt", ID: "a"}})
	joined(p, "bob")
	must(t, p.Flush(t.Context()))
	if got := keptNames(t, nats); !slices.Equal(got, []string{"alice", "bob"}) {
		t.Errorf("kept %q", got)
	}
	want := "# HELP rosey_bus_dropped_total Messages that were neither published nor stored, by reason: " +
		"buffer_full, too_large, invalid or refused.\n# TYPE rosey_bus_dropped_total counter\n" +
		"rosey_bus_dropped_total{reason=\"buffer_full\"} 0\nrosey_bus_dropped_total{reason=\"invalid\"} 0\n" +
		"rosey_bus_dropped_total{reason=\"refused\"} 1\nrosey_bus_dropped_total{reason=\"too_large\"} 0\n"
	must(t, testutil.GatherAndCompare(registry, strings.NewReader(want), "rosey_bus_dropped_total"))
}
