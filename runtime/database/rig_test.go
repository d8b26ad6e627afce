package database_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

var movies = store.Channel{Server: "https://cytu.be", Name: "movies"}

// rig is a NATS server, a client, and a database file that one service after the other uses.
type rig struct {
	t      testing.TB
	server *natstest.Server
	url    string // of the server, or of several
	client *nats.Conn
	path   string
}

func newRig(t testing.TB, configure ...func(*server.Options)) *rig {
	t.Helper()
	return newRigOn(t, natstest.Start(t, configure...))
}

// newRigOn returns a rig with a database of its own on a server that other rigs use too.
func newRigOn(t testing.TB, server *natstest.Server) *rig {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rosey.db")
	return &rig{t: t, server: server, url: server.URL(), client: server.Client(), path: path}
}

// running is a service that runs until stop or the test's end.
type running struct {
	*database.Service

	registry *prometheus.Registry
	end      context.CancelFunc
	ended    chan error
}

func (r *rig) sqlite(ctx context.Context) (store.Store, error) { return sqlite.Open(ctx, r.path) }

// start runs a service. change changes its options.
func (r *rig) start(change ...func(*database.ServiceOptions)) *running {
	r.t.Helper()
	conn, err := bus.Connect(r.t.Context(), bus.Options{URL: r.url, Log: natstest.Log(r.t)})
	if err != nil {
		r.t.Fatal(err)
	}
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		r.t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	options := database.ServiceOptions{
		EngineOptions: database.EngineOptions{
			Channel: movies, Open: r.sqlite, Log: natstest.Log(r.t), Registerer: registry,
		},
		Conn: conn, Subjects: subjects, Version: "v1.2.3",
	}
	for _, one := range change {
		one(&options)
	}
	ctx, end := context.WithCancel(context.WithoutCancel(r.t.Context()))
	s := &running{Service: database.NewService(options), registry: registry, end: end, ended: make(chan error, 1)}
	var service sync.WaitGroup
	service.Go(func() { s.ended <- s.Run(ctx) })
	r.t.Cleanup(func() { end(); service.Wait(); conn.Close() })
	return s
}

// ready waits until the service receives messages.
func (r *rig) ready(s *running) *running {
	r.t.Helper()
	natstest.Eventually(r.t, "the service to be ready", func() bool { return s.NATSCheck().OK && s.StoreCheck().OK })
	return s
}

// stop ends the service as SIGTERM does, and waits for it.
func (r *rig) stop(s *running) {
	r.t.Helper()
	s.end()
	if err := <-s.ended; err != nil {
		r.t.Errorf("the service ended with %v", err)
	}
	s.ended <- nil
}

func (r *rig) publish(suffix bus.Suffix, body string, header ...string) {
	r.t.Helper()
	message := &nats.Msg{Subject: "rosey." + string(suffix), Data: []byte(body)}
	for _, id := range header {
		message.Header = nats.Header{bus.MsgIDHeader: {id}}
	}
	if err := r.client.PublishMsg(message); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) request(suffix bus.Suffix, body string) string {
	r.t.Helper()
	reply, err := r.client.Request("rosey."+string(suffix), []byte(body), 10*time.Second)
	if err != nil {
		r.t.Fatalf("requesting %s: %v", suffix, err)
	}
	return string(reply.Data)
}

// waitUntilStored waits until everything that was published before is stored.
func (r *rig) waitUntilStored() {
	r.t.Helper()
	if got := r.request(bus.OutboundGet, `{"limit":0}`); got != "[]" {
		r.t.Fatalf("limit 0: %s", got)
	}
}

// openReadOnly opens the database beside the service.
func (r *rig) openReadOnly() *sqlite.Store {
	r.t.Helper()
	s, err := sqlite.OpenReadOnly(r.t.Context(), r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (r *rig) lines() []store.RecentLine {
	r.t.Helper()
	lines, err := r.openReadOnly().RecentChat(r.t.Context(), movies, 1<<30)
	if err != nil {
		r.t.Fatal(err)
	}
	return lines
}

func (r *rig) texts() (texts []string) {
	r.t.Helper()
	for _, line := range r.lines() {
		texts = append(texts, line.Text)
	}
	return texts
}

// metric returns the value of a counter or gauge with these label values, in the order of the names of the labels.
func (r *rig) metric(s *running, name string, labels ...string) float64 {
	r.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var values []string
			for _, pair := range metric.GetLabel() {
				values = append(values, pair.GetValue())
			}
			if family.GetName() == name && slices.Equal(values, labels) {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// observations returns the number of observations of a histogram.
func (r *rig) observations(s *running, name string) (count uint64) {
	r.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			count = family.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	return count
}

func (r *rig) count(s *running, suffix bus.Suffix, outcome string) float64 {
	r.t.Helper()
	return r.metric(s, "rosey_database_messages_total", outcome, string(suffix))
}

func (r *rig) waiting(s *running) float64 {
	r.t.Helper()
	return r.metric(s, "rosey_database_waiting_messages")
}

func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// sameJSON compares two texts as JSON.
func sameJSON(t testing.TB, what, want, got string) {
	t.Helper()
	var wanted, gotValue any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got), &gotValue); err != nil {
		t.Fatalf("%s: reply %q: %v", what, got, err)
	}
	same(t, what, wanted, gotValue)
}
