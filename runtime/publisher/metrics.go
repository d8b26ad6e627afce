package publisher

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
)

// metrics count what happens to the messages given to a Publisher.
type metrics struct {
	published *prometheus.CounterVec
	stored    *prometheus.CounterVec
	dropped   *prometheus.CounterVec
}

// Why a message was dropped: the values of the label reason.
const (
	droppedFull    = "buffer_full"
	droppedInvalid = "invalid"
)

func newMetrics(registerer prometheus.Registerer, q *queue) metrics {
	m := metrics{
		published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_bus_published_total",
			Help: "Messages that the stream has confirmed, or without one a database service, by subject without prefix.",
		}, []string{"subject"}),
		stored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_bus_stored_directly_total",
			Help: "Messages that went past NATS into a database that the bot has open itself, by subject without prefix.",
		}, []string{"subject"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_bus_dropped_total",
			Help: "Messages that were neither published nor stored, by reason: buffer_full or invalid.",
		}, []string{"reason"}),
	}
	m.dropped.WithLabelValues(droppedFull)
	m.dropped.WithLabelValues(droppedInvalid)
	if registerer != nil {
		registerer.MustRegister(m.published, m.stored, m.dropped, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rosey_bus_buffered",
			Help: "Messages that wait for the stream, a database service, or the database that the bot has open itself.",
		}, func() float64 { return float64(q.len()) }))
	}
	return m
}

// noteStored counts messages that the bot has stored itself, and marks each in the log.
func (m metrics) noteStored(log *slog.Logger, messages []bus.Message) {
	for _, each := range messages {
		m.stored.WithLabelValues(string(each.Suffix)).Inc()
		log.Debug("[DB] stored "+string(each.Suffix), "id", each.ID)
	}
}
