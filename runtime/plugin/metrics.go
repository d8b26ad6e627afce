package plugin

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"rosey.dev/rosey/runtime/bus"
)

// Metrics are those of all plugins of a process.
type Metrics struct {
	calls, events, requests, counted *prometheus.CounterVec
	seconds                          *prometheus.HistogramVec
	running                          *prometheus.GaugeVec
}

// NewMetrics returns the metrics, which exist once in a process.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	metrics := promauto.With(registerer)
	return &Metrics{
		calls: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_plugin_calls_total",
			Help: "Calls of a plugin's commands, by outcome: answered, usage, failed, panicked, busy, late, cancelled, " +
				"no_inbox, malformed or not_sent.",
		}, []string{"plugin", "outcome"}),
		events: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_plugin_events_total",
			Help: "Events that a plugin got, by outcome: handled, failed, panicked, dropped or malformed.",
		}, []string{"plugin", "outcome"}),
		requests: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_plugin_requests_total",
			Help: "Requests of a plugin to bot and database, by outcome: answered, denied, nobody or failed.",
		}, []string{"plugin", "outcome"}),
		counted: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_plugin_counted_total",
			Help: "What a plugin counts, by what it is: of llm the tokens that it used, and answers that were over_budget.",
		}, []string{"plugin", "what"}),
		seconds: metrics.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rosey_plugin_call_seconds",
			Help:    "Time from the arrival of a call to its answer.",
			Buckets: []float64{0.001, 0.005, 0.02, 0.1, 0.5, 2, 5, 20, 60},
		}, []string{"plugin"}),
		running: metrics.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rosey_plugin_calls_running",
			Help: "Calls whose handlers run.",
		}, []string{"plugin"}),
	}
}

// Outcomes of calls and events: values of the label outcome.
const (
	outcomeAnswered  = "answered"
	outcomeUsage     = "usage"
	outcomeFailed    = "failed"
	outcomePanicked  = "panicked"
	outcomeBusy      = "busy"
	outcomeLate      = "late"
	outcomeCancelled = "cancelled"
	outcomeNoInbox   = "no_inbox"
	outcomeMalformed = "malformed"
	outcomeNotSent   = "not_sent"
	outcomeHandled   = "handled"
	outcomeDropped   = "dropped"
)

// requestFailures are the errors of requests by their values of the label outcome.
var requestFailures = []struct {
	err  error
	name string
}{{bus.ErrNoService, "nobody"}, {bus.ErrNoReply, "nobody"}, {bus.ErrNotConnected, "nobody"}}

func (m *Metrics) requested(plugin string, err error) {
	outcome := outcomeAnswered
	if err != nil {
		outcome = outcomeFailed
		for _, known := range requestFailures {
			if errors.Is(err, known.err) {
				outcome = known.name
			}
		}
		if _, denied := errors.AsType[*bus.DeniedError](err); denied {
			outcome = "denied"
		}
	}
	m.requests.WithLabelValues(plugin, outcome).Inc()
}

// count counts something that a plugin has declared.
func (m *Metrics) count(plugin, what string, by float64) {
	m.counted.WithLabelValues(plugin, what).Add(by)
}

func (m *Metrics) called(plugin, outcome string, arrived time.Time) {
	m.calls.WithLabelValues(plugin, outcome).Inc()
	if outcome == outcomeAnswered {
		m.seconds.WithLabelValues(plugin).Observe(time.Since(arrived).Seconds())
	}
}
