package leader_test

import (
	"testing"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/leader"
)

// serverAt is the URL of a server that is another process.
type serverAt string

func (s serverAt) URL() string { return string(s) }

// The election works with the oldest NATS that is supported: one leads, and the other after it.
func TestElectionOnTheOldestNATS(t *testing.T) {
	t.Parallel()
	server := serverAt(natstest.StartVersion(t, bus.MinServerVersion, "jetstream: {store_dir: "+t.TempDir()+"}"))
	first := newCandidate(t, server, leader.Options{Pod: "a", UID: "1"}).mustAcquire()
	second := newCandidate(t, server, leader.Options{Pod: "b", UID: "2"})
	acquired := second.acquire()
	second.awaitHolder("a")
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait(t, acquired)
}
