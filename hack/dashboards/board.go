// Package dashboards builds the Grafana dashboards of the chart. A change is written to the chart's files by
//
//	go test ./hack/dashboards -update
package dashboards

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// Runbooks begins the links to runbooks. The chart replaces it by the value monitoring.runbookURL, or removes the
// links.
const Runbooks = "RUNBOOKS/"

// All returns the dashboards by the names of their files.
func All() (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, build := range map[string]func() *dashboard.DashboardBuilder{
		"fleet.json": fleet, "bot.json": oneBot, "operator.json": operator,
	} {
		board, err := build().Build()
		if err != nil {
			return nil, fmt.Errorf("building %s: %w", name, err)
		}
		number(board.Panels)
		if files[name], err = json.MarshalIndent(board, "", " "); err != nil {
			return nil, fmt.Errorf("encoding %s: %w", name, err)
		}
		files[name] = append(files[name], '\n')
	}
	return files, nil
}

// number gives panels their IDs. Grafana would number them too, but differently after each change.
func number(panels []dashboard.PanelOrRowPanel) {
	for i := range panels {
		id := uint32(i + 1)
		if panels[i].Panel != nil {
			panels[i].Panel.Id = &id
		} else {
			panels[i].RowPanel.Id = id
		}
	}
}

// The UIDs of the dashboards, with which they link to each other.
const (
	fleetUID    = "rosey-fleet"
	botUID      = "rosey-bot"
	operatorUID = "rosey-operator"
)

var titles = map[string]string{
	fleetUID: "Rosey: all RoseyBots", botUID: "Rosey: one RoseyBot", operatorUID: "Rosey: operator",
}

// newBoard returns a dashboard without panels that links to the others and to the runbooks.
func newBoard(uid, description string) *dashboard.DashboardBuilder {
	board := dashboard.NewDashboardBuilder(titles[uid]).Uid(uid).Description(description).Tags([]string{"rosey"}).
		Time("now-6h", "now").Refresh("1m").Timezone(common.TimeZoneBrowser).Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus"))
	for _, other := range []string{fleetUID, botUID, operatorUID} {
		if other == uid {
			continue
		}
		board.Link(dashboard.NewDashboardLinkBuilder(titles[other]).Type(dashboard.DashboardLinkTypeLink).
			Icon("dashboard").Url("/d/" + other).IncludeVars(true).KeepTime(true))
	}
	return board.Link(dashboard.NewDashboardLinkBuilder("Runbooks").Type(dashboard.DashboardLinkTypeLink).
		Icon("doc").Url(Runbooks).TargetBlank(true))
}

var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}

// variable returns a variable with the values of a label of roseybot_info. selector restricts its series.
func variable(name, label, selector string) *dashboard.QueryVariableBuilder {
	query := fmt.Sprintf("label_values(roseybot_info%s, %s)", selector, name)
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(source).
		Query(dashboard.StringOrMap{String: &query}).Definition(query).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
}

// query is a query of a panel. legend is Grafana's format, such as {{pod}}.
type query struct{ expr, legend string }

func (q query) target(at int) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().RefId("ABCDEFGH"[at : at+1]).Datasource(source).
		Expr(q.expr).LegendFormat(q.legend)
}

// panel is what all panels have.
type panel struct {
	title, description string
	unit               string
	width              uint32
	runbook            string // the alert whose runbook is linked, or ""
	queries            []query
	// bad is the value from which it is red. 0: it has no threshold.
	bad float64
}

func (p panel) links() []cog.Builder[dashboard.DashboardLink] {
	if p.runbook == "" {
		return nil
	}
	return []cog.Builder[dashboard.DashboardLink]{
		dashboard.NewDashboardLinkBuilder(p.runbook).Type(dashboard.DashboardLinkTypeLink).
			Url(Runbooks + p.runbook + ".md").TargetBlank(true),
	}
}

func (p panel) thresholds() *dashboard.ThresholdsConfigBuilder {
	steps := []dashboard.Threshold{{Color: "green"}}
	if p.bad != 0 {
		steps = append(steps, dashboard.Threshold{Value: &p.bad, Color: "red"})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

// graph shows how values change over time.
func (p panel) graph() *timeseries.PanelBuilder {
	legend := common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).
		Placement(common.LegendPlacementBottom)
	builder := timeseries.NewPanelBuilder().Title(p.title).Description(p.description).Unit(p.unit).Min(0).
		Span(p.width).Height(7).Datasource(source).Links(p.links()).FillOpacity(10).Legend(legend).
		ShowPoints(common.VisibilityModeNever).Thresholds(p.thresholds())
	for at, each := range p.queries {
		builder.WithTarget(each.target(at).Range())
	}
	return builder
}

// number shows the current value of each query.
func (p panel) number() *stat.PanelBuilder {
	builder := stat.NewPanelBuilder().Title(p.title).Description(p.description).Unit(p.unit).
		Span(p.width).Height(4).Datasource(source).Links(p.links()).Thresholds(p.thresholds()).
		GraphMode(common.BigValueGraphModeNone).NoValue("none")
	for at, each := range p.queries {
		builder.WithTarget(each.target(at).Instant())
	}
	return builder
}

// name shows the names of the series of its queries: which reason a condition has, which pod leads.
func (p panel) name() *stat.PanelBuilder {
	return p.number().TextMode(common.BigValueTextModeName).ColorMode(common.BigValueColorModeNone)
}

// row begins a row of panels.
func row(title string) *dashboard.RowBuilder { return dashboard.NewRowBuilder(title) }

// quantiles returns queries of the median and of the 99th percentile of a histogram.
func quantiles(metric, selector string) []query {
	const expr = "histogram_quantile(%s, sum by (le) (rate(%s_bucket%s[5m])))"
	return []query{
		{fmt.Sprintf(expr, "0.5", metric, selector), "half of them take at most"},
		{fmt.Sprintf(expr, "0.99", metric, selector), "99 % of them take at most"},
	}
}

// resources returns graphs of the memory and the processor time of pods.
func resources(selector string) (memory, processor *timeseries.PanelBuilder) {
	memory = panel{
		title: "Memory", unit: units.BytesIEC, width: 12,
		description: "Resident memory of each process. When it reaches the limit of the pod, the kernel kills the process.",
		queries:     []query{{"max by (pod) (process_resident_memory_bytes" + selector + ")", "{{pod}}"}},
	}.graph()
	processor = panel{
		title: "Processor time", unit: units.PercentUnit, width: 12,
		description: "Processor time of each process. 100 % is one processor.",
		queries:     []query{{"sum by (pod) (rate(process_cpu_seconds_total" + selector + "[5m]))", "{{pod}}"}},
	}.graph()
	return memory, processor
}

// withSelector replaces … in expressions by what is in the braces of a selector.
func withSelector(selector string, queries ...query) []query {
	inner := strings.Trim(selector, "{}")
	for i := range queries {
		queries[i].expr = strings.ReplaceAll(queries[i].expr, "…", inner)
	}
	return queries
}
