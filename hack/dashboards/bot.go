package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// one selects the series of the RoseyBot that is chosen above the dashboard.
const one = `{namespace="$namespace", name="$name"}`

// oneBot shows which part of a RoseyBot is ill.
func oneBot() *dashboard.DashboardBuilder {
	board := newBoard(botUID, "What a RoseyBot does, from the channel to the database. With database.sharedFrom, the "+
		"panels about the database are those of the RoseyBot that owns it.").
		WithVariable(variable("namespace", "Namespace", "")).
		WithVariable(variable("name", "RoseyBot", `{namespace="$namespace"}`))
	board.WithRow(row("Now"))
	for _, each := range botNames() {
		each.unit, each.queries = units.Short, withSelector(one, each.queries...)
		board.WithPanel(each.name())
	}
	for _, each := range botNumbers() {
		each.queries = withSelector(one, each.queries...)
		board.WithPanel(each.number())
	}
	for _, part := range []struct {
		title  string
		panels []panel
	}{
		{"Channel", channelPanels()}, {"Events, from the bot to the database", eventPanels()},
		{"Outbound lines and commands", outboundPanels()}, {"Plugins", pluginPanels()}, {"Database", databasePanels()},
	} {
		board.WithRow(row(part.title))
		for _, each := range part.panels {
			each.width, each.queries = 12, withSelector(one, each.queries...)
			board.WithPanel(each.graph())
		}
	}
	board.WithRow(row("Processes"))
	memory, processor := resources(one)
	return board.WithPanel(memory).WithPanel(processor)
}

func botNames() []panel {
	return []panel{
		{
			title: "Ready", description: "The reason of the condition Ready.", width: 4, runbook: "RoseyBotNotReady",
			queries: []query{{`max by (reason) (roseybot_condition{…, type="Ready"})`, "{{reason}}"}},
		}, {
			title: "Database", description: "The reason of the condition DatabaseAvailable.", width: 4,
			runbook: "RoseyBotDatabaseUnavailable",
			queries: []query{{`max by (reason) (roseybot_condition{…, type="DatabaseAvailable"})`, "{{reason}}"}},
		}, {
			title: "Web page", description: "The reason of the condition WebAvailable. None: there is no web page.", width: 4,
			runbook: "RoseyWebUnavailable",
			queries: []query{{`max by (reason) (roseybot_condition{…, type="WebAvailable"})`, "{{reason}}"}},
		}, {
			title: "Plugins", description: "The reason of the condition PluginsAvailable. None: there are no plugins.", width: 3,
			runbook: "RoseyPluginUnavailable",
			queries: []query{{`max by (reason) (roseybot_condition{…, type="PluginsAvailable"})`, "{{reason}}"}},
		}, {
			title: "Leader", description: "The pod that is in the channel, or tries to join it.", width: 3,
			queries: []query{{`max by (pod) (rosey_bot_leader{…} == 1)`, "{{pod}}"}},
		},
	}
}

func botNumbers() []panel {
	return []panel{
		{
			title: "Lag", description: "Events that are not stored yet: in the memory of the bot and in the stream.",
			unit: units.Short, width: 3, bad: 1000, runbook: "RoseyMessagesWait",
			queries: []query{{lag, "events"}},
		}, {
			title: "Restarts", description: "Restarts of containers in 24 hours.", unit: units.Short, width: 3, bad: 3,
			queries: []query{{`sum(changes(process_start_time_seconds{…}[1d]))`, "restarts"}},
		},
	}
}

func channelPanels() []panel {
	return []panel{
		{
			title: "People", description: "Users with a name in the channel, and all connections. The bot counts.",
			unit: units.Short,
			queries: []query{
				{`max(rosey_bot_channel_users{…})`, "with a name"}, {`max(rosey_bot_connected_users{…})`, "connected"},
			},
		}, {
			title: "Lines a minute",
			description: "Lines of chat that the bot receives, and that are stored. " +
				"After a reconnect it receives the last 15 again.",
			unit: units.CountsPerMinute,
			queries: []query{
				{`60 * sum(rate(rosey_cytube_events_total{…, event="chatMsg"}[5m]))`, "received"},
				{`60 * sum(rate(rosey_database_messages_total{…, subject="db.message.log", outcome="stored"}[5m]))`, "stored"},
			},
		}, {
			title:       "Reconnects in an hour, by cause",
			description: "How often the bot lost the channel, and that together with its failed attempts to join.",
			unit:        units.Short, runbook: "RoseyBotReconnects",
			queries: []query{
				{`sum by (reason) (increase(rosey_bot_sessions_lost_total{…}[1h])) > 0`, "{{reason}}: lost"},
				{`sum by (reason) (increase(rosey_bot_reconnects_total{…}[1h])) > 0`, "{{reason}}: with attempts"},
			},
		}, {
			title: "Leadership", description: "1 for the pod that leads: it is in the channel, or tries to join it.",
			unit:    units.Short,
			queries: []query{{`max by (pod) (rosey_bot_leader{…})`, "{{pod}}"}},
		},
	}
}

func eventPanels() []panel {
	return []panel{
		{
			title:       "Time to publish",
			description: "From an event in the channel until the stream, or without one a database service, has confirmed it.",
			unit:        units.Seconds, queries: quantiles("rosey_bus_publish_seconds", one),
		}, {
			title:       "Time to store",
			description: "From the arrival of a message at the database service until it is stored or answered.",
			unit:        units.Seconds, queries: quantiles("rosey_database_handle_seconds", one),
		}, {
			title:       "Waiting in memory",
			description: "Messages that wait in bots for NATS, and in database services for the store.",
			unit:        units.Short, bad: 1000, runbook: "RoseyMessagesWait",
			queries: []query{
				{`max by (pod) (rosey_bus_buffered{…})`, "{{pod}}: to publish"},
				{`max by (pod) (rosey_database_waiting_messages{…})`, "{{pod}}: to store"},
			},
		}, {
			title:       "Stream",
			description: "Events in the stream that are not stored yet, and those that it removed before they were.",
			unit:        units.Short, runbook: "RoseyMessagesLost",
			queries: []query{
				{`max(rosey_database_stream_pending_events{…})`, "not delivered to a service"},
				{`max(rosey_database_stream_unacknowledged_events{…})`, "delivered, not stored"},
				{`sum(increase(rosey_database_stream_lost_events_total{…}[1h]))`, "lost in an hour"},
			},
		}, {
			title: "Messages that were not stored", description: "Dropped, refused and invalid messages, by the hour.",
			unit: units.Short, bad: 1, runbook: "RoseyMessagesRefused",
			queries: []query{
				{`sum by (reason) (increase(rosey_bus_dropped_total{…}[1h])) > 0`, "dropped by the bot: {{reason}}"},
				{`sum(increase(rosey_database_dropped_messages_total{…}[1h])) > 0`, "dropped by the service"},
				{
					`sum by (outcome) (increase(` +
						`rosey_database_messages_total{…, outcome!~"stored|answered|ignored|repeated"}[1h])) > 0`,
					"{{outcome}}",
				},
			},
		}, {
			title: "NATS", description: "1 while a process is connected, and while events go to a stream.",
			unit: units.Short, runbook: "RoseyNATSUnavailable",
			queries: []query{
				{`min by (pod) (rosey_bus_connected{…})`, "{{pod}}: connected"},
				{`min by (pod) (rosey_bus_durable{…})`, "{{pod}}: durable"},
			},
		},
	}
}

func outboundPanels() []panel {
	return []panel{
		{
			title:       "Outbound lines in an hour, by state",
			description: "Attempts to say lines of the outbound queue, by what became of them.", unit: units.Short,
			queries: []query{{`sum by (outcome) (increase(rosey_bot_outbound_total{…}[1h]))`, "{{outcome}}"}},
		}, {
			title: "Commands in an hour", description: "Commands of users, by outcome.", unit: units.Short,
			queries: []query{{`sum by (outcome) (increase(rosey_bot_commands_total{…}[1h]))`, "{{outcome}}"}},
		},
	}
}

func pluginPanels() []panel {
	return []panel{
		{
			title: "Calls in an hour, by plugin", description: "Calls of commands of plugins, whatever became of them.",
			unit:    units.Short,
			queries: []query{{`sum by (plugin) (increase(rosey_bot_plugin_calls_total{…}[1h]))`, "{{plugin}}"}},
		}, {
			title: "Calls that failed in an hour",
			description: "Calls that got no answer that can be said. Not among them: wrong arguments, and calls that were " +
				"made too early.",
			unit: units.Short, runbook: "RoseyPluginUnavailable",
			queries: []query{{
				`sum by (plugin, outcome) (increase(` +
					`rosey_bot_plugin_calls_total{…, outcome!~"success|usage|cooldown"}[1h])) > 0`,
				"{{plugin}}: {{outcome}}",
			}},
		}, {
			title: "Time to answer, by plugin", description: "99 % of the calls take at most this, those that failed included.",
			unit: units.Seconds,
			queries: []query{{
				`histogram_quantile(0.99, sum by (plugin, le) (rate(rosey_bot_plugin_call_seconds_bucket{…}[5m])))`,
				"{{plugin}}",
			}},
		}, {
			title:       "Processes, by plugin",
			description: "Processes of each plugin that answer the bot. 0: its commands are away.",
			unit:        units.Short, runbook: "RoseyPluginUnavailable",
			queries: []query{{`max by (plugin) (rosey_bot_plugin_processes{…})`, "{{plugin}}"}},
		}, {
			title: "Lines in an hour, by plugin", description: "Lines that were said for plugins, and those that were not.",
			unit: units.Short,
			queries: []query{
				{`sum by (plugin) (increase(rosey_bot_plugin_lines_total{…}[1h]))`, "{{plugin}}"},
				{
					`sum by (plugin, outcome) (increase(rosey_bot_plugin_dropped_lines_total{…}[1h])) > 0`,
					"{{plugin}}: {{outcome}}",
				},
			},
		}, {
			title:       "Requests that were refused in an hour",
			description: "What plugins asked for and did not get: denied needs a grant, throttled was too much at once.",
			unit:        units.Short,
			queries: []query{{
				`sum by (plugin, request, outcome) (increase(` +
					`rosey_bot_plugin_requests_total{…, outcome!="done"}[1h])) > 0`,
				"{{plugin}}: {{request}} {{outcome}}",
			}},
		},
	}
}

func databasePanels() []panel {
	return []panel{
		{
			title: "Duration of transactions", description: "Those that failed included.", unit: units.Seconds,
			queries: quantiles("rosey_database_apply_seconds", one),
		}, {
			title: "Size", description: "At the start, and after each maintenance run.", unit: units.BytesIEC,
			queries: []query{{`max by (pod) (rosey_database_store_bytes{…})`, "{{pod}}"}},
		}, {
			title: "Used parts of limits", description: "Of the channel or plugin that uses most.", unit: units.PercentUnit,
			bad: 0.8, runbook: "RoseyLimitNear",
			queries: []query{{`max by (limit) (rosey_database_limit_used_ratio{…}) > 0.01`, "{{limit}}"}},
		}, {
			title: "Age of the newest backup", description: "Of SQLite databases with backups.", unit: units.Seconds,
			runbook: "RoseyBackupStale",
			queries: []query{{`time() - max by (pod) (rosey_database_backup_timestamp_seconds{…} > 0)`, "{{pod}}"}},
		},
	}
}
