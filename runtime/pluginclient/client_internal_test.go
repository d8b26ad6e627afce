package pluginclient

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/config"
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
			finding.Go(func() { p.publish(t.Context(), map[string]Instance{one.ID: one}) })
		}
		finding.Wait()
		for _, name := range names {
			if typed, _ := c.Registry.Offered(name); len(typed) != 1 || typed[0] != fmt.Sprint(name, round) {
				t.Fatalf("round %d: %s has %q", round, name, typed)
			}
		}
	}
}
