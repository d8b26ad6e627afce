package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// several selects the series of the RoseyBots that are chosen above the dashboard, one or more.
const several = `{namespace=~"$namespace", name=~"$name"}`

// lag is the number of events that are not stored yet: in the memory of bots, and in streams. The database services of
// one stream report the same numbers, and a RoseyBot in mode Direct has no stream.
const lag = `sum by (namespace, name) (rosey_bus_buffered{…}) + (` +
	`max by (namespace, name) (rosey_database_stream_pending_events{…} + rosey_database_stream_unacknowledged_events{…})` +
	` or 0 * sum by (namespace, name) (rosey_bus_buffered{…}))`

// fleet shows all RoseyBots.
func fleet() *dashboard.DashboardBuilder {
	board := newBoard(fleetUID,
		"Which RoseyBots are ready, and why others are not. A name in the table leads to its dashboard.").
		WithVariable(variable("namespace", "Namespace", "").Multi(true).IncludeAll(true).AllValue(".*")).
		WithVariable(variable("name", "RoseyBot", `{namespace=~"$namespace"}`).Multi(true).IncludeAll(true).AllValue(".*"))
	board.WithRow(row("Now"))
	for _, each := range fleetNumbers() {
		each.unit, each.width = units.Short, 4
		each.queries = withSelector(several, each.queries...)
		board.WithPanel(each.number())
	}
	board.WithPanel(fleetTable())
	board.WithRow(row("Over time"))
	for _, each := range fleetGraphs() {
		each.width = 12
		each.queries = withSelector(several, each.queries...)
		board.WithPanel(each.graph())
	}
	return board
}

func fleetNumbers() []panel {
	return []panel{
		{
			title: "RoseyBots", description: "All of them, stopped ones too.",
			queries: []query{{`count(max by (namespace, name) (roseybot_info{…}))`, "RoseyBots"}},
		}, {
			title: "Not ready", description: "RoseyBots that are suspended or scaled to zero do not count.",
			bad: 1, runbook: "RoseyBotNotReady",
			queries: []query{{
				`count(max by (namespace, name) (roseybot_condition{…, type="Ready", status!="True"})) or vector(0)`, "not ready",
			}},
		}, {
			title: "Stopped", description: "Suspended, or scaled to zero.",
			queries: []query{{
				`count(max by (namespace, name) (` +
					`roseybot_condition{…, type="Ready", reason=~"Suspended|ScaledToZero"})) or vector(0)`,
				"stopped",
			}},
		}, {
			title:       "Pending updates",
			description: "RoseyBots whose pods were built by another version of the operator.", runbook: "RoseyBotUpdateWaits",
			queries: []query{{
				`count(max by (namespace, name) (roseybot_condition{…, type="UpdateAvailable", status="True"})) or vector(0)`,
				"pending",
			}},
		}, {
			title:       "Lost messages, 24 h",
			description: "Messages that were not stored, because a buffer or the stream was full or because of their size.",
			bad:         1, runbook: "RoseyMessagesLost",
			queries: []query{{
				`(sum(increase(rosey_bus_dropped_total{…}[1d])) or vector(0))` +
					` + (sum(increase(rosey_database_dropped_messages_total{…}[1d])) or vector(0))` +
					` + (sum(increase(rosey_database_stream_lost_events_total{…}[1d])) or vector(0))`, "messages",
			}},
		}, {
			title: "People", description: "Users with a name in all channels, the bots included.",
			queries: []query{{`sum(max by (namespace, name) (rosey_bot_channel_users{…})) or vector(0)`, "people"}},
		},
	}
}

// fleetTable has a line for each RoseyBot. Its queries are merged by namespace and name.
func fleetTable() *table.PanelBuilder {
	builder := table.NewPanelBuilder().Title("Each RoseyBot").Unit(units.Short).Span(24).Height(10).Datasource(source).
		Description("Lag is the number of events that are not stored yet. Restarts are those of containers in 24 hours.")
	queries := withSelector(several,
		query{`max by (namespace, name, status, reason) (roseybot_condition{…, type="Ready"})`, ""},
		query{lag, ""},
		query{`60 * sum by (namespace, name) (rate(rosey_cytube_events_total{…, event="chatMsg"}[5m]))`, ""},
		query{`sum by (namespace, name) (changes(process_start_time_seconds{…}[1d]))`, ""},
		query{`max by (namespace, name) (rosey_bot_channel_users{…})`, ""},
	)
	for at, each := range queries {
		builder.WithTarget(each.target(at).Instant().Format(prometheus.PromQueryFormatTable))
	}
	builder.WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": map[string]bool{"Time": true, "Value #A": true},
			"indexByName":   map[string]int{"namespace": 0, "name": 1, "status": 2, "reason": 3},
			"renameByName": map[string]string{
				"namespace": "Namespace", "name": "RoseyBot", "status": "Ready", "reason": "Reason", "Value #B": "Lag",
				"Value #C": "Lines a minute", "Value #D": "Restarts", "Value #E": "People",
			},
		}})
	builder.Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{"sum"}))
	return builder.OverrideByName("RoseyBot", []dashboard.DynamicConfigValue{{Id: "links", Value: []map[string]any{{
		"title": titles[botUID],
		"url": "/d/" + botUID + "?${__url_time_range}&${datasource:queryparam}" +
			"&var-namespace=${__data.fields.Namespace}&var-name=${__data.fields.RoseyBot}",
	}}}}).SortBy([]cog.Builder[common.TableSortByFieldState]{
		common.NewTableSortByFieldStateBuilder().DisplayName("Ready"),
	})
}

func fleetGraphs() []panel {
	return []panel{
		{
			title: "Not ready, by reason", description: "RoseyBots that are not ready, by the reason of the condition Ready.",
			unit: units.Short, runbook: "RoseyBotNotReady",
			queries: []query{{
				`count by (reason) (max by (namespace, name, reason) (roseybot_condition{…, type="Ready", status!="True"}))`,
				"{{reason}}",
			}},
		}, {
			title: "Lag", description: "Events that are not stored yet, of the 20 RoseyBots with the most.",
			unit: units.Short, runbook: "RoseyMessagesWait",
			queries: []query{{"topk(20, " + lag + ")", "{{namespace}}/{{name}}"}},
		}, {
			title: "Lines a minute", description: "Lines of chat that bots receive, of the 20 channels with the most.",
			unit: units.CountsPerMinute,
			queries: []query{{
				`topk(20, 60 * sum by (namespace, name) (rate(rosey_cytube_events_total{…, event="chatMsg"}[5m])))`,
				"{{namespace}}/{{name}}",
			}},
		}, {
			title: "Reconnects in an hour, by cause", description: "Lost connections to CyTube and failed attempts to join.",
			unit: units.Short, runbook: "RoseyBotReconnects",
			queries: []query{{`sum by (reason) (increase(rosey_bot_reconnects_total{…}[1h]))`, "{{reason}}"}},
		},
	}
}
