package leader_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/leader"
)

// In a bucket of an administrator candidates use the key alone: they create neither the bucket nor a consumer.
func TestElectionInABucketOfAnAdministrator(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	admin := js(t, s)
	first := newCandidate(t, s, leader.Options{Pod: "first", Manual: true, Replicas: 3})
	acquired := first.acquire()
	natstest.Eventually(t, "the cause", func() bool {
		observed := first.last()
		return observed.Err != nil && strings.Contains(observed.Err.Error(), "the bucket does not exist") &&
			strings.Contains(observed.Err.Error(), "opening the bucket movies_locks")
	})
	if _, err := admin.KeyValue(t.Context(), "movies_locks"); !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Fatalf("the bucket: %v", err)
	}
	_, err := admin.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "movies_locks", TTL: ttl, History: 5})
	if err != nil {
		t.Fatal(err)
	}
	leadership := wait(t, acquired)
	second := newCandidate(t, s, leader.Options{Pod: "second", Manual: true})
	next := second.acquire()
	natstest.Eventually(t, "the second to see the first", func() bool { return second.last().Holder == "first" })
	stream, err := admin.Stream(t.Context(), "KV_movies_locks")
	if err != nil {
		t.Fatal(err)
	}
	if count := stream.CachedInfo().State.Consumers; count != 0 {
		t.Errorf("%d consumers in the bucket", count)
	}
	if err := leadership.Release(t.Context()); err != nil {
		t.Error(err)
	}
	wait(t, next)
}

func TestCreateBucket(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	subjects, err := bus.NewSubjects("movies")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bus.Change{bus.Created, bus.Unchanged} {
		if change, err := leader.CreateBucket(t.Context(), js(t, s), subjects, 1); err != nil || change != want {
			t.Errorf("%s, %v; want %s", change, err, want)
		}
	}
	if _, err := leader.CreateBucket(t.Context(), js(t, s), subjects, 3); err == nil {
		t.Error("a single server stores three replicas")
	}
}
