package chaos

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// trial is a cause of an alert, and the labels with which it fires, one set for each alert.
type trial struct {
	alert       string
	labels      []map[string]string
	cause, mend func(context.Context) error
}

// try makes the cause of an alert until it fires, and mends it until it stops.
func (w *watch) try(t *testing.T, each trial) {
	t.Helper()
	if err := each.cause(t.Context()); err != nil {
		t.Fatalf("making the cause of %s: %v", each.alert, err)
	}
	eventually(t, each.alert+" fires", func(ctx context.Context) error {
		return w.firing(ctx, each.alert, each.labels...)
	})
	if err := each.mend(t.Context()); err != nil {
		t.Fatalf("mending the cause of %s: %v", each.alert, err)
	}
	eventually(t, each.alert+" stops", func(ctx context.Context) error { return w.firing(ctx, each.alert) })
	t.Logf("%s fired and stopped", each.alert)
}

// The causes of alerts about processes are made with real processes and a real Prometheus, whose copy of the rules has
// shorter times. Each alert fires with its labels, and stops when its cause is mended. Before that, while people chat
// and processes are replaced, none fires.
func TestAlertsOfProcesses(t *testing.T) {
	if os.Getenv("ROSEY_CHAOS_ALERTS") == "" {
		t.Skip("takes minutes: make chaos SETUPS=alerts")
	}
	world := Start(t, Setup{Bots: 1, Databases: 1, JetStream: true})
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
	for _, each := range trials(t, world, crowd) {
		watch.try(t, each)
	}
}

func trials(t *testing.T, world *Processes, crowd *crowd) []trial {
	t.Helper()
	client, err := nats.Connect(world.natsURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	publish := func(suffix, payload string) func(context.Context) error {
		return func(context.Context) error {
			if err := client.Publish(prefix+"."+suffix, []byte(payload)); err != nil {
				return fmt.Errorf("publishing: %w", err)
			}
			return client.Flush()
		}
	}
	of := func(pod, owner string) []map[string]string {
		return []map[string]string{{"namespace": "films", "name": "rosey", "pod": pod, "owner": owner}}
	}
	nothing := func(context.Context) error { return nil } // the time in which it counts passes
	var repair Repair
	return []trial{
		{"RoseyMessagesRefused", of("db1", "platform"), publish("db.message.log", "no JSON"), nothing},
		{
			"RoseyLimitReached", of("db1", "channel"),
			publish("db.user.joined", `{"username":"`+strings.Repeat("x", 4000)+`"}`), nothing,
		},
		{
			"RoseyMessagesWait", of("bot1", "platform"),
			func(ctx context.Context) (err error) {
				_, repair, err = world.Inject(ctx, Fault{Kind: LeaderLosesBus})
				return err
			},
			func(ctx context.Context) error { return repair(ctx) },
		},
		{
			"RoseyBotReconnects", of("bot1", "channel"),
			func(context.Context) error { crowd.kicks.Store(true); return nil },
			func(context.Context) error { crowd.kicks.Store(false); return nil },
		},
	}
}
