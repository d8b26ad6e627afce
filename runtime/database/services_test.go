package database_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/status"
)

// serviceInfo returns the subjects of the service's endpoints.
func serviceInfo(t *testing.T, client *nats.Conn) (subjects []string) {
	t.Helper()
	m, err := client.Request("$SRV.INFO.rosey_db", nil, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var info micro.Info
	if err := json.Unmarshal(m.Data, &info); err != nil {
		t.Fatal(err)
	}
	for _, endpoint := range info.Endpoints {
		subjects = append(subjects, endpoint.Subject)
	}
	return subjects
}

// The requests of `nats micro ls`, `info` and `stats`.
func TestServiceDiscovery(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start())
	r.waitUntilStored()
	ask := func(verb micro.Verb, reply any) {
		t.Helper()
		subject, err := micro.ControlSubject(verb, "rosey_db", "")
		if err != nil {
			t.Fatal(err)
		}
		m, err := r.client.Request(subject, nil, 5*time.Second)
		if err == nil {
			err = json.Unmarshal(m.Data, reply)
		}
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
	}
	var ping micro.Ping
	ask(micro.PingVerb, &ping)
	if ping.Name != "rosey_db" || ping.Version != "1.2.3" || ping.Metadata["channel"] != "movies" ||
		ping.Metadata["prefix"] != "rosey" {
		t.Errorf("ping: %+v", ping)
	}
	var info micro.Info
	ask(micro.InfoVerb, &info)
	var subjects []string
	for _, endpoint := range info.Endpoints {
		subjects = append(subjects, endpoint.Subject)
		if endpoint.QueueGroup != "rosey_db" {
			t.Errorf("endpoint: %+v", endpoint)
		}
	}
	if len(subjects) != 30 || !slices.Contains(subjects, "rosey.db.messages.outbound.get") {
		t.Errorf("subjects: %q", subjects)
	}
	var stats micro.Stats
	ask(micro.StatsVerb, &stats)
	if n := len(stats.Endpoints); n != 30 || stats.Endpoints[n-1].NumRequests != 1 ||
		stats.Endpoints[n-1].ProcessingTime <= 0 {
		t.Errorf("stats: %+v", stats)
	}
	r.stop(s)
}

// A reply confirms that what the client published before on the same connection is stored.
func TestReplyConfirmsEarlierEvents(t *testing.T) {
	r := newRig(t)
	r.ready(r.start(r.slow))
	db := r.openReadOnly()
	for i := range 20 {
		for n := range 50 {
			r.publishChat(fmt.Sprint(i, " ", n))
		}
		r.waitUntilStored()
		if lines := mustQuery(r, db.RecentChat)(t.Context(), movies, 2000); len(lines) != 50*(i+1) {
			t.Fatalf("%d lines are stored when the reply is there, want %d", len(lines), 50*(i+1))
		}
	}
}

// Without permissions for $SRV the service works and cannot be listed. Other missing permissions are reported.
func TestServiceWithoutDiscoveryPermission(t *testing.T) {
	few := func(o *server.Options) {
		o.Users = []*server.User{{Username: "all", Password: "pw"}, {
			Username: "few", Password: "pw", Permissions: &server.Permissions{
				Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>", "rosey.db.>"}},
			},
		}}
		o.NoAuthUser = "all"
	}
	r := newRig(t, few)
	r.url = strings.Replace(r.url, "nats://", "nats://few:pw@", 1)
	s := r.ready(r.start())
	for range 2 {
		r.publishChat("hi")
		r.waitUntilStored()
		if check := s.NATSCheck(); !check.OK {
			t.Errorf("%+v", check)
		}
		r.server.Restart()
		natstest.Eventually(t, "the connections", func() bool { return s.NATSCheck().OK && r.client.IsConnected() })
		natstest.Eventually(t, "the service", func() bool {
			_, err := r.client.Request("rosey.db.messages.outbound.get", []byte(`{"limit":0}`), time.Second)
			return err == nil
		})
	}
	if _, err := r.client.Request("$SRV.PING.rosey_db", nil, time.Second); err == nil {
		t.Error("a service without the permission is listed")
	}
	r.stop(s)
}

func TestDeniedEndpointIsReported(t *testing.T) {
	r := newRig(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "all", Password: "pw"}, {
			Username: "few", Password: "pw", Permissions: &server.Permissions{
				Subscribe: &server.SubjectPermission{Deny: []string{"rosey.db.kv.set"}},
			},
		}}
		o.NoAuthUser = "all"
	})
	r.url = strings.Replace(r.url, "nats://", "nats://few:pw@", 1)
	s := r.start()
	natstest.Eventually(t, "the permission", func() bool {
		check := s.NATSCheck()
		return check.Reason == status.ReasonNATSPermissionMissing && strings.Contains(check.Message, "rosey.db.kv.set")
	})
	r.waitUntilStored() // the others are answered
	r.stop(s)
}

func TestServiceEndsWithItsConnection(t *testing.T) {
	r := newRig(t)
	var conn *bus.Conn
	s := r.ready(r.start(func(o *database.ServiceOptions) { conn = o.Conn }))
	conn.NATS().Close() // as after an error of the protocol
	if err := <-s.ended; err == nil || !strings.Contains(err.Error(), "will not reconnect") {
		t.Errorf("the service ended with %v", err)
	}
	s.ended <- nil
	if check := conn.Check(); check.OK {
		t.Errorf("%+v", check)
	}
}

// When a conflict is over, the service replies to requests again, on the same connection.
func TestConflictEndsRequestsUntilItIsOver(t *testing.T) {
	r := newStreamRig(t)
	first := r.startWithStream()
	other := newRigOn(t, r.server)
	second := other.start(r.withStream)
	natstest.Eventually(t, "the conflict", func() bool {
		return second.EventsCheck().Reason == status.ReasonSubjectConflict
	})
	r.stop(first)
	js, err := jetstream.New(r.client)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "rosey_events"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the second service", func() bool {
		_, err := r.client.Request("rosey.db.messages.outbound.get", []byte(`{"limit":0}`), time.Second)
		return err == nil && second.EventsCheck().OK
	})
}
