package chaos

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// firing are the labels with which alerts fire, one set for each series, by name.
type firing map[string][]map[string]string

// trial is a cause of alerts.
type trial struct {
	fires       firing
	cause, mend func(context.Context) error
}

// try makes a cause until its alerts fire, and mends it until they stop.
func (w *watch) try(t *testing.T, one trial) {
	t.Helper()
	names := slices.Sorted(maps.Keys(one.fires))
	if err := one.cause(t.Context()); err != nil {
		t.Fatalf("making the cause of %v: %v", names, err)
	}
	for _, name := range names {
		eventually(t, name+" fires", func(ctx context.Context) error { return w.firing(ctx, name, one.fires[name]...) })
	}
	if err := one.mend(t.Context()); err != nil {
		t.Fatalf("mending the cause of %v: %v", names, err)
	}
	for _, name := range names {
		eventually(t, name+" stops", func(ctx context.Context) error { return w.firing(ctx, name) })
	}
	t.Logf("fired and stopped: %v", names)
}

// The causes of alerts about processes are made with real processes and a real Prometheus, whose copy of the rules has
// shorter times. Each alert fires with its labels, and stops when its cause is mended. Before that, while people chat
// and processes are replaced, none fires.
func TestAlertsOfProcesses(t *testing.T) {
	if os.Getenv("ROSEY_CHAOS_ALERTS") == "" {
		t.Skip("takes minutes: make chaos SETUPS=alerts")
	}
	world := Start(t, Setup{
		Bots: 1, Databases: 1, JetStream: true,
		Database: ", limits: {kvKeys: 10}, backup: {directory: 'DIR/backups', every: 24h, keep: 2}",
	})
	watch := startWatch(t, world)
	eventually(t, "everything is healthy", world.Healthy)
	crowd := startCrowd(t, world)

	for _, kind := range []Kind{RollDatabases, RollBots} {
		if _, _, err := world.Inject(t.Context(), Fault{Kind: kind}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "everything is healthy again", world.Healthy)
	}
	eventually(t, "people are heard", func(ctx context.Context) error {
		return watch.shows(ctx, `sum(increase(rosey_cytube_events_total{event="chatMsg"}[20s])) > 20`)
	})
	if fired, err := watch.everFired(t.Context()); err != nil || len(fired) > 0 {
		t.Fatalf("while nothing was wrong, these alerts fired: %v (%v)", fired, err)
	}
	client, err := nats.Connect(world.natsURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for _, each := range append(trials(world, client, crowd), world.storageTrials(client)...) {
		watch.try(t, each)
	}
}

// ofProcess returns an alert about one process.
func ofProcess(alert, pod, owner string) firing {
	return firing{alert: {{"namespace": "films", "name": "rosey", "pod": pod, "owner": owner}}}
}

func trials(world *Processes, client *nats.Conn, crowd *crowd) []trial {
	publish := func(suffix, payload string) func(context.Context) error {
		return func(context.Context) error {
			if err := client.Publish(prefix+"."+suffix, []byte(payload)); err != nil {
				return fmt.Errorf("publishing: %w", err)
			}
			return client.Flush()
		}
	}
	nothing := func(context.Context) error { return nil } // the time in which it counts passes
	var repair Repair
	return []trial{
		{ofProcess("RoseyMessagesRefused", "db1", "platform"), publish("db.message.log", "no JSON"), nothing},
		{
			ofProcess("RoseyLimitReached", "db1", "channel"),
			publish("db.user.joined", `{"username":"`+strings.Repeat("x", 4000)+`"}`), nothing,
		},
		{
			ofProcess("RoseyMessagesWait", "bot1", "platform"),
			func(ctx context.Context) (err error) {
				_, repair, err = world.Inject(ctx, Fault{Kind: LeaderLosesBus})
				return err
			},
			func(ctx context.Context) error { return repair(ctx) },
		},
		{
			ofProcess("RoseyBotReconnects", "bot1", "channel"),
			func(context.Context) error { crowd.kicks.Store(true); return nil },
			func(context.Context) error { crowd.kicks.Store(false); return nil },
		},
	}
}
