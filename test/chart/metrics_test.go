package chart

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"rosey.dev/rosey/controllers"
)

var (
	metricName = regexp.MustCompile(
		`\b(?:rosey_(?:bot|bus|cytube|database|telemetry|web)|roseybot|controller_runtime)_[a-z_]+[a-z]\b`)
	selector = regexp.MustCompile(`\b([a-z_]+)\{([^{}]*)\}`)
	label    = regexp.MustCompile(`([a-z_]+) *(?:=~|!~|!=|=)`)
	// row is a line of the table in docs/metrics.md, which a test of cmd/rosey compares with the code.
	row         = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\| ([^|]*) \\|")
	description = regexp.MustCompile(`^Desc\{fqName: "([^"]+)".* variableLabels: \{([^}]*)\}\}$`)
)

// targetLabels are the labels that Prometheus adds to every series, as the chart's PodMonitors say.
var targetLabels = []string{"namespace", "pod", "name", "component", "job", "instance"}

// knownMetrics returns the labels of all metrics of the processes and the operator, by name.
func knownMetrics(t *testing.T) map[string][]string {
	t.Helper()
	known := map[string][]string{}
	document, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range row.FindAllStringSubmatch(string(document), -1) {
		known[found[1]] = split(found[3])
		if found[2] == "histogram" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				known[found[1]+suffix] = append(split(found[3]), "le")
			}
		}
	}
	maps.Copy(known, operatorMetrics(t))
	for _, one := range descriptionsOf(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}).Describe) {
		known[one.name] = one.labels
	}
	return known
}

// operatorMetrics returns the labels of the operator's metrics. Descriptions have no type: every time may be a
// histogram.
func operatorMetrics(t *testing.T) map[string][]string {
	t.Helper()
	ofLibrary, ok := metrics.Registry.(prometheus.Collector)
	if !ok {
		t.Fatal("controller-runtime's registry does not describe its metrics")
	}
	found := map[string][]string{}
	for _, one := range descriptionsOf(
		ofLibrary.Describe, controllers.NewCollector(nil, controllers.ConnectionLimits{}).Describe,
	) {
		found[one.name] = one.labels
		if strings.HasSuffix(one.name, "_seconds") {
			found[one.name+"_bucket"] = append(slices.Clone(one.labels), "le")
		}
	}
	return found
}

type metricLabels struct {
	name   string
	labels []string
}

// descriptionsOf returns what collectors describe.
func descriptionsOf(describe ...func(chan<- *prometheus.Desc)) (found []metricLabels) {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		for _, one := range describe {
			one(descriptions)
		}
	}()
	for one := range descriptions {
		if parts := description.FindStringSubmatch(one.String()); parts != nil {
			found = append(found, metricLabels{name: parts[1], labels: split(parts[2])})
		}
	}
	return found
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// With the name of a metric or label that does not exist, an alert never fires and a panel stays empty.
func TestMetricsInAlertsDashboardAndDocumentsExist(t *testing.T) {
	known := knownMetrics(t)
	files := []string{"../../charts/rosey-operator/files/alerts.yaml"}
	for _, pattern := range []string{
		"../../charts/rosey-operator/files/dashboards/*.json", "../../docs/runbooks/*.md", "../../docs/tasks/*.md",
	} {
		pages, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, pages...)
	}
	files = append(files, "../../docs/nats.md", "../../docs/reliability.md", "../../README.md")
	named := 0
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		for _, name := range metricName.FindAllString(text, -1) {
			named++
			if _, ok := known[name]; !ok {
				t.Errorf("%s names the metric %s, which does not exist", path, name)
			}
		}
		checkLabels(t, path, text, known)
	}
	if named < 30 {
		t.Errorf("only %d metrics were found in all files", named)
	}
}

func checkLabels(t *testing.T, path, text string, known map[string][]string) {
	t.Helper()
	for _, use := range selector.FindAllStringSubmatch(text, -1) {
		labels, ok := known[use[1]]
		if !ok {
			continue
		}
		for _, one := range label.FindAllStringSubmatch(use[2], -1) {
			if !slices.Contains(labels, one[1]) && !slices.Contains(targetLabels, one[1]) {
				t.Errorf("%s selects %s by the label %s, which is not one of %v", path, use[1], one[1], labels)
			}
		}
	}
}

// docs/metrics.md has the metrics of the operator, and no others.
func TestMetricsDocumentHasOperatorMetrics(t *testing.T) {
	document, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	ofOperator := regexp.MustCompile("(?m)^\\| `(roseybot_[a-z_]+)`")
	for _, listed := range ofOperator.FindAllStringSubmatch(string(document), -1) {
		if operatorMetrics(t)[listed[1]] == nil {
			t.Errorf("docs/metrics.md lists %s, which does not exist", listed[1])
		}
	}
	for name, labels := range operatorMetrics(t) {
		if !strings.HasPrefix(name, "roseybot_") {
			continue
		}
		line := "| `" + name + "` | gauge | " + strings.Join(labels, ", ") + " |"
		if !strings.Contains(string(document), line) {
			t.Errorf("docs/metrics.md has no line that begins with %s", line)
		}
	}
}
