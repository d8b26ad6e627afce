package pluginclient

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"rosey.dev/rosey/runtime/bus"
)

// otherPlugin is the label of a plugin that is not known, in the count of late answers.
const otherPlugin = "other"

// metrics have the label plugin, whose values are those that are configured. They are safe for concurrent use.
type metrics struct {
	mu sync.Mutex
	// configured are the plugins that have series. What ends later than its plugin was removed is not counted: it would
	// make its series anew.
	configured map[string]bool

	available *prometheus.GaugeVec
	calls     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	requests  *prometheus.CounterVec
	lines     *prometheus.CounterVec
	dropped   *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	register := promauto.With(registerer)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return register.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &metrics{
		configured: map[string]bool{otherPlugin: true},
		available: register.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rosey_bot_plugin_processes",
			Help: "Processes of a plugin that answer. Always 0 on a bot that does not lead.",
		}, []string{"plugin"}),
		calls: counter("rosey_bot_plugin_calls_total",
			"Calls of commands of plugins, by plugin and outcome: success, usage, error, invalid, timeout, away, busy, left, "+
				"cooldown, or late for an answer that nobody waited for any more.", "plugin", "outcome"),
		seconds: register.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rosey_bot_plugin_call_seconds", Help: "Time from a call of a plugin to its answer or failure.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9), // to about half a minute
		}, []string{"plugin"}),
		requests: counter("rosey_bot_plugin_requests_total",
			"Requests of plugins, by plugin, request (say, take, queue, act, state, hello, bye or other) and outcome: done, "+
				"throttled, denied, invalid, failed, unconfirmed, dropped or no_inbox.", "plugin", "request", "outcome"),
		lines: counter("rosey_bot_plugin_lines_total", "Lines of plugins that were said.", "plugin"),
		dropped: counter("rosey_bot_plugin_dropped_lines_total",
			"Lines of plugins that were not said, by plugin and outcome: throttled or failed.", "plugin", "outcome"),
	}
}

// startAtZero creates the series of a plugin. Prometheus sees no increase when a series begins.
func (m *metrics) startAtZero(plugin string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.configured[plugin] = true
	m.available.WithLabelValues(plugin)
	m.seconds.WithLabelValues(plugin)
	m.lines.WithLabelValues(plugin)
	for _, outcome := range callOutcomes {
		m.calls.WithLabelValues(plugin, outcome)
	}
	for _, kind := range requestKinds {
		for _, outcome := range requestOutcomes {
			m.requests.WithLabelValues(plugin, kind, outcome)
		}
	}
	for _, outcome := range []string{bus.OutcomeThrottled, bus.OutcomeFailed} {
		m.dropped.WithLabelValues(plugin, outcome)
	}
}

// forget removes the series of a plugin that is configured no more.
func (m *metrics) forget(plugin string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.configured, plugin)
	labels := prometheus.Labels{"plugin": plugin}
	m.available.DeletePartialMatch(labels)
	m.seconds.DeletePartialMatch(labels)
	m.lines.DeletePartialMatch(labels)
	m.calls.DeletePartialMatch(labels)
	m.requests.DeletePartialMatch(labels)
	m.dropped.DeletePartialMatch(labels)
}

// count calls f if the plugin is configured.
func (m *metrics) count(plugin string, f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.configured[plugin] {
		f()
	}
}

func (m *metrics) setAvailable(plugin string, processes int) {
	m.count(plugin, func() { m.available.WithLabelValues(plugin).Set(float64(processes)) })
}

func (m *metrics) countCall(plugin, outcome string) {
	m.count(plugin, func() { m.calls.WithLabelValues(plugin, outcome).Inc() })
}

func (m *metrics) observeCall(plugin string, took time.Duration) {
	m.count(plugin, func() { m.seconds.WithLabelValues(plugin).Observe(took.Seconds()) })
}

func (m *metrics) countRequest(plugin, kind, outcome string) {
	m.count(plugin, func() { m.requests.WithLabelValues(plugin, kind, outcome).Inc() })
}

func (m *metrics) countLine(plugin string) {
	m.count(plugin, func() { m.lines.WithLabelValues(plugin).Inc() })
}

func (m *metrics) countDropped(plugin, outcome string, lines int) {
	m.count(plugin, func() { m.dropped.WithLabelValues(plugin, outcome).Add(float64(lines)) })
}
