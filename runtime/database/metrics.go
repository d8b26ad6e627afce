package database

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
)

// What became of a message: the values of the label outcome.
const (
	outcomeStored   = "stored"
	outcomeAnswered = "answered"
	outcomeIgnored  = "ignored"  // lacks what it is about
	outcomeRepeated = "repeated" // came a moment ago
	outcomeInvalid  = "invalid"  // cannot be decoded
	outcomeRejected = "rejected" // by the store
	outcomeFailed   = "failed"   // a question without an answer
)

type metrics struct {
	messages    *prometheus.CounterVec
	handled     prometheus.Histogram
	batches     prometheus.Histogram
	commits     prometheus.Histogram
	deadLetters prometheus.Counter
	upkeep      *prometheus.CounterVec
	pruned      *prometheus.CounterVec
	size        prometheus.Gauge

	pending, unacknowledged prometheus.Gauge
	lost                    prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, waiting, dropped func() int) *metrics {
	m := &metrics{
		messages: counters("messages_total",
			"Messages taken from NATS, by subject without prefix and outcome.", "subject", "outcome"),
		handled: histogram("handle_seconds",
			"How long messages took from their arrival until they were stored or answered.",
			prometheus.ExponentialBuckets(0.0005, 2, 16)),
		batches: histogram("batch_events",
			"Events in one transaction.", []float64{1, 2, 5, 10, 20, 50, 100, 200, 500}),
		commits: histogram("apply_seconds",
			"How long transactions took, those that failed too.", prometheus.ExponentialBuckets(0.0005, 2, 14)),
		deadLetters: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metricsPrefix + "dead_letters_total",
			Help: "Messages that could not become rows and were kept as dead letters.",
		}),
		upkeep: counters("maintenance_runs_total", "Maintenance runs, by outcome: done or failed.", "outcome"),
		pruned: counters("pruned_rows_total", "Rows that the retention has removed, by kind.", "kind"),
		size: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: metricsPrefix + "store_bytes", Help: "What the database took at the start or at the last maintenance run.",
		}),
	}
	m.pending = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: metricsPrefix + "stream_pending_events", Help: "Events in the stream that no service was given yet.",
	})
	m.unacknowledged = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: metricsPrefix + "stream_unacknowledged_events",
		Help: "Events of the stream that services were given and have not stored yet, all services together.",
	})
	m.lost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: metricsPrefix + "stream_lost_events_total",
		Help: "Events that the stream lost to its limits before they were stored.",
	})
	for _, outcome := range []string{maintenanceDone, maintenanceFailed} {
		m.upkeep.WithLabelValues(outcome)
	}
	if registerer != nil {
		registerer.MustRegister(m.messages, m.handled, m.batches, m.commits, m.deadLetters, m.upkeep, m.pruned, m.size,
			m.pending, m.unacknowledged, m.lost,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: metricsPrefix + "waiting_messages",
				Help: "Messages that have arrived and wait for the store.",
			}, func() float64 { return float64(waiting()) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: metricsPrefix + "dropped_messages_total",
				Help: "Messages that were dropped because too many waited for the store.",
			}, func() float64 { return float64(dropped()) }))
	}
	return m
}

const metricsPrefix = "rosey_database_"

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricsPrefix + name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: metricsPrefix + name, Help: help, Buckets: buckets})
}

// count notes what became of a message that had arrived at a moment.
func (m *metrics) count(suffix bus.Suffix, outcome string, arrived time.Time) {
	m.messages.WithLabelValues(string(suffix), outcome).Inc()
	m.handled.Observe(time.Since(arrived).Seconds())
}

func (m *metrics) applied(events int, took time.Duration) {
	m.batches.Observe(float64(events))
	m.commits.Observe(took.Seconds())
}
