package pluginclient

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// newTestClient returns a Client of plugins with these names, without a connection.
func newTestClient(t *testing.T, names ...string) *Client {
	t.Helper()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{
		Options: Options{
			Subjects: subjects, Registry: command.NewRegistry(), Log: slog.New(slog.DiscardHandler),
			Leading: func() bool { return true }, Origin: bus.Origin{Channel: "movienight"},
		},
		metrics: newMetrics(prometheus.NewRegistry()), timings: defaultTimings(), pending: map[string]*call{},
	}
	c.Registry.Configure(config.Commands{})
	var plugins []config.Plugin
	for _, name := range names {
		plugins = append(plugins, config.Plugin{Name: name})
	}
	c.Configure(plugins)
	return c
}

// What several plugins offer is learnt at the same moment when a bot becomes the leader.
func TestPluginsThatAreFoundTogetherDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d"}
	c := newTestClient(t, names...)
	for round := range 500 {
		var finding sync.WaitGroup
		for _, p := range c.all() {
			one := Instance{ID: fmt.Sprint(round), Commands: []bus.PluginCommand{{Name: fmt.Sprint(p.name, round)}}}
			finding.Go(func() { p.settle(t.Context(), map[string]Instance{one.ID: one}) })
		}
		finding.Wait()
		for _, name := range names {
			if typed, _ := c.Registry.Offered(name); len(typed) != 1 || typed[0] != fmt.Sprint(name, round) {
				t.Fatalf("round %d: %s has %q", round, name, typed)
			}
		}
	}
}

// Whoever has waited for a plugin to be ready may give its commands: a line was not taken as one if it came just then.
func TestAPluginIsNotReadyBeforeItsCommandsCanBeGiven(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, "dice")
	p := c.find("dice")
	p.setInstances(func() (map[string]Instance, bool) {
		return map[string]Instance{"one": {ID: "one", Commands: []bus.PluginCommand{{Name: "roll"}}}}, true
	})
	if r := c.Reports()[0]; r.OK || r.Reason != status.ReasonStarting {
		t.Errorf("before the commands are registered: %+v", r)
	}
	c.register()
	if r := c.Reports()[0]; !r.OK || r.Reason != status.ReasonReady || len(r.Commands) != 1 {
		t.Errorf("afterwards: %+v", r)
	}
}

// In a rollout the old processes say bye at the moment at which the new one is found.
func TestAByeAndALookAtOnceForgetNoProcessAndKeepNone(t *testing.T) {
	t.Parallel()
	p := newTestClient(t, "dice").find("dice")
	for round := range 500 {
		before, after := map[string]Instance{}, fmt.Sprint("new", round)
		for i := range 8 {
			id := fmt.Sprint("old", i)
			before[id] = Instance{ID: id}
		}
		p.settle(t.Context(), maps.Clone(before))
		p.mu.Lock()
		p.left = map[string]bool{} // a look begins, and all answer
		p.mu.Unlock()
		answered := maps.Clone(before)
		answered[after] = Instance{ID: after}
		var all sync.WaitGroup
		for id := range before {
			all.Go(func() { p.bye(t.Context(), id) })
		}
		all.Go(func() { p.settle(t.Context(), answered) })
		all.Wait()
		if got := slices.Collect(maps.Keys(p.instances)); !slices.Equal(got, []string{after}) {
			t.Fatalf("round %d: the processes are %q, want %q", round, got, after)
		}
	}
}
