package leader_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/leader"
)

// lockTTL is as short as a busy machine allows.
const lockTTL = time.Second

func withJetStream(t *testing.T) func(*server.Options) {
	t.Helper()
	dir := t.TempDir()
	return func(o *server.Options) { o.JetStream, o.StoreDir = true, dir }
}

// contestant is a process that wants the lock.
type contestant struct {
	t    *testing.T
	conn *bus.Conn
	lock *leader.Elector

	mu    sync.Mutex
	sight leader.Observation
}

func newContestant(t *testing.T, s *natstest.Server, o leader.Options) *contestant {
	t.Helper()
	c := &contestant{t: t}
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
		o.TTL = lockTTL
	}
	c.lock = leader.New(o)
	return c
}

// acquire contends until it has the lock or the test ends.
func (c *contestant) acquire() <-chan *leader.Leadership {
	c.t.Helper()
	ctx, stop := context.WithCancel(c.t.Context())
	terms := make(chan *leader.Leadership, 1)
	var worker sync.WaitGroup
	worker.Go(func() {
		if term, err := c.lock.Acquire(ctx, c.see); err == nil {
			terms <- term
			c.t.Cleanup(func() { _ = term.Release(context.WithoutCancel(ctx)) })
		}
	})
	c.t.Cleanup(func() { stop(); worker.Wait() })
	return terms
}

func (c *contestant) see(s leader.Observation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sight = s
}

func (c *contestant) seen() leader.Observation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sight
}

func (c *contestant) mustAcquire() *leader.Leadership {
	c.t.Helper()
	won := c.acquire()
	return wait(c.t, won)
}

func (c *contestant) awaitHolder(pod string) {
	c.t.Helper()
	natstest.Eventually(c.t, "seeing "+pod+" hold the lock", func() bool { return c.seen().Holder == pod })
}

func wait[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(20 * time.Second):
		t.Fatal("nothing within 20 s")
		panic("not reached")
	}
}

// TestOneOfManyHoldsTheLock has five begin at once, on a server without the bucket.
func TestOneOfManyHoldsTheLock(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	terms := make(chan *leader.Leadership)
	const many = 5
	for i := range many {
		c := newContestant(t, s, leader.Options{Pod: string(rune('a' + i))})
		won := c.acquire()
		go func() {
			select {
			case term := <-won:
				terms <- term
			case <-t.Context().Done():
			}
		}()
	}
	for range many {
		term := wait(t, terms)
		select {
		case <-terms:
			t.Fatal("two have the lock")
		case <-time.After(2 * lockTTL / 3):
		}
		if !term.Valid() || !term.Confirm(t.Context()) {
			t.Error("the holder is not sure of its lock")
		}
		if err := term.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if term.Valid() {
			t.Error("valid after its release")
		}
	}
}

func TestAReleasedLockIsTakenAtOnce(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	first := newContestant(t, s, leader.Options{Pod: "first", TTL: time.Hour})
	term := first.mustAcquire()
	second := newContestant(t, s, leader.Options{Pod: "second", TTL: time.Hour})
	won := second.acquire()
	second.awaitHolder("first")
	if err := term.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A TTL of an hour has no look at the lock before 15 minutes are over.
	if got := wait(t, won).Reason(); got != leader.AcquiredReleased {
		t.Errorf("taken as %s", got)
	}
}

func TestTheLockOfADeadProcessExpires(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	dead := newContestant(t, s, leader.Options{Pod: "dead"})
	term := dead.mustAcquire()
	heir := newContestant(t, s, leader.Options{Pod: "heir"})
	won := heir.acquire()
	heir.awaitHolder("dead")
	dead.conn.Close()
	taken := wait(t, won)
	if term.Valid() {
		t.Error("two are sure of the lock")
	}
	if got := taken.Reason(); got != leader.AcquiredExpired {
		t.Errorf("taken as %s", got)
	}
}

func TestARestartedContainerTakesUpItsLock(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	before := newContestant(t, s, leader.Options{Pod: "pod", UID: "7", TTL: time.Hour}).mustAcquire()
	after := newContestant(t, s, leader.Options{Pod: "pod", UID: "7", TTL: time.Hour}).mustAcquire()
	if got := after.Reason(); got != leader.AcquiredRestart {
		t.Errorf("taken as %s", got)
	}
	// Should the old process be alive against all reason, it learns at its next renewal.
	if before.Confirm(t.Context()) || before.Valid() {
		t.Error("the old process is still sure of the lock")
	}
	wait(t, before.Lost())
	if before.NewHolder() != "pod" || !after.Confirm(t.Context()) {
		t.Errorf("lost to %q", before.NewHolder())
	}
}

// TestARenewalWhoseAnswerWasLost has the lock stored with a revision that its holder does not know.
func TestARenewalWhoseAnswerWasLost(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	term := newContestant(t, s, leader.Options{Pod: "pod"}).mustAcquire()
	bucket := lockBucket(t, s)
	for range 3 {
		entry, err := bucket.Get(t.Context(), "leader")
		if err != nil {
			t.Fatal(err)
		}
		// In between a renewal may come, which then was not lost.
		_, _ = bucket.Update(t.Context(), "leader", entry.Value(), entry.Revision())
		if !term.Confirm(t.Context()) {
			t.Error("the holder gave up its own lock")
		}
	}
}

func lockBucket(t *testing.T, s *natstest.Server) jetstream.KeyValue {
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

func TestTheLockOfSomebodyElseIsNotRenewed(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	term := newContestant(t, s, leader.Options{Pod: "pod"}).mustAcquire()
	rival, err := json.Marshal(leader.Holder{Pod: "rival", UID: "x", Process: "y"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockBucket(t, s).Put(t.Context(), "leader", rival); err != nil {
		t.Fatal(err)
	}
	wait(t, term.Lost())
	if term.Valid() || term.NewHolder() != "rival" || term.Confirm(t.Context()) {
		t.Errorf("valid %t, lost to %q", term.Valid(), term.NewHolder())
	}
	if err := term.Release(t.Context()); err != nil {
		t.Errorf("releasing a lost lock: %v", err)
	}
	entry, err := lockBucket(t, s).Get(t.Context(), "leader")
	if err != nil || !strings.Contains(string(entry.Value()), "rival") {
		t.Errorf("the rival's lock was touched: %v", err)
	}
}

// TestAfterARestartOfNATSTheHolderComesFirst has a restart that outlasts the lock.
func TestAfterARestartOfNATSTheHolderComesFirst(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	term := newContestant(t, s, leader.Options{Pod: "holder"}).mustAcquire()
	waiting := newContestant(t, s, leader.Options{Pod: "waiting"})
	won := waiting.acquire()
	waiting.awaitHolder("holder")
	s.Stop()
	natstest.Eventually(t, "the holder to know nothing", func() bool { return !term.Valid() })
	natstest.Eventually(t, "the other to see nothing", func() bool { return waiting.seen().Err != nil })
	select {
	case <-term.Lost():
		t.Error("who knows nothing has not lost")
	default:
	}
	s.Restart()
	natstest.Eventually(t, "the holder to hold it again", term.Valid)
	waiting.awaitHolder("holder")
	select {
	case <-won:
		t.Error("it was taken from a holder that came back")
	default:
	}
}

func TestALostBucketIsMadeAgain(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	term := newContestant(t, s, leader.Options{Pod: "holder"}).mustAcquire()
	js, err := jetstream.New(s.Client())
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), "movies_locks"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the lock to be held again", func() bool {
		bucket, err := js.KeyValue(t.Context(), "movies_locks")
		if err != nil {
			return false
		}
		_, err = bucket.Get(t.Context(), "leader")
		return err == nil && term.Confirm(t.Context())
	})
}
