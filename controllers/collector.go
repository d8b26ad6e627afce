package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// Metrics about each RoseyBot.
var (
	conditionMetric = about("condition", "A condition of a RoseyBot as it is now: always 1.", "type", "status", "reason")
	replicasMetric  = about("component_replicas", "Pods of a component: wanted by the spec, existing, and ready.",
		"component", "state")
	infoMetric = about("info", "What a RoseyBot is: always 1.", "server", "channel")
)

func about(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("roseybot_"+name, help, append([]string{"namespace", "name"}, labels...), nil)
}

// collector makes the metrics at each scrape from what the cache holds, so that no series outlives its RoseyBot.
type collector struct{ cache client.Reader }

// NewCollector returns a collector of metrics about the RoseyBots that a cache holds.
func NewCollector(cache client.Reader) prometheus.Collector { return collector{cache: cache} }

// Describe implements prometheus.Collector.
func (c collector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- conditionMetric
	descriptions <- replicasMetric
	descriptions <- infoMetric
}

// Collect implements prometheus.Collector.
func (c collector) Collect(series chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	bots := &v1alpha1.RoseyBotList{}
	if err := c.cache.List(ctx, bots); err != nil {
		return // the cache is not filled yet: that must not keep the operator's other metrics from being read
	}
	for i := range bots.Items {
		collect(&bots.Items[i], func(metric *prometheus.Desc, value float64, labels ...string) {
			labels = append([]string{bots.Items[i].Namespace, bots.Items[i].Name}, labels...)
			series <- prometheus.MustNewConstMetric(metric, prometheus.GaugeValue, value, labels...)
		})
	}
}

func collect(bot *v1alpha1.RoseyBot, send func(metric *prometheus.Desc, value float64, labels ...string)) {
	send(infoMetric, 1, bot.Spec.Channel.Server, bot.Spec.Channel.Name)
	for _, condition := range bot.Status.Conditions {
		send(conditionMetric, 1, condition.Type, string(condition.Status), condition.Reason)
	}
	for component, counts := range map[manifests.Component]v1alpha1.ComponentStatus{
		manifests.Bot: bot.Status.Bot, manifests.Database: bot.Status.Database,
	} {
		send(replicasMetric, float64(manifests.Replicas(bot, component)), string(component), "wanted")
		send(replicasMetric, float64(counts.Replicas), string(component), "existing")
		send(replicasMetric, float64(counts.ReadyReplicas), string(component), "ready")
	}
}
