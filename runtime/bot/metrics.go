package bot

import (
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/cytube"
)

type metrics struct {
	joined         prometheus.Gauge
	channelUsers   prometheus.Gauge
	connectedUsers prometheus.Gauge
	reconnects     *prometheus.CounterVec
	events         *prometheus.CounterVec
	frames         *prometheus.CounterVec
	malformed      prometheus.Counter
	feed           *prometheus.CounterVec
	latency        prometheus.Histogram
	commands       *prometheus.CounterVec
	outbound       *prometheus.CounterVec
	transitions    *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer, lead *leadership) *metrics {
	m := &metrics{
		joined: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rosey_bot_joined",
			Help: "1 while the bot is in its channel.",
		}),
		channelUsers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rosey_bot_channel_users",
			Help: "Users with a name in the channel.",
		}),
		connectedUsers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rosey_bot_connected_users",
			Help: "Everybody connected to the channel, the nameless too.",
		}),
		reconnects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_bot_reconnects_total",
			Help: "How often the bot lost the channel or did not get in, by reason.",
		}, []string{"reason"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rosey_cytube_events_total",
			Help: "Events of the CyTube server, by name. What the bot has no use for is other.",
		}, []string{"event"}),
		malformed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rosey_cytube_malformed_frames_total",
			Help: "Frames of the CyTube server that could not be read.",
		}),
		frames: counters("rosey_cytube_frames_total",
			"Frames of the CyTube server once the connection stands, by kind.", "kind"),
		feed: counters("rosey_bot_feed_events_total",
			"Events for anyone to watch, by outcome: published, disconnected, buffer_full or failed.", "outcome"),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "rosey_bot_event_publish_seconds",
			Help:    "Time from reading a frame to giving its event to NATS.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 4, 9), // to about three seconds
		}),
		commands: counters("rosey_bot_commands_total",
			"Commands of users, by source (pm or chat), name and outcome.", "source", "command", "outcome"),
		outbound: counters("rosey_bot_outbound_total",
			"Lines from the database, by what became of them when the bot said them.", "outcome"),
	}
	m.transitions = counters("rosey_bot_lock_transitions_total",
		"How often the bot got the lock (cause free, expired, released or restart) or lost it (lost, ended or gave_up).",
		"cause")
	leader := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rosey_bot_leader",
		Help: "1 while the bot is the one to be in the channel: it has the lock for sure, or needs none.",
	}, lead.gauge)
	if registerer != nil {
		registerer.MustRegister(m.joined, m.channelUsers, m.connectedUsers, m.reconnects, m.events, m.malformed,
			m.frames, m.feed, m.latency, m.commands, m.outbound, m.transitions, leader)
	}
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// count counts an event. The names that become labels are those this program knows: a server could
// make up any number of others.
func (m *metrics) count(event cytube.Event) {
	switch event.(type) {
	case cytube.Joined:
	case cytube.Malformed:
		m.malformed.Inc()
	case cytube.Unknown:
		m.events.WithLabelValues("other").Inc()
	default:
		m.events.WithLabelValues(event.EventName()).Inc()
	}
}

func (m *metrics) left() {
	m.joined.Set(0)
	m.channelUsers.Set(0)
	m.connectedUsers.Set(0)
}
