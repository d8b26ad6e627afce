package cytube

import (
	"context"
	"errors"
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/status"
)

// TestLeaveWaitsForTheServer leaves repeatedly, since returning too early shows only sometimes.
func TestLeaveWaitsForTheServer(t *testing.T) {
	sim, server := startSimulator(t)
	for range 20 {
		conn, err := Dial(t.Context(), Options{
			Server: server, Channel: "movienight", Username: "rosey", Password: "pw-rosey"})
		must(t, err)
		conn.Leave(t.Context())
		if users := sim.Channel("movienight").Users(); len(users) != 0 {
			t.Fatalf("still there: %+v", users)
		}
	}
}

// TestLeaveFromAServerThatIsSilent returns when its context ends, not when TCP gives up.
func TestLeaveFromAServerThatIsSilent(t *testing.T) {
	sim, server := startSimulator(t)
	conn, err := Dial(t.Context(), Options{
		Server: server, Channel: "movienight", Username: "rosey", Password: "pw-rosey"})
	must(t, err)
	sim.Partition(simulator.Target{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	conn.Leave(ctx)
}

func TestMayLoginIsCalledBeforeTheLogin(t *testing.T) {
	sim, server := startSimulator(t)
	_, err := Dial(t.Context(), Options{
		Server: server, Channel: "movienight", Username: "rosey", Password: "pw-rosey",
		MayLogin: func() bool { return false }})
	if refused, ok := errors.AsType[*Error](err); !ok || refused.Reason != status.ReasonLockUnavailable {
		t.Errorf("error %v", err)
	}
	for _, entry := range sim.Log() {
		if entry.Kind == simulator.KindLogin {
			t.Error("it logged in")
		}
	}
}
