package bus_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// serve serves a subject on a connection of its own until the end of the test, or until the function that it returns is
// called.
func serve(t *testing.T, server *natstest.Server, subject string, answer func(context.Context) any) (stop func()) {
	t.Helper()
	conn := connect(t, server.URL())
	waitForReason(t, conn.Check, status.ReasonConnected)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := conn.Serve(ctx, subject, answer); err != nil {
			t.Errorf("serving %s: %v", subject, err)
		}
	})
	stop = func() { cancel(); serving.Wait() }
	t.Cleanup(stop)
	return stop
}

func processStatus(instance string) bus.ProcessStatus {
	return bus.ProcessStatus{
		Success: true, Instance: instance, Channel: "movienight",
		Report: status.Report{
			Component: status.BotComponent, Version: "1", Ready: true, Reason: status.ReasonReady, Message: "well",
			Checks: []status.Check{{Name: status.NATSCheck, OK: true, Reason: status.ReasonConnected}},
		},
	}
}

// TestProcesses checks that the status of every process is found, and that what others reply is left out.
func TestProcesses(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := connect(t, server.URL())
	waitForReason(t, conn.Check, status.ReasonConnected)
	requester := bus.NewRequester(conn, roseySubjects(t))
	if processes, err := requester.Processes(t.Context()); !errors.Is(err, bus.ErrNoService) {
		t.Errorf("nobody there: %v, %v", processes, err)
	}
	const subject = "rosey.status.get"
	for _, instance := range []string{"bot-1", "bot\x1b[2J-2"} {
		serve(t, server, subject, func(context.Context) any { return processStatus(instance) })
	}
	hostile := server.Client()
	for _, reply := range []string{
		"", "[]", "null", `{"success":true}`, `{"success":true,"report":{"component":"a b"}}`,
		`{"report":{"component":"bot","reason":"Ready"}}`,
		`{"success":true,"report":{"component":"bot","reason":"Ready","message":"` + strings.Repeat("x", 100_000) + `"}}`,
	} {
		_, err := hostile.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond([]byte(reply)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := hostile.Flush(); err != nil {
		t.Fatal(err)
	}
	var names []string
	natstest.Eventually(t, "both processes", func() bool {
		processes, err := requester.Processes(t.Context())
		if err != nil {
			return false
		}
		names = nil
		for _, process := range processes {
			names = append(names, process.Instance)
		}
		return len(processes) == 2
	})
	if names[0] > names[1] {
		names[0], names[1] = names[1], names[0]
	}
	if diff := cmp.Diff([]string{"bot-1", "bot\ufffd[2J-2"}, names); diff != "" {
		t.Errorf("processes (-want +got):\n%s", diff)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := requester.Processes(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestRequestsThatWaitGetOneAnswer checks that a flood of requests costs few answers, each made after the requests that
// get it have arrived, and that nothing is sent elsewhere than to an inbox.
func TestRequestsThatWaitGetOneAnswer(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	answers := make(chan int)
	const subject = "rosey.channel.movienight.get"
	stop := serve(t, server, subject, func(ctx context.Context) any {
		select {
		case number := <-answers:
			return number
		case <-ctx.Done():
			return nil
		}
	})
	client := server.Client()
	elsewhere, err := client.SubscribeSync("rosey.db.message.log")
	if err != nil {
		t.Fatal(err)
	}
	replies, err := client.SubscribeSync("_INBOX.flood.*")
	if err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "somebody to serve", func() bool {
		_, err := client.Request(subject, nil, 10*time.Millisecond)
		return !errors.Is(err, nats.ErrNoResponders)
	})
	for _, reply := range []string{"rosey.db.message.log", "$JS.API.STREAM.DELETE.rosey_events", "_INBOX"} {
		if err := client.PublishRequest(subject, reply, nil); err != nil {
			t.Fatal(err)
		}
	}
	answers <- 0 // the worker waits for the next answer now, or there is no request left
	for range 20 {
		if err := client.PublishRequest(subject, "_INBOX.flood.x", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
	got := 0
	for number := 1; got < 20; number++ {
		answers <- number
		for {
			if _, err := replies.NextMsg(50 * time.Millisecond); err != nil {
				break
			}
			got++
		}
		if number > 3 {
			t.Fatalf("%d requests needed %d answers", got, number)
		}
	}
	stop()
	if message, err := elsewhere.NextMsg(time.Millisecond); err == nil && string(message.Data) != "" {
		t.Errorf("sent elsewhere: %s", message.Data)
	}
}
