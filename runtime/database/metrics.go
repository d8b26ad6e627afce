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
	outcomeInvalid  = "invalid"  // cannot be decoded
	outcomeRejected = "rejected" // by the store
	outcomeFailed   = "failed"   // a question without an answer
)

type metrics struct {
	messages *prometheus.CounterVec
	batches  prometheus.Histogram
	seconds  prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer, waiting, dropped func() int) *metrics {
	m := &metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_database_messages_total",
			Help: "Messages taken from NATS, by subject without prefix and outcome.",
		}, []string{"subject", "outcome"}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "rosey_database_batch_events",
			Help:    "Events in one transaction.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500},
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "rosey_database_apply_seconds",
			Help:    "How long transactions took, those that failed too.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
	}
	if registerer != nil {
		registerer.MustRegister(m.messages, m.batches, m.seconds, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rosey_database_waiting_messages",
			Help: "Messages that have arrived and wait for the store.",
		}, func() float64 { return float64(waiting()) }), prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "rosey_database_dropped_messages_total",
			Help: "Messages that were dropped because too many waited for the store.",
		}, func() float64 { return float64(dropped()) }))
	}
	return m
}

func (m *metrics) count(suffix bus.Suffix, outcome string) {
	m.messages.WithLabelValues(string(suffix), outcome).Inc()
}

func (m *metrics) applied(events int, took time.Duration) {
	m.batches.Observe(float64(events))
	m.seconds.Observe(took.Seconds())
}
