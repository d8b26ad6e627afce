package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// operators has a series for each process of an operator from its start, 1 for the one that leads. Those that stand by
// have no metrics of the controller.
const operators = `leader_election_master_status{name="rosey-operator"}`

// ofOperator selects the processes of operators.
const ofOperator = ` and on (namespace, pod) ` + operators

// operator shows what the operator does.
func operator() *dashboard.DashboardBuilder {
	board := newBoard(operatorUID, "What the operator does, and how busy it is.")
	board.WithRow(row("Now"))
	board.WithPanel(panel{
		title: "Leader", description: "The pod that manages RoseyBots.", unit: units.Short, width: 8,
		runbook: "RoseyOperatorAbsent",
		queries: []query{{`max by (pod) (` + operators + ` == 1)`, "{{pod}}"}},
	}.name())
	for _, each := range operatorNumbers() {
		each.width = 4
		board.WithPanel(each.number())
	}
	board.WithRow(row("Work"))
	for _, each := range operatorGraphs() {
		each.width = 12
		board.WithPanel(each.graph())
	}
	return board
}

func operatorNumbers() []panel {
	return []panel{
		{
			title: "Operators", description: "Running processes. With several, one leads and the others stand by.",
			unit: units.Short, runbook: "RoseyOperatorAbsent",
			queries: []query{{`count(` + operators + `) or vector(0)`, "running"}},
		}, {
			title: "Failed reconciles, 1 h", description: "The log of the operator has their errors.",
			unit: units.Short, bad: 1, runbook: "RoseyOperatorErrors",
			queries: []query{{`sum(increase(controller_runtime_reconcile_errors_total{controller="roseybot"}[1h]))`, "failed"}},
		}, {
			title: "Waiting RoseyBots", description: "RoseyBots that wait to be reconciled.", unit: units.Short, bad: 100,
			queries: []query{{`sum(workqueue_depth{controller="roseybot"})`, "waiting"}},
		}, {
			title: "Longest reconcile", description: "How long the reconcile that runs longest has been running.",
			unit: units.Seconds, bad: 60,
			queries: []query{{`max(workqueue_longest_running_processor_seconds{controller="roseybot"})`, "running"}},
		},
	}
}

func operatorGraphs() []panel {
	return []panel{
		{
			title: "Reconciles a minute, by result", description: "requeue_after is a reconcile that looks again later.",
			unit: units.CountsPerMinute,
			queries: []query{{
				`60 * sum by (result) (rate(controller_runtime_reconcile_total{controller="roseybot"}[5m]))`, "{{result}}",
			}},
		}, {
			title: "Duration of reconciles", description: "Requests to the API server and to pods included.",
			unit:    units.Seconds,
			queries: quantiles("controller_runtime_reconcile_time_seconds", `{controller="roseybot"}`),
		}, {
			title: "Time in the queue", description: "From a change until its reconcile begins.", unit: units.Seconds,
			queries: quantiles("workqueue_queue_duration_seconds", `{controller="roseybot"}`),
		}, {
			title: "Requests to the API server a minute", description: "By method and status.", unit: units.CountsPerMinute,
			queries: []query{{
				`60 * sum by (method, code) (rate(rest_client_requests_total[5m])` + ofOperator + `)`, "{{method}} {{code}}",
			}},
		}, {
			title:       "RoseyBots on each CyTube server",
			description: "And how many connections at once the server is taken to allow from one address.", unit: units.Short,
			queries: []query{
				{`max by (server) (roseybot_server_bots)`, "{{server}}"},
				{`max by (server) (roseybot_server_connections_allowed)`, "{{server}}: allowed"},
			},
		}, {
			title: "Pods, by state", description: "Pods of all RoseyBots.", unit: units.Short,
			queries: []query{{
				`sum by (component, state) (max by (namespace, name, component, state) (roseybot_component_replicas))`,
				"{{component}}: {{state}}",
			}},
		}, {
			title: "Memory", description: "Resident memory of the operator.", unit: units.BytesIEC,
			queries: []query{{`max by (pod) (process_resident_memory_bytes` + ofOperator + `)`, "{{pod}}"}},
		}, {
			title: "Processor time", description: "Of the operator. 100 % is one processor.", unit: units.PercentUnit,
			queries: []query{{`sum by (pod) (rate(process_cpu_seconds_total[5m])` + ofOperator + `)`, "{{pod}}"}},
		},
	}
}
