package controllers

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
)

// The metrics of each RoseyBot.
var (
	conditionMetric = newDesc("condition",
		"Always 1: the current status and reason of a condition.", "type", "status", "reason")
	replicasMetric = newDesc("component_replicas",
		"Number of pods of a component: wanted by the spec, existing, and ready.", "component", "state")
	podsMetric = newDesc("component_pods",
		"Number of pods of a component on a node, without those that have ended.", "component", "node")
	serverBotsMetric = prometheus.NewDesc("roseybot_server_bots",
		"Number of RoseyBots that connect to a CyTube server.", []string{"server"}, nil)
	serverAllowedMetric = prometheus.NewDesc("roseybot_server_connections_allowed",
		"Number of connections at once that a CyTube server is taken to allow from one address.", []string{"server"}, nil)
	infoMetric = newDesc("info", "Always 1: the channel and the NATS servers of a RoseyBot, and whose database it shares.",
		"server", "channel", "nats", "shared_from")
)

func newDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("roseybot_"+name, help, append([]string{"namespace", "name"}, labels...), nil)
}

// collector reads RoseyBots from the cache whenever the metrics are scraped, so that the series of a deleted RoseyBot
// disappear with it.
type collector struct {
	cache       client.Reader
	connections ConnectionLimits
}

// NewCollector returns a collector of the metrics roseybot_*, which describe the RoseyBots in a cache.
func NewCollector(cache client.Reader, connections ConnectionLimits) prometheus.Collector {
	return collector{cache: cache, connections: connections}
}

// Describe implements prometheus.Collector.
func (c collector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- conditionMetric
	descriptions <- replicasMetric
	descriptions <- podsMetric
	descriptions <- infoMetric
	descriptions <- serverBotsMetric
	descriptions <- serverAllowedMetric
}

// Collect implements prometheus.Collector.
func (c collector) Collect(series chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	bots := &v1alpha1.RoseyBotList{}
	if err := c.cache.List(ctx, bots, client.UnsafeDisableDeepCopy); err != nil {
		return // the cache is not synced yet; an invalid metric would make the whole scrape fail
	}
	owners := map[client.ObjectKey]*v1alpha1.RoseyBot{}
	for i := range bots.Items {
		owners[client.ObjectKeyFromObject(&bots.Items[i])] = &bots.Items[i]
	}
	for i := range bots.Items {
		bot := &bots.Items[i]
		owner := owners[client.ObjectKey{Namespace: bot.Namespace, Name: manifests.SharedFrom(bot)}]
		collect(bot, manifests.NATS(bot, owner).URL, series)
	}
	c.collectPods(ctx, owners, series)
	for _, use := range countServers(bots.Items, c.connections) {
		send := func(metric *prometheus.Desc, value int) {
			series <- prometheus.MustNewConstMetric(metric, prometheus.GaugeValue, float64(value), use.server)
		}
		send(serverBotsMetric, use.bots)
		if use.allowed > 0 { // several servers together have none
			send(serverAllowedMetric, use.allowed)
		}
	}
}

// collectPods sends on which nodes the pods of RoseyBots are.
func (c collector) collectPods(
	ctx context.Context, bots map[client.ObjectKey]*v1alpha1.RoseyBot, series chan<- prometheus.Metric,
) {
	pods := &corev1.PodList{}
	if err := c.cache.List(ctx, pods, client.UnsafeDisableDeepCopy); err != nil {
		return // as above
	}
	type place struct {
		bot             client.ObjectKey
		component, node string
	}
	counts := map[place]int{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		at := place{
			client.ObjectKey{Namespace: pod.Namespace, Name: pod.Labels[manifests.LabelRoseyBot]},
			pod.Labels[manifests.LabelComponent], pod.Spec.NodeName,
		}
		bot := bots[at.bot]
		if bot == nil || at.node == "" || podEnded(pod) ||
			!slices.Contains(manifests.Components(bot), manifests.Component(at.component)) { // such as that of a Job
			continue
		}
		counts[at]++
	}
	for at, count := range counts {
		series <- prometheus.MustNewConstMetric(podsMetric, prometheus.GaugeValue, float64(count),
			at.bot.Namespace, at.bot.Name, at.component, at.node)
	}
}

// collect sends the metrics of one RoseyBot. nats is the URL of its NATS servers, or "".
func collect(bot *v1alpha1.RoseyBot, nats string, series chan<- prometheus.Metric) {
	send := func(metric *prometheus.Desc, value float64, labels ...string) {
		labels = append([]string{bot.Namespace, bot.Name}, labels...)
		series <- prometheus.MustNewConstMetric(metric, prometheus.GaugeValue, value, labels...)
	}
	server, nats := serverLabel(ServerKey(bot.Spec.Channel.Server), bot.Namespace), serverLabel(nats, bot.Namespace)
	send(infoMetric, 1, server, bot.Spec.Channel.Name, nats, manifests.SharedFrom(bot))
	for _, condition := range bot.Status.Conditions {
		send(conditionMetric, 1, condition.Type, string(condition.Status), condition.Reason)
	}
	components := map[manifests.Component]v1alpha1.ComponentStatus{
		manifests.Bot: bot.Status.Bot, manifests.Database: bot.Status.Database,
	}
	if manifests.HasWeb(bot) {
		components[manifests.Web] = bot.Status.Web
	}
	for i := range bot.Spec.Plugins {
		component := manifests.PluginComponent(bot.Spec.Plugins[i])
		for _, plugin := range bot.Status.Plugins {
			if plugin.Name == bot.Spec.Plugins[i].Name {
				components[component] = v1alpha1.ComponentStatus{
					Replicas: plugin.Replicas, ReadyReplicas: plugin.ReadyReplicas,
				}
			}
		}
	}
	for component, counts := range components {
		send(replicasMetric, float64(manifests.Replicas(bot, component)), string(component), "wanted")
		send(replicasMetric, float64(counts.Replicas), string(component), "existing")
		send(replicasMetric, float64(counts.ReadyReplicas), string(component), "ready")
	}
}

// serverLabel returns URLs, separated by commas, in the form that is the same for RoseyBots in all namespaces: alerts
// count those on one server, and a short name stands for another Service in each namespace.
func serverLabel(urls, namespace string) string {
	labels := strings.Split(urls, ",")
	for i, one := range labels {
		parsed, err := url.Parse(strings.TrimSpace(one))
		if err != nil || parsed.Hostname() == "" {
			continue
		}
		host := config.ShortHost(parsed.Hostname())
		if !strings.ContainsAny(host, ".:") {
			host += "." + namespace
		}
		switch port := parsed.Port(); {
		case port != "":
			host = net.JoinHostPort(host, port)
		case strings.Contains(host, ":"):
			host = "[" + host + "]"
		}
		labels[i] = parsed.Scheme + "://" + host
	}
	return strings.Join(labels, ",")
}
