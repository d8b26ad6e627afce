package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// recorder records what is registered, also metrics that have no value yet.
type recorder struct {
	*prometheus.Registry
	rows map[string]metricRow
}

type metricRow struct{ name, kind, labels, help string }

// MustRegister implements prometheus.Registerer.
func (r *recorder) MustRegister(collectors ...prometheus.Collector) {
	for _, collector := range collectors {
		if err := r.Register(collector); err != nil {
			panic(err)
		}
	}
}

// Register implements prometheus.Registerer.
func (r *recorder) Register(collector prometheus.Collector) error {
	described := make(chan *prometheus.Desc, 10)
	collector.Describe(described)
	close(described)
	for desc := range described {
		row := parseDesc(desc)
		row.kind = kindOfMetric(collector)
		r.rows[row.name] = row
	}
	return r.Registry.Register(collector)
}

var descParts = regexp.MustCompile(`fqName: ("[^"]+"), help: ("(?:[^"\\]|\\.)*"), .*variableLabels: \{([^}]*)\}`)

func parseDesc(desc *prometheus.Desc) metricRow {
	parts := descParts.FindStringSubmatch(desc.String())
	if parts == nil {
		panic("unexpected form of a description: " + desc.String())
	}
	name, nameErr := strconv.Unquote(parts[1])
	help, helpErr := strconv.Unquote(parts[2])
	if nameErr != nil || helpErr != nil {
		panic(desc.String())
	}
	return metricRow{name: name, labels: strings.ReplaceAll(parts[3], ",", ", "), help: help}
}

func kindOfMetric(collector prometheus.Collector) string {
	switch collector.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec:
		return "histogram"
	}
	alone := prometheus.NewRegistry()
	alone.MustRegister(collector)
	families, err := alone.Gather()
	if err != nil || len(families) == 0 {
		return "unknown"
	}
	return strings.ToLower(families[0].GetType().String())
}

// registeredMetrics builds a workload and returns the metrics that it registers.
func registeredMetrics(t *testing.T, assemble func(c *component, conn *bus.Conn)) map[string]metricRow {
	t.Helper()
	flags := newConfigFlags(pflag.NewFlagSet("", pflag.ContinueOnError), "", nil)
	flags.values = map[string]string{
		"channel.name": "m", "nats.url": natstest.Start(t).URL(), "database.sqlite.path": "unused",
	}
	c, err := newComponent(status.RunComponent, flags, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Registry: prometheus.NewRegistry(), rows: map[string]metricRow{}}
	c.registry = r
	conn, err := c.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	assemble(c, conn)
	return r.rows
}

func TestMetricsDocument(t *testing.T) {
	bot := registeredMetrics(t, func(c *component, conn *bus.Conn) { c.newBot(conn, nil) })
	service := registeredMetrics(t, func(c *component, conn *bus.Conn) { c.newService(conn, nil) })
	var table strings.Builder
	table.WriteString("\n| metric | type | labels | of | what |\n|---|---|---|---|---|\n")
	all := maps.Clone(bot)
	maps.Copy(all, service)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		row, of := all[name], "both"
		if _, inBot := bot[name]; !inBot {
			of = "db"
		} else if _, inService := service[name]; !inService {
			of = "bot"
		}
		counts := strings.HasSuffix(name, "_total")
		if row.kind == "unknown" || !strings.HasPrefix(name, "rosey_") || counts != (row.kind == "counter") {
			t.Errorf("%+v breaks the naming rules", row)
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", name, row.kind, row.labels, of, row.help)
	}
	table.WriteString("\n")
	around := compareTable(t, "../../docs/metrics.md", table.String())
	// The rest of the document must name existing metrics only.
	for _, named := range regexp.MustCompile(`rosey_(bus|cytube|database|bot)_[a-z_]+`).FindAllString(around, -1) {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(named, "_bucket"), "_sum"), "_count")
		_, exported := all[base]
		_, exact := all[named]
		if !exported && !exact && !pythonNames[named] {
			t.Errorf("docs/metrics.md mentions %s, which does not exist", named)
		}
	}
}

// pythonNames are the metrics of the Python bot's exporter and of its alert rules.
var pythonNames = map[string]bool{
	"rosey_bot_up": true, "rosey_bot_connected": true, "rosey_bot_uptime_seconds": true,
	"rosey_bot_channel_users": true, "rosey_bot_requests_total": true, "rosey_bot_errors_total": true,
	"rosey_bot_error_rate_percent": true, "rosey_bot_scrape_timestamp_ms": true,
	"rosey_bot_deployment_failures_total": true, "rosey_bot_deployment_duration_seconds": true,
}
