package process

import (
	"math"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Number is a metric in words, with the series of all labels added up.
type Number struct {
	Metric string  `json:"metric"`
	About  string  `json:"about"`
	Value  float64 `json:"value"`
	bytes  bool
}

// shown are the metrics that say something to people, in the order in which they are shown. A process has
// some of them.
var shown = []Number{
	{Metric: "rosey_bus_buffered", About: "messages that wait to be published or stored"},
	{Metric: "rosey_bus_published_total", About: "messages published"},
	{Metric: "rosey_bus_stored_directly_total", About: "messages stored by the bot itself"},
	{Metric: "rosey_bus_dropped_total", About: "messages lost because the buffer was full"},
	{Metric: "rosey_bus_reconnects_total", About: "reconnects to NATS"},
	{Metric: "rosey_bot_reconnects_total", About: "times the channel was lost or did not let us in"},
	{Metric: "rosey_cytube_events_total", About: "events of the channel"},
	{Metric: "rosey_cytube_malformed_frames_total", About: "frames that could not be read"},
	{Metric: "rosey_bot_outbound_total", About: "lines said, or tried to say"},
	{Metric: "rosey_bot_commands_total", About: "commands of users"},
	{Metric: "rosey_database_stream_pending_events", About: "events that wait in the stream"},
	{Metric: "rosey_database_stream_unacknowledged_events", About: "events of the stream on their way into the store"},
	{Metric: "rosey_database_stream_lost_events_total", About: "events that the stream lost before they were stored"},
	{Metric: "rosey_database_waiting_messages", About: "messages that wait for the store"},
	{Metric: "rosey_database_messages_total", About: "messages taken from NATS"},
	{Metric: "rosey_database_dropped_messages_total", About: "messages dropped before the store"},
	{Metric: "rosey_database_dead_letters_total", About: "messages kept as dead letters"},
	{Metric: "rosey_database_store_bytes", About: "size of the database", bytes: true},
	{Metric: "process_resident_memory_bytes", About: "memory of the process", bytes: true},
}

// numbers are those of shown that a process has. What cannot be gathered is left out: the page is for
// people who look for what is wrong.
func numbers(from prometheus.Gatherer) []Number {
	families, _ := from.Gather() // it returns what it could gather, too
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			values[family.GetName()] += metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	found := []Number{}
	for _, number := range shown {
		if value, known := values[number.Metric]; known && !math.IsNaN(value) && !math.IsInf(value, 0) {
			number.Value = value
			found = append(found, number)
		}
	}
	return found
}

// Text is the value for people.
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
