package chart

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// namedQuery is a query of a rule or of a dashboard. legend is Grafana's format, or empty.
type namedQuery struct{ expr, legend string }

// dashboardQueries returns the queries of all panels, with the variables replaced as Grafana does: by a pattern for
// "All" where several can be chosen.
func dashboardQueries(t *testing.T) (queries []namedQuery) {
	t.Helper()
	files, err := filepath.Glob(dashboards)
	if err != nil || len(files) != 3 {
		t.Fatalf("dashboards %v: %v", files, err)
	}
	variables := strings.NewReplacer(`=~"$namespace"`, `=~".*"`, `=~"$name"`, `=~".*"`,
		`="$namespace"`, `="films"`, `="$name"`, `="x"`)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var dashboard struct {
			Panels []struct {
				Targets []struct{ Expr, LegendFormat string }
			}
		}
		if err := json.Unmarshal(data, &dashboard); err != nil {
			t.Fatal(err)
		}
		for _, panel := range dashboard.Panels {
			for _, target := range panel.Targets {
				queries = append(queries, namedQuery{variables.Replace(target.Expr), target.LegendFormat})
			}
		}
	}
	return queries
}

// ruleQueries returns the queries of all rules.
func (s prometheusServer) ruleQueries() (queries []namedQuery, err error) {
	var reply struct {
		Groups []struct {
			Rules []struct{ Query string }
		}
	}
	err = s.get("/api/v1/rules", &reply)
	for _, group := range reply.Groups {
		for _, rule := range group.Rules {
			queries = append(queries, namedQuery{expr: rule.Query})
		}
	}
	return queries, err
}

// normalForm returns a query as Prometheus's parser prints it.
func (s prometheusServer) normalForm(query string) (normal string, err error) {
	return normal, s.get("/api/v1/format_query?query="+url.QueryEscape(query), &normal)
}

// recorded are the labels of the metrics that the chart's rules record.
var recorded = map[string][]string{
	"roseybot:running":         {"namespace", "name", "nats", "server"},
	"roseybot:postgres":        {"namespace", "name", "postgres"},
	"roseybot:node":            {"namespace", "name", "type", "node"},
	"roseybot:silent":          {"namespace", "name", "type", "node"},
	"roseybot:unavailable_now": {"namespace", "name", "type", "owner", "cause", "postgres", "node"},
	"roseybot:unavailable": {
		"namespace", "name", "type", "owner", "cause", "nats", "server", "shared_from", "postgres", "node",
	},
	"roseybot:owner": {"namespace", "name", "type", "owner"},
}

var (
	quoted      = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	replaces    = regexp.MustCompile(`label_(?:replace|join)\(`)
	newLabel    = regexp.MustCompile(`"([a-z_]+)",\s*"[^"]*",\s*"[a-z_]*",\s*"[^"]*"\s*\)`)
	labelList   = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right) \(([^()]*)\)`)
	selection   = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^{}]*)\}`)
	word        = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\b(?:\s*\()?`)
	legendLabel = regexp.MustCompile(`\{\{([a-z_]+)\}\}`)
	window      = regexp.MustCompile(`\[[^\]]*\]`)
	keywords    = []string{"and", "or", "unless", "bool", "offset"}
)

// checkNames fails if a query in its normal form, or its legend, names a metric or a label that does not exist.
func checkNames(t *testing.T, query, legend string, known map[string][]string) {
	t.Helper()
	labels := slices.Clone(targetLabels)
	added := newLabel.FindAllStringSubmatch(query, -1)
	if len(added) != len(replaces.FindAllString(query, -1)) {
		t.Errorf("%s: %d labels of label_replace and label_join found", query, len(added))
	}
	for _, one := range added {
		labels = append(labels, one[1])
	}
	text := window.ReplaceAllString(quoted.ReplaceAllString(query, `""`), "")
	metrics := 0
	metric := func(name string) []string {
		metrics++
		own, ok := known[name]
		if !ok {
			own, ok = recorded[name]
		}
		if !ok {
			t.Errorf("%s names the metric %s, which does not exist", query, name)
		}
		labels = append(labels, own...)
		return own
	}
	for _, one := range selection.FindAllStringSubmatch(text, -1) {
		own := metric(one[1])
		for _, by := range label.FindAllStringSubmatch(one[2], -1) {
			if !slices.Contains(own, by[1]) && !slices.Contains(targetLabels, by[1]) {
				t.Errorf("%s selects %s by the label %s, which is not one of %v", query, one[1], by[1], own)
			}
		}
	}
	text = selection.ReplaceAllString(text, "")
	lists := labelList.FindAllStringSubmatch(text, -1)
	for _, name := range word.FindAllString(labelList.ReplaceAllString(text, ""), -1) {
		if !strings.HasSuffix(name, "(") && !slices.Contains(keywords, name) {
			metric(name)
		}
	}
	for _, list := range lists {
		for _, name := range split(list[1]) {
			if !slices.Contains(labels, name) {
				t.Errorf("%s groups by the label %s, which is not one of %v", query, name, labels)
			}
		}
	}
	for _, one := range legendLabel.FindAllStringSubmatch(legend, -1) {
		if !slices.ContainsFunc(lists, func(list []string) bool { return slices.Contains(split(list[1]), one[1]) }) {
			t.Errorf("%s has the legend %s, and no series has the label %s", query, legend, one[1])
		}
	}
	if metrics == 0 {
		t.Errorf("%s names no metric", query)
	}
}
