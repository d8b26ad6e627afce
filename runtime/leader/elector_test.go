package leader_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/leader"
)

// leaderKey is the name of the key of the channel that candidates of tests want to be in.
var leaderKey = leader.KeyName("https://cytu.be", "movienight")

// ttl is as short as a busy machine allows.
const ttl = time.Second

func withJetStream(t *testing.T) func(*server.Options) {
	t.Helper()
	dir := t.TempDir()
	return func(o *server.Options) { o.JetStream, o.StoreDir = true, dir }
}

// testCandidate is a process that wants to lead.
type testCandidate struct {
	t       *testing.T
	conn    *bus.Conn
	elector *leader.Elector

	mu       sync.Mutex
	observed leader.Observation
}

func newCandidate(t *testing.T, s interface{ URL() string }, o leader.Options) *testCandidate {
	t.Helper()
	c := &testCandidate{t: t}
	o.Log = natstest.Log(t)
	conn, err := bus.Connect(t.Context(), bus.Options{URL: s.URL(), Name: o.Pod, Log: o.Log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	o.Conn, c.conn = conn, conn
	o.Subjects, err = bus.NewSubjects("movies")
	if err != nil {
		t.Fatal(err)
	}
	if o.TTL == 0 {
		o.TTL = ttl
	}
	if o.Channel == "" {
		o.Server, o.Channel = "https://cytu.be", "movienight"
	}
	c.elector = leader.New(o)
	return c
}

// acquire campaigns until the candidate leads or the test ends.
func (c *testCandidate) acquire() <-chan *leader.Leadership {
	c.t.Helper()
	ctx, stop := context.WithCancel(c.t.Context())
	acquired := make(chan *leader.Leadership, 1)
	var worker sync.WaitGroup
	worker.Go(func() {
		if leadership, err := c.elector.Acquire(ctx, c.observe); err == nil {
			acquired <- leadership
			c.t.Cleanup(func() { _ = leadership.Release(context.WithoutCancel(ctx)) })
		}
	})
	c.t.Cleanup(func() { stop(); worker.Wait() })
	return acquired
}

func (c *testCandidate) observe(o leader.Observation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observed = o
}

func (c *testCandidate) last() leader.Observation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.observed
}

func (c *testCandidate) mustAcquire() *leader.Leadership {
	c.t.Helper()
	acquired := c.acquire()
	return wait(c.t, acquired)
}

func (c *testCandidate) awaitHolder(pod string) {
	c.t.Helper()
	natstest.Eventually(c.t, "observing that "+pod+" leads", func() bool { return c.last().Holder == pod })
}

func wait[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(20 * time.Second):
		t.Fatal("no leadership within 20 s")
		panic("not reached")
	}
}

// TestOneOfManyLeads starts five candidates at once, on a server without the bucket.
func TestOneOfManyLeads(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	leaderships := make(chan *leader.Leadership)
	const many = 5
	for i := range many {
		c := newCandidate(t, s, leader.Options{Pod: string(rune('a' + i))})
		acquired := c.acquire()
		go func() {
			select {
			case leadership := <-acquired:
				leaderships <- leadership
			case <-t.Context().Done():
			}
		}()
	}
	for range many {
		leadership := wait(t, leaderships)
		select {
		case <-leaderships:
			t.Fatal("two candidates lead")
		case <-time.After(2 * ttl / 3):
		}
		if !leadership.Valid() || leadership.Err() != nil {
			t.Error("the leader is not sure of its leadership")
		}
		if err := leadership.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if leadership.Valid() {
			t.Error("valid after Release")
		}
	}
}

func TestReleasedLeadershipIsAcquiredAtOnce(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	first := newCandidate(t, s, leader.Options{Pod: "first", TTL: time.Hour})
	leadership := first.mustAcquire()
	second := newCandidate(t, s, leader.Options{Pod: "second", TTL: time.Hour})
	acquired := second.acquire()
	second.awaitHolder("first")
	if err := leadership.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	// With a TTL of an hour, the next poll is 15 minutes away.
	if got := wait(t, acquired).Reason(); got != leader.AcquiredReleased {
		t.Errorf("acquired as %s", got)
	}
}

// Bots that share a database service have one prefix. Each channel has its own leader.
func TestEachChannelOfAPrefixHasALeader(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	one := newCandidate(t, s, leader.Options{Pod: "one", Server: "https://cytu.be", Channel: "films"}).mustAcquire()
	for _, other := range []leader.Options{
		{Pod: "other channel", Server: "https://cytu.be", Channel: "series"},
		{Pod: "other server", Server: "https://other.example:8443/path", Channel: "films"},
	} {
		if newCandidate(t, s, other).mustAcquire(); !one.Valid() {
			t.Errorf("%s took the leadership of another channel", other.Pod)
		}
	}
	// Names of channels are compared without case, as CyTube does.
	same := newCandidate(t, s, leader.Options{Pod: "same", Server: "https://CYTU.be", Channel: "Films"})
	same.acquire()
	same.awaitHolder("one")
}

func TestLeadershipOfADeadProcessExpires(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	dead := newCandidate(t, s, leader.Options{Pod: "dead"})
	leadership := dead.mustAcquire()
	next := newCandidate(t, s, leader.Options{Pod: "next"})
	acquired := next.acquire()
	next.awaitHolder("dead")
	dead.conn.Close()
	taken := wait(t, acquired)
	if leadership.Valid() {
		t.Error("two leaderships are valid")
	}
	if got := taken.Reason(); got != leader.AcquiredExpired {
		t.Errorf("acquired as %s", got)
	}
}

func TestRestartedContainerTakesOverAtOnce(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	before := newCandidate(t, s, leader.Options{Pod: "pod", UID: "7"}).mustAcquire()
	after := newCandidate(t, s, leader.Options{Pod: "pod", UID: "7"}).mustAcquire()
	if got := after.Reason(); got != leader.AcquiredRestart {
		t.Errorf("acquired as %s", got)
	}
	// If the former process is still alive, its next renewal fails.
	wait(t, before.Lost())
	if before.Valid() {
		t.Error("the former process still leads")
	}
	if before.NewHolder() != "pod" || !after.Valid() {
		t.Errorf("lost to %q", before.NewHolder())
	}
}

// TestRenewalWhoseReplyWasLost stores the key with a revision that its holder does not know.
func TestRenewalWhoseReplyWasLost(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	leadership := newCandidate(t, s, leader.Options{Pod: "pod"}).mustAcquire()
	bucket := leaderBucket(t, s)
	for range 3 {
		entry, err := bucket.Get(t.Context(), leaderKey)
		if err != nil {
			t.Fatal(err)
		}
		// A renewal may come in between, and then none was lost.
		stored, _ := bucket.Update(t.Context(), leaderKey, entry.Value(), entry.Revision())
		natstest.Eventually(t, "the next renewal", func() bool {
			entry, err := bucket.Get(t.Context(), leaderKey)
			return err == nil && entry.Revision() > stored
		})
		if !leadership.Valid() || leadership.Err() != nil {
			t.Error("the leader gave up its own key")
		}
	}
}

// TestReleaseAfterARenewalWhoseReplyWasLost checks that the next leader need not wait until the key expires when
// Release interrupts a renewal that the server has stored.
func TestReleaseAfterARenewalWhoseReplyWasLost(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	leadership := newCandidate(t, s, leader.Options{Pod: "first", TTL: time.Hour}).mustAcquire()
	second := newCandidate(t, s, leader.Options{Pod: "second", TTL: time.Hour})
	acquired := second.acquire()
	second.awaitHolder("first")
	bucket := leaderBucket(t, s)
	entry, err := bucket.Get(t.Context(), leaderKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Update(t.Context(), leaderKey, entry.Value(), entry.Revision()); err != nil {
		t.Fatal(err)
	}
	if err := leadership.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, acquired).Reason(); got != leader.AcquiredReleased {
		t.Errorf("acquired as %s", got)
	}
}

func leaderBucket(t *testing.T, s *natstest.Server) jetstream.KeyValue {
	t.Helper()
	js, err := jetstream.New(s.Client())
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), "movies_locks")
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

func TestKeyOfAnotherHolderIsNotRenewed(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	leadership := newCandidate(t, s, leader.Options{Pod: "pod"}).mustAcquire()
	const rival = `{"pod":"rival","uid":"x","process":"y"}`
	if _, err := leaderBucket(t, s).Put(t.Context(), leaderKey, []byte(rival)); err != nil {
		t.Fatal(err)
	}
	wait(t, leadership.Lost())
	if leadership.Valid() || leadership.NewHolder() != "rival" {
		t.Errorf("valid %t, lost to %q", leadership.Valid(), leadership.NewHolder())
	}
	if err := leadership.Release(t.Context()); err != nil {
		t.Errorf("releasing a lost leadership: %v", err)
	}
	entry, err := leaderBucket(t, s).Get(t.Context(), leaderKey)
	if err != nil || !strings.Contains(string(entry.Value()), "rival") {
		t.Errorf("the rival's key was changed: %v", err)
	}
}

// TestAfterARestartOfNATSTheLeaderComesFirst restarts NATS for longer than the TTL.
func TestAfterARestartOfNATSTheLeaderComesFirst(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	leadership := newCandidate(t, s, leader.Options{Pod: "holder"}).mustAcquire()
	waiting := newCandidate(t, s, leader.Options{Pod: "waiting"})
	acquired := waiting.acquire()
	waiting.awaitHolder("holder")
	s.Stop()
	natstest.Eventually(t, "the leadership to become invalid", func() bool { return !leadership.Valid() })
	natstest.Eventually(t, "the candidate to report an error", func() bool { return waiting.last().Err != nil })
	select {
	case <-leadership.Lost():
		t.Error("the leadership is lost although nobody else leads")
	default:
	}
	s.Restart()
	natstest.Eventually(t, "the leadership to become valid again", leadership.Valid)
	waiting.awaitHolder("holder")
	select {
	case <-acquired:
		t.Error("the candidate leads instead of the leader that came back")
	default:
	}
}

func TestLostBucketIsCreatedAgain(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	leadership := newCandidate(t, s, leader.Options{Pod: "holder"}).mustAcquire()
	js, err := jetstream.New(s.Client())
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), "movies_locks"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the leader key to be written again", func() bool {
		bucket, err := js.KeyValue(t.Context(), "movies_locks")
		if err != nil {
			return false
		}
		_, err = bucket.Get(t.Context(), leaderKey)
		return err == nil && leadership.Err() == nil
	})
}

// TestReleaseDoesNotWaitForASilentJetStream replaces JetStream by something that never replies.
func TestReleaseDoesNotWaitForASilentJetStream(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	leadership := newCandidate(t, s, leader.Options{Pod: "holder"}).mustAcquire()
	s.Restart(func(o *server.Options) { o.JetStream = false })
	if _, err := s.Client().Subscribe("$JS.API.>", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the renewal to fail", func() bool { return leadership.Err() != nil })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := leadership.Release(ctx); err == nil {
		t.Error("released without an error")
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Release took %s", took)
	}
}

// TestKeyDeletedByHandIsTakenAtOnce deletes the key of a leader that does not renew it, as `nats kv del` does.
func TestKeyDeletedByHandIsTakenAtOnce(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	dead := newCandidate(t, s, leader.Options{Pod: "dead", TTL: time.Hour})
	dead.mustAcquire()
	next := newCandidate(t, s, leader.Options{Pod: "next", TTL: time.Hour})
	acquired := next.acquire()
	next.awaitHolder("dead")
	if err := leaderBucket(t, s).Delete(t.Context(), leaderKey); err != nil {
		t.Fatal(err)
	}
	wait(t, acquired)
}
