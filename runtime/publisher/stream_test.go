package publisher_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
)

// runDurable runs a p that has room for whatever a test publishes while the server is away.
func runDurable(t *testing.T, nats *natstest.Server) *publisher.Publisher {
	t.Helper()
	conn := connect(t, nats.URL())
	return runPublisher(t, publisher.Options{Conn: conn, Binding: bind(t, conn), Buffer: 1_000_000})
}

// keptNames are the users of the stream's events, in its order.
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

// With a stream nobody need be there, and the server may go away: everything is kept once, in order.
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

// A server that is stopped while events flow leaves some unconfirmed. None may be missing, and none kept twice.
func TestWhatIsNotConfirmedIsPublishedAgain(t *testing.T) {
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

// To a service that knows no ids each event is published once, whatever the stream does.
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

// One that is away for a while comes back and reads no stream: what happens meanwhile waits for it.
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
	natstest.Eventually(t, "the p looks for a service", func() bool {
		return conn.NATS().Stats().OutMsgs > asked+3
	})
	joined(p, "c")
	waitForNames(t, startPythonService(t, client), []string{"b", "c"})
}
