package bot

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/speech"
	"rosey.dev/rosey/runtime/status"
)

type metrics struct {
	joined         prometheus.Gauge
	channelUsers   prometheus.Gauge
	connectedUsers prometheus.Gauge
	reconnects     *prometheus.CounterVec
	sessionsLost   *prometheus.CounterVec
	events         *prometheus.CounterVec
	frames         *prometheus.CounterVec
	malformed      prometheus.Counter
	feed           *prometheus.CounterVec
	latency        prometheus.Histogram
	commands       *prometheus.CounterVec
	outbound       *prometheus.CounterVec
	transitions    *prometheus.CounterVec
}

// newMetrics returns the bot's metrics, and registers them unless registerer is nil.
func newMetrics(registerer prometheus.Registerer, leads func() bool) *metrics {
	register := promauto.With(registerer)
	gauge := func(name, help string) prometheus.Gauge {
		return register.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return register.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	register.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rosey_bot_leader",
		Help: "1 while this bot holds the leadership. Always 1 without an election.",
	}, func() float64 {
		if leads() {
			return 1
		}
		return 0
	})
	m := &metrics{
		joined:       gauge("rosey_bot_joined", "1 while the bot is in its channel."),
		channelUsers: gauge("rosey_bot_channel_users", "Users with a name in the channel."),
		connectedUsers: gauge("rosey_bot_connected_users",
			"Users connected to the channel, including those without a name."),
		reconnects: counter("rosey_bot_reconnects_total",
			"Lost connections and failed attempts to join, by reason.", "reason"),
		sessionsLost: counter("rosey_bot_sessions_lost_total",
			"How often the bot lost a connection over which it had joined the channel, by reason.", "reason"),
		events: counter("rosey_cytube_events_total",
			"Events of the CyTube server, by name. The label is other for events that the bot does not know.", "event"),
		frames: counter("rosey_cytube_frames_total",
			"Frames of the CyTube server after the handshake, by kind: event, ping, malformed and so on.", "kind"),
		malformed: register.NewCounter(prometheus.CounterOpts{
			Name: "rosey_cytube_malformed_frames_total",
			Help: "Frames of the CyTube server that could not be decoded.",
		}),
		feed: counter("rosey_bot_feed_events_total",
			"Events for subscribers of events.cytube, by outcome: published, disconnected, buffer_full or failed.", "outcome"),
		latency: register.NewHistogram(prometheus.HistogramOpts{
			Name:    "rosey_bot_event_publish_seconds",
			Help:    "Time from reading a frame to handing its event to NATS.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 4, 9), // to about three seconds
		}),
		commands: counter("rosey_bot_commands_total",
			"Commands of users, by source (pm or chat), name and outcome: success, error, denied, busy or cooldown.",
			"source", "command", "outcome"),
		outbound: counter("rosey_bot_outbound_total",
			"Attempts to say lines of the outbound queue, by outcome: said, muted, forbidden, throttled, filtered, refused, "+
				"too_long, doubtful, unanswered or gone.", "outcome"),
		transitions: counter("rosey_bot_lock_transitions_total",
			"Acquired leaderships (cause free, expired, released, restart or alone) and ended ones (lost, ended or gave_up).",
			"cause"),
	}
	m.startAtZero()
	return m
}

// startAtZero creates the series of all values of labels. Prometheus sees no increase when a series begins: an alert
// would miss the first reconnects, and a board the first lines. Those of frames begin with the first one.
func (m *metrics) startAtZero() {
	for _, reason := range reconnectReasons {
		m.reconnects.WithLabelValues(string(reason))
		m.sessionsLost.WithLabelValues(string(reason))
	}
	command.ForEachCount(func(source, name, outcome string) { m.commands.WithLabelValues(source, name, outcome) })
	for _, outcome := range speech.Outcomes {
		m.outbound.WithLabelValues(string(outcome))
	}
	for _, outcome := range []string{feedPublished, feedDisconnected, feedBufferFull, feedFailed} {
		m.feed.WithLabelValues(outcome)
	}
	for _, reason := range leader.AcquireReasons {
		m.transitions.WithLabelValues(string(reason))
	}
	for _, cause := range []string{leadershipLost, leadershipEnded, leadershipResigned} {
		m.transitions.WithLabelValues(cause)
	}
	for _, name := range append(slices.Sorted(maps.Keys(undecoded)), cytube.EventNames()...) {
		m.events.WithLabelValues(name)
	}
	m.events.WithLabelValues(otherEvent)
}

// otherEvent is the label of events whose names are not known.
const otherEvent = "other"

// reconnectReasons are the reasons of a cytube.Error, except for absent passwords, which are not counted.
var reconnectReasons = []status.Reason{
	status.ReasonServerUnreachable, status.ReasonChannelRefused, status.ReasonChannelPasswordWrong,
	status.ReasonLoginRefused, status.ReasonNameTaken, status.ReasonLoginLimited, status.ReasonConnectionLimited,
	status.ReasonKicked, status.ReasonBanned, status.ReasonDisconnected, status.ReasonDuplicateLogin,
}

// undecoded are events that CyTube sends and package cytube does not decode. They are published on the feed and
// counted under their names.
var undecoded = map[string]bool{
	"channelCSSJS": true, "setMotd": true, "drinkCount": true, "setTemp": true,
	"emoteList": true, "updateEmote": true, "renameEmote": true, "removeEmote": true,
}

// count counts an event. Only names that this program knows become labels: a server could send any number of others.
func (m *metrics) count(received cytube.ReceivedEvent) {
	name := received.Name
	switch received.Event.(type) {
	case cytube.Joined:
		return
	case cytube.Malformed:
		m.malformed.Inc()
		return
	case cytube.Unknown:
		if !undecoded[name] {
			name = otherEvent
		}
	}
	m.events.WithLabelValues(name).Inc()
}

// resetChannel sets the gauges of a bot that is not in its channel.
func (m *metrics) resetChannel() {
	m.joined.Set(0)
	m.channelUsers.Set(0)
	m.connectedUsers.Set(0)
}
