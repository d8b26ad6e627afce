package database

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// The outcomes of a message: values of the label outcome of messages_total.
const (
	outcomeStored   = "stored"
	outcomeAnswered = "answered"
	outcomeIgnored  = "ignored"  // it contains nothing that could be stored
	outcomeRepeated = "repeated" // it repeats another one without an ID
	outcomeInvalid  = "invalid"  // it cannot be decoded
	outcomeRejected = "rejected" // the store rejects it
	outcomeRefused  = "refused"  // it is for a channel that is not served, or exceeds a limit
	outcomeFailed   = "failed"   // a request that could not be answered
	outcomeExpired  = "expired"  // a request that waited until its client had given up
	outcomeNoInbox  = "no_inbox" // a request that was dropped because its reply subject is no inbox
)

// The outcomes of a maintenance run and of a backup: values of the label outcome.
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
	announced       *prometheus.GaugeVec
	size            prometheus.Gauge
	refused         *prometheus.CounterVec
	limitUsed       *prometheus.GaugeVec
	backupRuns      *prometheus.CounterVec
	backupTime      prometheus.Gauge
	backupInterval  prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	factory := metricsFactory{promauto.With(registerer)}
	m := &metrics{
		messages: factory.counters("messages_total",
			"Messages handled, by subject without prefix and by outcome: stored, answered, ignored, repeated, invalid, "+
				"rejected, refused, failed, expired or no_inbox.", "subject", "outcome"),
		handled: factory.histogram("handle_seconds",
			"Time from the arrival of a message until it was stored or answered.",
			prometheus.ExponentialBuckets(0.0005, 2, 16)),
		batches: factory.histogram("batch_events",
			"Events in one transaction.", []float64{1, 2, 5, 10, 20, 50, 100, 200, 500}),
		commits: factory.histogram("apply_seconds",
			"Duration of the transactions, including those that failed.", prometheus.ExponentialBuckets(0.0005, 2, 14)),
		deadLetters: factory.counter("dead_letters_total",
			"Messages that could not become rows and were stored as dead letters."),
		maintenanceRuns: factory.counters("maintenance_runs_total",
			"Maintenance runs, by outcome: done or failed.", "outcome"),
		pruned: factory.counters("pruned_rows_total",
			"Rows that were removed because their retention had ended, by kind.", "kind"),
		announced: factory.gauges("announced_removal_rows",
			"Rows whose retention has ended and that are removed when a day has passed since that was logged, by kind.", "kind"),
		size: factory.gauge("store_bytes", "Size of the database at the start or after the last maintenance run."),
		refused: factory.counters("refused_total",
			"Messages that were refused because of a limit, and dead letters that gave way to newer ones, by limit: a key of "+
				"database.limits, or one that is fixed (idBytes, outboundBytes and kvValueBytes).", "limit"),
		limitUsed: factory.gauges("limit_used_ratio",
			"The part of a limit that is used, 1 being all of it, by limit: that of the channel or plugin that uses most.",
			"limit"),
		backupRuns: factory.counters("backup_runs_total",
			"Attempts to back up an SQLite database, by outcome: done or failed.", "outcome"),
		backupTime: factory.gauge("backup_timestamp_seconds",
			"When the newest backup of an SQLite database was made, in seconds since 1970 UTC. 0: there is none."),
		backupInterval: factory.gauge("backup_interval_seconds", "Configured time between two backups. 0: none are made."),
	}
	for _, outcome := range []string{maintenanceDone, maintenanceFailed} {
		m.maintenanceRuns.WithLabelValues(outcome)
		m.backupRuns.WithLabelValues(outcome)
	}
	for _, kind := range []store.RowKind{
		store.PruneChat, store.PruneUserCounts, store.PruneMedia, store.PruneOutbound, store.PrunePeople,
	} {
		m.announced.WithLabelValues(string(kind))
		m.pruned.WithLabelValues(string(kind))
	}
	for _, kind := range []store.RowKind{store.PruneKV, store.PruneDeadLetters} {
		m.pruned.WithLabelValues(string(kind))
	}
	m.startAtZero()
	return m
}

// startAtZero creates the series of all subjects and outcomes. Prometheus sees no increase when a series begins: an
// alert would miss the first messages that are refused.
func (m *metrics) startAtZero() {
	for suffix := range factDecoders {
		for _, outcome := range []string{outcomeStored, outcomeInvalid, outcomeRejected, outcomeRefused} {
			m.messages.WithLabelValues(string(suffix), outcome)
		}
	}
	for suffix := range handlers {
		for _, outcome := range []string{outcomeAnswered, outcomeInvalid, outcomeFailed, outcomeRefused} {
			m.messages.WithLabelValues(string(suffix), outcome)
		}
	}
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

var infoMetric = prometheus.NewDesc(metricsPrefix+"info",
	"Always 1: sqlite or postgres, and the server of PostgreSQL as its URL has it, without user and database.",
	[]string{"store", "postgres"}, nil)

// infoCollector has the server as a label. It is read at each scrape: the file with the URL may change meanwhile.
type infoCollector struct{ server func() string }

func registerInfo(registerer prometheus.Registerer, server func() string) {
	if registerer != nil {
		registerer.MustRegister(infoCollector{server})
	}
}

// Describe implements prometheus.Collector.
func (c infoCollector) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- infoMetric }

// Collect implements prometheus.Collector.
func (c infoCollector) Collect(series chan<- prometheus.Metric) {
	kind, server := "sqlite", ""
	if c.server != nil {
		kind, server = "postgres", c.server()
	}
	series <- prometheus.MustNewConstMetric(infoMetric, prometheus.GaugeValue, 1, kind, server)
}

// serviceMetrics are those of a Service's transports.
type serviceMetrics struct {
	pending, unacknowledged prometheus.Gauge
	lost                    prometheus.Counter
}

// newServiceMetrics takes functions that return how many messages wait for the store and how many were dropped.
func newServiceMetrics(registerer prometheus.Registerer, waiting, dropped func() int) *serviceMetrics {
	factory := metricsFactory{promauto.With(registerer)}
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: metricsPrefix + "waiting_messages", Help: "Messages that have arrived and wait for the store.",
	}, func() float64 { return float64(waiting()) })
	factory.NewCounterFunc(prometheus.CounterOpts{
		Name: metricsPrefix + "dropped_messages_total",
		Help: "Messages that were dropped because too many waited for the store.",
	}, func() float64 { return float64(dropped()) })
	return &serviceMetrics{
		pending: factory.gauge("stream_pending_events", "Events in the stream that were not delivered to a service yet."),
		unacknowledged: factory.gauge("stream_unacknowledged_events",
			"Events that the stream has delivered to the services and that are not stored yet, all services together."),
		lost: factory.counter("stream_lost_events_total",
			"Events that the stream removed because of its limits before they were stored."),
	}
}

// metricsFactory creates metrics and registers them, unless there is no registerer.
type metricsFactory struct{ promauto.Factory }

func (f metricsFactory) counter(name, help string) prometheus.Counter {
	return f.NewCounter(prometheus.CounterOpts{Name: metricsPrefix + name, Help: help})
}

func (f metricsFactory) counters(name, help string, labels ...string) *prometheus.CounterVec {
	return f.NewCounterVec(prometheus.CounterOpts{Name: metricsPrefix + name, Help: help}, labels)
}

func (f metricsFactory) gauge(name, help string) prometheus.Gauge {
	return f.NewGauge(prometheus.GaugeOpts{Name: metricsPrefix + name, Help: help})
}

func (f metricsFactory) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return f.NewGaugeVec(prometheus.GaugeOpts{Name: metricsPrefix + name, Help: help}, labels)
}

func (f metricsFactory) histogram(name, help string, buckets []float64) prometheus.Histogram {
	return f.NewHistogram(prometheus.HistogramOpts{Name: metricsPrefix + name, Help: help, Buckets: buckets})
}
