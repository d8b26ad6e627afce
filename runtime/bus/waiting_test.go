package bus_test

import (
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// TestAnAnnouncementOfAnOutageIsNotMissed checks that a bot asks for lines when it is connected again: one may have
// been announced when it was not, and it would only be found by the rare poll.
func TestAnAnnouncementOfAnOutageIsNotMissed(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	conn, err := bus.Connect(t.Context(), bus.Options{URL: nats.URL(), Log: natstest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	waitForReason(t, conn.Check, status.ReasonConnected)
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	waits, err := bus.SubscribeWaiting(conn, subjects, "movies")
	if err == nil {
		err = conn.NATS().Flush() // the announcement comes by another connection
	}
	if err != nil {
		t.Fatal(err)
	}
	expect := func(occasion string) {
		t.Helper()
		select {
		case <-waits:
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: the bot was not told to ask for lines", occasion)
		}
	}
	if err := nats.Client().Publish(subjects.OutboundWaiting("movies"), nil); err != nil {
		t.Fatal(err)
	}
	expect("an announcement")
	nats.Stop()
	waitForReason(t, conn.Check, status.ReasonNATSUnreachable)
	expect("the connection broke")
	nats.Restart()
	expect("the connection was established again")
}
