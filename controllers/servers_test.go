package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// crowdedServer allows two connections.
const crowdedServer = "https://crowded.example"

// TestMoreBotsThanAServerAllowsAreReportedOnce creates three RoseyBots on a server for two, and one that is suspended.
func TestMoreBotsThanAServerAllowsAreReportedOnce(t *testing.T) {
	namespace := newNamespace(t)
	bots := map[string]*v1alpha1.RoseyBot{}
	for _, name := range []string{"one", "two", "suspended", "three"} {
		bot := newBot(namespace)
		bot.Name, bot.Spec.Channel.Server = name, "https://Crowded.example:443"
		bot.Spec.Suspend = new(name == "suspended")
		create(t, bot)
		bots[name] = bot
		eventually(t, "the status of "+name, func(ctx context.Context) error {
			live, err := get(ctx, &v1alpha1.RoseyBot{}, namespace, name)
			if err == nil && live.Status.ObservedGeneration != live.Generation {
				err = errors.New("no status")
			}
			return err
		})
	}
	crowded := func(ctx context.Context) ([]string, error) {
		list := &eventsv1.EventList{}
		if err := rig.admin.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, err
		}
		var found []string
		for _, event := range list.Items {
			if event.Reason == reasonCrowded {
				count := int32(1)
				if event.Series != nil {
					count = event.Series.Count
				}
				found = append(found, fmt.Sprintf("%s %s %d: %s", event.Type, event.Regarding.Name, count, event.Note))
			}
		}
		return found, nil
	}
	const use = "more than 2 RoseyBots use https://crowded.example, which is taken to allow 2 connections at once from " +
		"one address"
	want := []string{"Warning three 1: " + use +
		": bots with one address beyond that number cannot join; see docs/tasks/many-bots.md"}
	expect := func(ctx context.Context) error {
		got, err := crowded(ctx)
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			err = errors.New(diff)
		}
		return err
	}
	eventually(t, "the event", expect)

	// Another change of the same RoseyBot emits no second event.
	live, err := get(t.Context(), &v1alpha1.RoseyBot{}, namespace, "three")
	must(t, err)
	live.Spec.LogLevel = "debug"
	must(t, rig.admin.Update(t.Context(), live))
	eventually(t, "the change", func(ctx context.Context) error {
		now, err := get(ctx, &v1alpha1.RoseyBot{}, namespace, "three")
		if err == nil && now.Status.ObservedGeneration != now.Generation {
			err = errors.New("not observed")
		}
		return err
	})
	must(t, expect(t.Context()))

	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(rig.operator.Client, rig.operator.Connections))
	series, err := scrape(registry, "")
	must(t, err)
	for _, one := range []string{
		"server_bots{server=https://crowded.example} 3",
		"server_connections_allowed{server=https://crowded.example} 2",
	} {
		if !strings.Contains(strings.Join(series, "\n"), one) {
			t.Errorf("the metrics lack %s: %v", one, series)
		}
	}
	in := statusInput{bot: bots["three"], observed: observed{server: serverUse{crowdedServer, 3, 2}}}
	reason, message := translateReason(in, manifests.Bot, status.ReasonConnectionLimited, "limited")
	if reason != string(status.ReasonConnectionLimited) || message != "limited; "+use {
		t.Errorf("condition %s: %s", reason, message)
	}
}

// TestServersOfUsersDoNotFillTheMetrics has one RoseyBot on each of many servers.
func TestServersOfUsersDoNotFillTheMetrics(t *testing.T) {
	t.Parallel()
	var bots []v1alpha1.RoseyBot
	for i := range 200 {
		bot := *newBot("fun")
		bot.Spec.Channel.Server = fmt.Sprintf("https://server%03d.example", i)
		bots = append(bots, bot)
	}
	bots = append(bots, *bots[199].DeepCopy())
	uses := countServers(bots, ConnectionLimits{Servers: map[string]int{"https://server199.example": 1}})
	if len(uses) != maxServers+1 {
		t.Fatalf("%d series", len(uses))
	}
	if first := uses[0]; first != (serverUse{"https://server199.example", 2, 1}) || !first.crowded() {
		t.Errorf("first %+v", first)
	}
	if last := uses[maxServers]; last != (serverUse{"other", 150, 0}) {
		t.Errorf("last %+v", last)
	}
}

func TestSpellingsOfAServerAreOne(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://cytu.be": "https://cytu.be", "https://CYTU.be:443": "https://cytu.be", "http://cytu.be:80": "http://cytu.be",
		"http://cytu.be:443": "http://cytu.be:443", "https://cytu.be/": "https://cytu.be",
		"http://[::1]:8080": "http://[::1]:8080",
	} {
		if got := ServerKey(url); got != want {
			t.Errorf("%s is %s, want %s", url, got, want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The count follows what becomes of RoseyBots, and nothing of those that are gone is kept.
func TestServersAreCountedAsRoseyBotsChange(t *testing.T) {
	counted := newServers()
	one, two := newBot("a"), newBot("b")
	one.Spec.Channel.Server, two.Spec.Channel.Server = "https://one.example", "https://ONE.example/"
	check := func(what string, bot *v1alpha1.RoseyBot, want int) {
		t.Helper()
		if got := counted.count(bot); got != want {
			t.Errorf("%s: %d RoseyBots use the server, want %d", what, got, want)
		}
	}
	check("the first", one, 1)
	check("the second", two, 2)
	check("the second again", two, 2)
	two.Spec.Channel.Server = "https://two.example"
	check("the second moves", two, 1)
	check("the first is alone", one, 1)
	one.Spec.Suspend = new(true)
	check("the first is suspended", one, 0)
	one.Spec.Suspend = nil
	check("the first is resumed", one, 1)
	for _, bot := range []*v1alpha1.RoseyBot{one, two} {
		counted.forget(client.ObjectKeyFromObject(bot))
		counted.forget(client.ObjectKeyFromObject(bot))
	}
	if len(counted.used)+len(counted.counts) > 0 {
		t.Errorf("kept of deleted RoseyBots: %v, %v", counted.used, counted.counts)
	}
}
