package bus_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

func TestRequest(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := connect(t, server.URL())
	waitForReason(t, conn.Check, status.ReasonConnected)
	requester := bus.NewRequester(conn, roseySubjects(t))
	ask := func(ctx context.Context) ([]bus.RecentLine, error) {
		var lines []bus.RecentLine
		err := requester.Request(ctx, bus.StatsRecentChat, map[string]int{"limit": 2}, &lines)
		return lines, err
	}

	_, err := ask(t.Context())
	if !errors.Is(err, bus.ErrNoService) || !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("nobody there: %v", err)
	}
	large := map[string]string{"text": strings.Repeat("x", 2<<20)}
	err = requester.Request(t.Context(), bus.StatsRecentChat, large, nil)
	if !errors.Is(err, bus.ErrRequestTooLarge) || !errors.Is(err, nats.ErrMaxPayload) ||
		!strings.Contains(err.Error(), "the NATS server accepts at most 1048576") {
		t.Errorf("too large a request: %v", err)
	}

	var reply atomic.Pointer[string]
	client := server.Client()
	_, err = client.Subscribe("rosey.db.stats.recent_chat.get", func(m *nats.Msg) {
		if text := reply.Load(); text != nil && string(m.Data) == `{"limit":2}` {
			_ = m.Respond([]byte(*text))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err = ask(t.Context()); !errors.Is(err, bus.ErrNoReply) {
		t.Errorf("silence: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = ask(cancelled); !errors.Is(err, context.Canceled) || errors.Is(err, bus.ErrNoReply) {
		t.Errorf("cancelled: %v", err)
	}

	good, bad := `[{"timestamp":7,"username":"alice","message":"hi"}]`, `{"error":"x"}`
	reply.Store(&good)
	if lines, err := ask(t.Context()); err != nil || len(lines) != 1 || lines[0].Message != "hi" {
		t.Errorf("reply: %+v, %v", lines, err)
	}
	reply.Store(&bad)
	if _, err = ask(t.Context()); err == nil {
		t.Error("an object instead of an array gave no error")
	}

	server.Stop()
	waitForReason(t, conn.Check, status.ReasonNATSUnreachable)
	if _, err = ask(t.Context()); !errors.Is(err, bus.ErrNotConnected) {
		t.Errorf("no connection: %v", err)
	}
}

// Somebody who may not have commands executed sends one. That must not make the web page look broken to all others: the
// connection is as good as before, and the request ends at once.
func TestDeniedRequestFailsAlone(t *testing.T) {
	t.Parallel()
	running := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "page", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{
				"rosey.db.messages.outbound.put_command", "rosey.db.dead.*", "rosey.db.query.chat",
			}},
		}}, {Username: "all", Password: "pw"}}
		o.NoAuthUser = "page"
	})
	if _, err := running.ClientAs("all", "pw").Subscribe("rosey.db.messages.outbound.put", func(m *nats.Msg) {
		_ = m.Respond([]byte(`{"success":true,"id":7}`))
	}); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, running.URL())
	before := waitForReason(t, conn.Check, status.ReasonConnected)
	requester := bus.NewRequester(conn, roseySubjects(t))
	for _, suffix := range []bus.Suffix{bus.OutboundPutCommand, bus.DeadList, bus.OutboundPutCommand} {
		err := requester.Request(t.Context(), suffix, struct{}{}, nil)
		denied, isDenied := errors.AsType[*bus.DeniedError](err)
		if !isDenied || denied.Subject != "rosey."+string(suffix) || errors.Is(err, bus.ErrNoReply) {
			t.Errorf("%s: %v", suffix, err)
		}
	}
	natstest.Eventually(t, "a line that is queued", func() bool {
		var reply bus.OutboundPutReply
		return requester.Request(t.Context(), bus.OutboundPut, struct{}{}, &reply) == nil && reply.ID == 7
	})
	if after := conn.Check(); after != before {
		t.Errorf("the check was %+v, and is %+v", before, after)
	}

	// Without what it reads, a page shows nothing.
	if err := conn.NATS().Publish("rosey.db.query.chat", nil); err != nil {
		t.Fatal(err)
	}
	waitForReason(t, conn.Check, status.ReasonNATSPermissionMissing)
}

// A service that may not serve a request does not do its work, also if clients may lack the permission to send it.
func TestDeniedSubscriptionToAnOptionalRequestIsReported(t *testing.T) {
	t.Parallel()
	running := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "few", Permissions: &server.Permissions{
			Subscribe: &server.SubjectPermission{Deny: []string{"rosey.db.messages.outbound.put"}},
		}}}
		o.NoAuthUser = "few"
	})
	conn := connect(t, running.URL())
	waitForReason(t, conn.Check, status.ReasonConnected)
	if _, err := conn.NATS().SubscribeSync("rosey.db.messages.outbound.put"); err != nil {
		t.Fatal(err)
	}
	waitForReason(t, conn.Check, status.ReasonNATSPermissionMissing)
}
