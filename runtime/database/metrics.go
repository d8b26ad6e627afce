package database

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
)

// The outcomes of a message: values of the label outcome of messages_total.
const (
	outcomeStored   = "stored"
	outcomeAnswered = "answered"
	outcomeIgnored  = "ignored"  // it says nothing that could be stored
	outcomeRepeated = "repeated" // it repeats another one without an ID
	outcomeInvalid  = "invalid"  // it cannot be decoded
	outcomeRejected = "rejected" // the store rejects it
	outcomeFailed   = "failed"   // a request that could not be answered
)

// The outcomes of a maintenance run: values of the label outcome of maintenance_runs_total.
const (
	maintenanceDone   = "done"
	maintenanceFailed = "failed"
)

const metricsPrefix = "rosey_database_"

// metrics are those of the engine.
type metrics struct {
	messages        *prometheus.CounterVec
	handled         prometheus.Histogram
	batches         prometheus.Histogram
	commits         prometheus.Histogram
	deadLetters     prometheus.Counter
	maintenanceRuns *prometheus.CounterVec
	pruned          *prometheus.CounterVec
	size            prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{
		messages: newCounters("messages_total",
			"Messages handled, by subject without prefix and by outcome.", "subject", "outcome"),
		handled: newHistogram("handle_seconds",
			"Time from the arrival of a message until it was stored or answered.",
			prometheus.ExponentialBuckets(0.0005, 2, 16)),
		batches: newHistogram("batch_events",
			"Events in one transaction.", []float64{1, 2, 5, 10, 20, 50, 100, 200, 500}),
		commits: newHistogram("apply_seconds",
			"Duration of the transactions, including those that failed.", prometheus.ExponentialBuckets(0.0005, 2, 14)),
		deadLetters: newCounter("dead_letters_total", "Messages that could not become rows and were stored as dead letters."),
		maintenanceRuns: newCounters("maintenance_runs_total",
			"Maintenance runs, by outcome: done or failed.", "outcome"),
		pruned: newCounters("pruned_rows_total",
			"Rows that were removed because their retention had ended, by kind.", "kind"),
		size: newGauge("store_bytes", "Size of the database at the start or after the last maintenance run."),
	}
	for _, outcome := range []string{maintenanceDone, maintenanceFailed} {
		m.maintenanceRuns.WithLabelValues(outcome)
	}
	if registerer != nil {
		registerer.MustRegister(m.messages, m.handled, m.batches, m.commits, m.deadLetters, m.maintenanceRuns, m.pruned,
			m.size)
	}
	return m
}

// count counts a message and observes the time since its arrival.
func (m *metrics) count(suffix bus.Suffix, outcome string, arrived time.Time) {
	m.messages.WithLabelValues(string(suffix), outcome).Inc()
	m.handled.Observe(time.Since(arrived).Seconds())
}

func (m *metrics) applied(events int, took time.Duration) {
	m.batches.Observe(float64(events))
	m.commits.Observe(took.Seconds())
}

// serviceMetrics are those of a Service's transports.
type serviceMetrics struct {
	pending, unacknowledged prometheus.Gauge
	lost                    prometheus.Counter
}

// newServiceMetrics takes functions that return how many messages wait for the store and how many were dropped.
func newServiceMetrics(registerer prometheus.Registerer, waiting, dropped func() int) *serviceMetrics {
	m := &serviceMetrics{
		pending: newGauge("stream_pending_events", "Events in the stream that were not delivered to a service yet."),
		unacknowledged: newGauge("stream_unacknowledged_events",
			"Events that the stream has delivered to the services and that are not stored yet, all services together."),
		lost: newCounter("stream_lost_events_total",
			"Events that the stream removed because of its limits before they were stored."),
	}
	if registerer != nil {
		registerer.MustRegister(m.pending, m.unacknowledged, m.lost,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: metricsPrefix + "waiting_messages", Help: "Messages that have arrived and wait for the store.",
			}, func() float64 { return float64(waiting()) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: metricsPrefix + "dropped_messages_total",
				Help: "Messages that were dropped because too many waited for the store.",
			}, func() float64 { return float64(dropped()) }))
	}
	return m
}

func newCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: metricsPrefix + name, Help: help})
}

func newCounters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricsPrefix + name, Help: help}, labels)
}

func newGauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: metricsPrefix + name, Help: help})
}

func newHistogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: metricsPrefix + name, Help: help, Buckets: buckets})
}
