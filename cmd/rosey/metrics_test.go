package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/pluginclient"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/telemetry"
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

// registeredBy builds a workload and returns what it registers.
func registeredBy(t *testing.T, assemble func(c *component, conn *bus.Conn)) *recorder {
	t.Helper()
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags := newConfigFlags(set, "", keysAt("channel.name", "nats.url", "database.sqlite.path"))
	if err := set.Parse([]string{"--channel=m", "--nats=" + natstest.Start(t).URL(), "--database=unused"}); err != nil {
		t.Fatal(err)
	}
	c, err := newComponent(status.RunComponent, flags, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Registry: prometheus.NewRegistry(), rows: map[string]metricRow{}}
	c.registry = r
	if _, err := telemetry.Setup(telemetry.Options{Log: c.log, Registerer: r}); err != nil {
		t.Fatal(err)
	}
	conn, err := c.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	assemble(c, conn)
	return r
}

func TestMetricsDocument(t *testing.T) {
	bot := registeredBy(t, func(c *component, conn *bus.Conn) {
		if _, err := c.newBot(conn, nil); err != nil {
			t.Error(err)
		}
	}).rows
	service := registeredBy(t, func(c *component, conn *bus.Conn) { c.newService(conn, nil, nil) }).rows
	pages := registeredBy(t, func(c *component, conn *bus.Conn) { c.newPages(conn, "", "") }).rows
	var table strings.Builder
	ofPlugins := map[string]bool{} // those that `rosey plugin` has, and a process of a plugin
	table.WriteString("\n| metric | type | labels | of | what |\n|---|---|---|---|---|\n")
	all := maps.Clone(bot)
	maps.Copy(all, service)
	maps.Copy(all, pages)
	for name, row := range registeredBy(t, func(c *component, _ *bus.Conn) { plugin.NewMetrics(c.registry) }).rows {
		if _, isOther := all[name]; !isOther {
			all[name], ofPlugins[name] = row, true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		row := all[name]
		var exporters []string
		for i, rows := range []map[string]metricRow{bot, service, pages} {
			if _, exported := rows[name]; exported {
				exporters = append(exporters, []string{"bot", "db", "web"}[i])
			}
		}
		of := strings.Join(exporters, ", ")
		if ofPlugins[name] {
			of = "plugins"
		}
		if len(exporters) == 3 {
			of = "all"
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
	mentioned := regexp.MustCompile(`rosey_(bus|cytube|database|bot|web|plugin)_[a-z_]+`)
	for _, named := range mentioned.FindAllString(around, -1) {
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

// The alert about a PostgreSQL server that is away counts the RoseyBots by this label. It has no secret of the URL, and
// is there before the server can be reached.
func TestMetricsNameTheServerOfPostgreSQL(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	series := seriesAtStart(t, func(c *component, conn *bus.Conn) {
		c.config.Database.SQLite, c.config.Database.Postgres = nil, &config.Postgres{URLFile: file}
		c.newService(conn, nil, nil)
		if err := os.WriteFile(file, []byte("postgres://rosey:choose-one@pg.example:5432/rosey"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	for name := range series {
		if strings.Contains(name, "choose-one") || strings.Contains(name, "rosey@") {
			t.Errorf("%s has a part of the URL that is secret", name)
		}
	}
	if !series["rosey_database_info{postgres=pg.example:5432}"] || !series["rosey_database_info{store=postgres}"] {
		t.Error("no series rosey_database_info has the server")
	}
}

// Prometheus sees no increase when a series begins: with a counter that begins at its first event, an alert misses that
// event. All values of labels that the alerts select exist from the start, and all counters of the dashboards.
func TestCountersOfAlertsAndDashboardsExistFromTheStart(t *testing.T) {
	const files = "../../charts/rosey-operator/files/"
	var text string
	for _, name := range []string{"alerts.yaml", "dashboards/fleet.json", "dashboards/bot.json"} {
		data, err := os.ReadFile(files + name)
		if err != nil {
			t.Fatal(err)
		}
		text += string(data)
	}
	series := map[string]bool{}
	for _, assemble := range []func(*component, *bus.Conn){
		func(c *component, conn *bus.Conn) { _, _ = c.newBot(conn, nil) },
		func(c *component, conn *bus.Conn) { _ = c.newService(conn, nil, nil) },
		func(c *component, conn *bus.Conn) { // the series of a plugin begin when it is configured
			pluginclient.New(pluginclient.Options{
				Conn: conn, Subjects: c.subjects, Origin: bus.Origin{Channel: "m"}, Registry: command.NewRegistry(),
				Registerer: c.registry,
			}).Configure([]config.Plugin{{Name: "dice"}})
		},
	} {
		maps.Copy(series, seriesAtStart(t, assemble))
	}
	counter := regexp.MustCompile(`(rosey_[a-z_]+_total)(?:\{([a-z]+)=~?"([^"]*)"\})?`)
	counters := counter.FindAllStringSubmatch(text, -1)
	if len(counters) < 20 {
		t.Fatalf("only %d counters in alerts and dashboards", len(counters))
	}
	for _, counter := range counters {
		if counter[2] == "" {
			if !series[counter[1]] {
				t.Errorf("%s has no series at the start", counter[1])
			}
			continue
		}
		for value := range strings.SplitSeq(counter[3], "|") {
			if one := counter[1] + "{" + counter[2] + "=" + value + "}"; !series[one] {
				t.Errorf("%s does not exist at the start", one)
			}
		}
	}
}

// seriesAtStart builds a workload and returns the names of its series, alone and with each label as NAME{LABEL=VALUE}.
func seriesAtStart(t *testing.T, assemble func(c *component, conn *bus.Conn)) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	families, err := registeredBy(t, assemble).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			found[family.GetName()] = true
			for _, label := range metric.GetLabel() {
				found[family.GetName()+"{"+label.GetName()+"="+label.GetValue()+"}"] = true
			}
		}
	}
	return found
}
