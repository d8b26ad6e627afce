package process

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/status"
)

// State is the body of status.StatePath and the content of the page: the report, and what changes every few seconds.
type State struct {
	status.Report

	// At is the time of the response.
	At time.Time `json:"at"`
	// Channel is nil while no bot of this process is in a channel.
	Channel *room.Snapshot `json:"channel,omitempty"`
	// Numbers are the metrics that people understand.
	Numbers []Number `json:"numbers"`
}

// Number is the value of a metric: the sum of all its series.
type Number struct {
	Metric      string  `json:"metric"`
	Description string  `json:"description"`
	Value       float64 `json:"value"`

	bytes bool
}

// shownMetrics are the metrics that people understand, in the order in which they are shown. A process has some of
// them.
var shownMetrics = []Number{
	{Metric: "rosey_bus_buffered", Description: "messages waiting to be published or stored"},
	{Metric: "rosey_bus_published_total", Description: "messages published"},
	{Metric: "rosey_bus_stored_directly_total", Description: "messages stored by the bot itself"},
	{Metric: "rosey_bus_dropped_total", Description: "messages lost because the buffer was full"},
	{Metric: "rosey_bus_reconnects_total", Description: "reconnects to NATS"},
	{Metric: "rosey_bot_reconnects_total", Description: "times the bot lost the channel or could not join it"},
	{Metric: "rosey_cytube_events_total", Description: "events of the channel"},
	{Metric: "rosey_cytube_malformed_frames_total", Description: "malformed frames"},
	{Metric: "rosey_bot_outbound_total", Description: "lines sent to the chat, successfully or not"},
	{Metric: "rosey_bot_commands_total", Description: "commands from users"},
	{Metric: "rosey_database_stream_pending_events", Description: "events waiting in the stream"},
	{Metric: "rosey_database_stream_unacknowledged_events", Description: "events read from the stream, not yet stored"},
	{Metric: "rosey_database_stream_lost_events_total", Description: "events lost by the stream before they were stored"},
	{Metric: "rosey_database_waiting_messages", Description: "messages waiting to be stored"},
	{Metric: "rosey_database_messages_total", Description: "messages received from NATS"},
	{Metric: "rosey_database_dropped_messages_total", Description: "messages dropped before they were stored"},
	{Metric: "rosey_database_dead_letters_total", Description: "messages stored as dead letters"},
	{Metric: "rosey_database_store_bytes", Description: "size of the database", bytes: true},
	{Metric: "process_resident_memory_bytes", Description: "memory of the process", bytes: true},
}

func (s Server) state(ctx context.Context) State {
	state := State{Report: s.Report(), At: time.Now(), Numbers: gatherNumbers(s.Metrics)}
	if s.Channel != nil {
		state.Channel = s.Channel(ctx)
	}
	return state
}

// gatherNumbers returns those of shownMetrics that the process has. It leaves out what cannot be gathered: the rest is
// still of use to somebody who looks for a fault.
func gatherNumbers(from prometheus.Gatherer) []Number {
	families, _ := from.Gather() // with an error it returns what it could gather
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			values[family.GetName()] += metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	numbers := []Number{}
	for _, number := range shownMetrics {
		// JSON has neither NaN nor infinity.
		if value, ok := values[number.Metric]; ok && !math.IsNaN(value) && !math.IsInf(value, 0) {
			number.Value = value
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// Text returns the value with its unit.
func (n Number) Text() string {
	const kibi, mebi = 1 << 10, 1 << 20
	switch {
	case n.bytes && n.Value >= mebi:
		return strconv.FormatFloat(n.Value/mebi, 'f', 1, 64) + " MiB"
	case n.bytes:
		return strconv.FormatFloat(n.Value/kibi, 'f', 1, 64) + " KiB"
	}
	return strconv.FormatFloat(n.Value, 'f', -1, 64)
}
