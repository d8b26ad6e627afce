package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/api/v1alpha1"
)

// scrape returns the series with a namespace label as "name{labels} value".
func scrape(registry prometheus.Gatherer, namespace string) ([]string, error) {
	families, err := registry.Gather()
	var found []string
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			var text []string
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
				if label.GetName() != "namespace" && label.GetName() != "name" {
					text = append(text, label.GetName()+"="+label.GetValue())
				}
			}
			if labels["namespace"] == namespace {
				found = append(found, fmt.Sprintf("%s{%s} %v",
					strings.TrimPrefix(family.GetName(), "roseybot_"), strings.Join(text, ","), metric.GetGauge().GetValue()))
			}
		}
	}
	slices.Sort(found)
	return found, err
}

func TestMetricsAreThoseOfTheStatus(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(rig.operator.Client, rig.operator.Connections))
	want := []string{
		"component_pods{component=bot,node=node} 1",
		"component_pods{component=database,node=node} 1",
		"component_replicas{component=bot,state=existing} 1",
		"component_replicas{component=bot,state=ready} 1",
		"component_replicas{component=bot,state=wanted} 1",
		"component_replicas{component=database,state=existing} 1",
		"component_replicas{component=database,state=ready} 1",
		"component_replicas{component=database,state=wanted} 1",
		"condition{reason=Available,status=True,type=BotAvailable} 1",
		"condition{reason=Available,status=True,type=DatabaseAvailable} 1",
		"condition{reason=Joined,status=True,type=ChannelJoined} 1",
		"condition{reason=Ready,status=True,type=Ready} 1",
		"condition{reason=StreamBound,status=True,type=Durable} 1",
		"condition{reason=UpToDate,status=False,type=UpdateAvailable} 1",
		"info{channel=movienight,nats=nats://nats.example:4222,server=https://cytu.be,shared_from=} 1",
	}
	waitSeries(t, registry, bot.Namespace, want)
	if err := rig.admin.Delete(t.Context(), bot); err != nil {
		t.Fatal(err)
	}
	waitSeries(t, registry, bot.Namespace, nil)
}

// RoseyBots in two namespaces that name one server differently are counted together, and the Services of two namespaces
// that have one name are not.
func TestInfoNamesServersInOneWay(t *testing.T) {
	bot := newBot(newNamespace(t))
	bot.Spec.Channel.Server = "http://cytube.films.svc.cluster.local:8880"
	bot.Spec.NATS.URL = "nats://nats:4222,tls://other.films.svc:4222,nats://[2001:db8::1]:4222"
	create(t, bot)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(rig.operator.Client, rig.operator.Connections))
	waitInfo(t, registry, bot.Namespace, "info{channel=movienight,nats=nats://nats."+bot.Namespace+
		":4222,tls://other.films:4222,nats://[2001:db8::1]:4222,server=http://cytube.films:8880,shared_from=} 1")
}

// Alerts about RoseyBots that share a database service are inhibited by that of the RoseyBot which has it.
func TestInfoNamesWhoseDatabaseIsShared(t *testing.T) {
	bot := newBot(newNamespace(t))
	bot.Name, bot.Spec.NATS = "guest", nil
	bot.Spec.Database = &v1alpha1.Database{SharedFrom: &v1alpha1.ObjectRef{Name: "movienight"}}
	create(t, bot)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(rig.operator.Client, rig.operator.Connections))
	waitInfo(t, registry, bot.Namespace, "info{channel=movienight,nats=,server=https://cytu.be,shared_from=movienight} 1")
}

// waitInfo waits for one series.
func waitInfo(t *testing.T, registry prometheus.Gatherer, namespace, want string) {
	t.Helper()
	eventually(t, "the series", func(context.Context) error {
		got, err := scrape(registry, namespace)
		if err == nil && !slices.Contains(got, want) {
			err = fmt.Errorf("no %s in %q", want, got)
		}
		return err
	})
}

func waitSeries(t *testing.T, registry prometheus.Gatherer, namespace string, want []string) {
	t.Helper()
	eventually(t, "the series", func(context.Context) error {
		got, err := scrape(registry, namespace)
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			err = errors.New(diff)
		}
		return err
	})
}
