package leader_test

import (
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/leader"
)

func yes() bool { return true }

// The only candidate does not need the key: it leads although there is no JetStream, no bucket, or no permission.
func TestTheOnlyCandidateLeadsWithoutTheKey(t *testing.T) {
	for name, test := range map[string]struct {
		change []func(*server.Options)
		manual bool
	}{
		"no JetStream":  {},
		"no permission": {change: []func(*server.Options){forbid("$JS.API.STREAM.>"), withJetStream(t)}},
		"no bucket":     {change: []func(*server.Options){withJetStream(t)}, manual: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t, test.change...)
			leadership := newCandidate(t, s, leader.Options{Pod: "only", Alone: yes, Manual: test.manual}).mustAcquire()
			if !leadership.Valid() || !leadership.Alone() || leadership.Reason() != leader.AcquiredAlone {
				t.Errorf("valid %t, alone %t, acquired as %s", leadership.Valid(), leadership.Alone(), leadership.Reason())
			}
			if err := leadership.Release(t.Context()); err != nil || leadership.Valid() {
				t.Errorf("released: %v, valid %t", err, leadership.Valid())
			}
		})
	}
}

// A standby that is added waits for the bot that was the only one, and takes over when that ends.
func TestAStandbyIsAddedToTheOnlyCandidate(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	var added atomic.Bool
	first := newCandidate(t, s, leader.Options{Pod: "first", Alone: func() bool { return !added.Load() }}).mustAcquire()
	added.Store(true)
	second := newCandidate(t, s, leader.Options{Pod: "second"})
	acquired := second.acquire()
	second.awaitHolder("first")
	natstest.Eventually(t, "the first knows of the second", func() bool { return !first.Alone() })
	if !first.Valid() {
		t.Error("the first does not lead any more")
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait(t, acquired)
}

// The only candidate stays the leader while NATS is away, also for longer than the key lives, and has the key
// afterwards.
func TestTheOnlyCandidateOutlastsAnOutageOfNATS(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	only := newCandidate(t, s, leader.Options{Pod: "only", Alone: yes})
	leadership := only.mustAcquire()
	s.Stop()
	natstest.Eventually(t, "renewals to fail", func() bool { return leadership.Err() != nil })
	if !leadership.Valid() {
		t.Error("it does not lead while NATS is away")
	}
	s.Restart()
	natstest.Eventually(t, "the key to be renewed", func() bool { return leadership.Err() == nil })
	second := newCandidate(t, s, leader.Options{Pod: "second"})
	second.acquire()
	second.awaitHolder("only")
}

// A candidate that leads without the key, because it was started while NATS was away, takes the key when NATS is back,
// also from its own former process; and it has lost if another holds it.
func TestTheKeyIsTakenWhenNATSIsBack(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	const bucket, own, rival = "movies_locks", `{"pod":"only","uid":"7","process":"former"}`,
		`{"pod":"rival","uid":"x","process":"y"}`
	kv, err := js(t, s).CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket, TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	only := newCandidate(t, s, leader.Options{Pod: "only", UID: "7", Alone: yes})
	leadership := only.mustAcquire()
	s.Restart()
	natstest.Eventually(t, "the former process's key to be there", func() bool {
		_, err := kv.Put(t.Context(), leaderKey, []byte(own))
		return err == nil
	})
	natstest.Eventually(t, "the key to be taken", func() bool { return leadership.Err() == nil })
	if !leadership.Valid() {
		t.Error("it lost to its own former process")
	}
	if _, err := kv.Put(t.Context(), leaderKey, []byte(rival)); err != nil {
		t.Fatal(err)
	}
	wait(t, leadership.Lost())
	if leadership.Valid() || leadership.NewHolder() != "rival" {
		t.Errorf("valid %t, lost to %q", leadership.Valid(), leadership.NewHolder())
	}
}
