package chart

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/test/porttest"
	"rosey.dev/rosey/test/processtest"
)

const (
	alertsFile = "../../charts/rosey-operator/files/alerts.yaml"
	dashboards = "../../charts/rosey-operator/files/dashboards/*.json"
)

// prometheusProgram returns the path of prometheus or promtool, which hack/test/all has unpacked, or skips the test.
func prometheusProgram(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "rosey", "tools", "prometheus", name)
	if _, err := os.Stat(path); err != nil {
		t.Skip("no Prometheus: make test unpacks Debian's package")
	}
	return path
}

// Every alert has a case in testdata/alerts.test.yaml in which it fires, and fires only for its cause.
func TestAlertsFireForTheirCauses(t *testing.T) {
	cases, err := os.ReadFile("testdata/alerts.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, alert := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(alerts), -1) {
		fires := regexp.MustCompile(`alertname: ` + alert[1] + `\n +exp_alerts:\n`).Match(cases)
		silent := regexp.MustCompile(`alertname: ` + alert[1] + `(?:\n +|, )exp_alerts: \[\]`).Match(cases)
		if !fires || !silent {
			t.Errorf("alert %s: fires in a case: %v, is silent in a case: %v; both must be true", alert[1], fires, silent)
		}
	}
	if output, err := promtoolTest(t, string(withoutAnnotations(t, alerts)), string(cases)); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, output)
	}
}

// withoutAnnotations returns rules without their texts, which promtool would compare too.
func withoutAnnotations(t *testing.T, rules []byte) []byte {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string           `json:"name"`
			Rules []map[string]any `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal(rules, &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			delete(rule, "annotations")
		}
	}
	data, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A real server evaluates every rule and every query of the dashboards without an error, with the metrics of two pods
// that have all metrics, and each panel shows something. It also returns each query in its normal form, in which every
// metric and every label must exist.
func TestPrometheusEvaluatesEveryRuleAndQuery(t *testing.T) {
	program := prometheusProgram(t, "prometheus")
	known := knownMetrics(t)
	var scrapes atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, allMetrics(known, scrapes.Add(1)))
	}))
	t.Cleanup(target.Close)
	server := startPrometheus(t, program, strings.TrimPrefix(target.URL, "http://"))

	queries := dashboardQueries(t)
	if len(queries) < 50 {
		t.Fatalf("only %d queries in the dashboards", len(queries))
	}
	for _, one := range queries {
		server.waitFor(t, one.expr+" shows something", func() error { return server.hasSeries(one.expr) })
	}
	server.waitFor(t, "all rules are evaluated", server.rulesEvaluated)
	server.waitFor(t, "alerts have their texts", server.alertsExplained)
	rules, err := server.ruleQueries()
	if err != nil || len(rules) < 10 {
		t.Fatalf("%d rules: %v", len(rules), err)
	}
	for _, one := range append(rules, queries...) {
		normal, err := server.normalForm(one.expr)
		if err != nil {
			t.Errorf("%s: %v", one.expr, err)
		}
		checkNames(t, normal, one.legend, known)
	}
}

// allMetrics returns all metrics in Prometheus's text format, with each value of the labels that rules and queries
// select. Counters are at the given value, everything else at 1.
func allMetrics(known map[string][]string, counters int64) string {
	counts := regexp.MustCompile(`_(?:total|bucket|sum|count)$`)
	var text strings.Builder
	for name, labels := range known {
		value := int64(1)
		if counts.MatchString(name) {
			value = counters
		}
		for _, series := range labelSets(labels) {
			if strings.Contains(series, `type="Ready",status="True"`) {
				continue // nothing would be wrong with the RoseyBot
			}
			fmt.Fprintf(&text, "%s{%s} %d\n", name, series, value)
		}
	}
	text.WriteString("leader_election_master_status{name=\"rosey-operator\"} 1\n")
	return text.String()
}

// labelValues are the values that alerts and dashboard select. Other labels get one value.
var labelValues = map[string][]string{
	"outcome":    {"stored", "answered", "failed", "invalid", "rejected", "refused"},
	"type":       {"Ready", "BotAvailable", "DatabaseAvailable", "WebAvailable", "PluginsAvailable", "UpdateAvailable"},
	"status":     {"True", "False"},
	"state":      {"ready", "wanted", "existing"},
	"reason":     {"Suspended", "NotReady"},
	"le":         {"1", "+Inf"},
	"controller": {"roseybot"},
	"namespace":  {"films"},
	"event":      {"chatMsg"},
	"subject":    {"db.message.log"},
}

func labelSets(labels []string) []string {
	sets := []string{""}
	for _, name := range labels {
		values := labelValues[name]
		if values == nil {
			values = []string{"x"}
		}
		var longer []string
		for _, set := range sets {
			for _, value := range values {
				longer = append(longer, fmt.Sprintf("%s%s=%q,", set, name, value))
			}
		}
		sets = longer
	}
	return sets
}

type prometheusServer struct{ url string }

// startPrometheus starts a server with the chart's rules that scrapes target as two pods, every second.
func startPrometheus(t *testing.T, program, target string) prometheusServer {
	t.Helper()
	dir := t.TempDir()
	rules, err := filepath.Abs(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
- job_name: pods
  honor_labels: true
  static_configs:
  - {targets: [%q], labels: {namespace: films, name: x, pod: a, __metrics_path__: /a}}
  - {targets: [%q], labels: {namespace: films, name: x, pod: b, __metrics_path__: /b}}
`, rules, target, target)
	path := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := porttest.FreeAddress(t)
	server := exec.CommandContext(t.Context(), program, "--config.file="+path, "--log.level=warn",
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	processtest.Start(t, server)
	return prometheusServer{url: "http://" + address}
}

// waitFor waits until condition returns nil.
func (s prometheusServer) waitFor(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		if !backoff.Sleep(t.Context(), 100*time.Millisecond) {
			t.Fatal(t.Context().Err())
		}
	}
}

// hasSeries returns an error if the query fails or returns nothing.
func (s prometheusServer) hasSeries(query string) error {
	var reply struct{ Result []json.RawMessage }
	if err := s.get("/api/v1/query?query="+url.QueryEscape(query), &reply); err != nil {
		return err
	}
	if len(reply.Result) == 0 {
		return fmt.Errorf("query %s returns nothing", query)
	}
	return nil
}

// rulesEvaluated returns an error unless every rule was evaluated without an error.
func (s prometheusServer) rulesEvaluated() error {
	var reply struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := s.get("/api/v1/rules", &reply); err != nil {
		return err
	}
	evaluated := 0
	for _, group := range reply.Groups {
		for _, rule := range group.Rules {
			if rule.Health != "ok" {
				return fmt.Errorf("rule %s: %s: %s", rule.Name, rule.Health, rule.LastError)
			}
			evaluated++
		}
	}
	if evaluated == 0 {
		return errors.New("no rules are loaded")
	}
	return nil
}

// alertsExplained returns an error if there is no alert, or one has a text whose template fails.
func (s prometheusServer) alertsExplained() error {
	var reply struct {
		Alerts []struct{ Labels, Annotations map[string]string }
	}
	if err := s.get("/api/v1/alerts", &reply); err != nil {
		return err
	}
	if len(reply.Alerts) == 0 {
		return errors.New("no alerts")
	}
	for _, alert := range reply.Alerts {
		for name, text := range alert.Annotations {
			if strings.Contains(text, "error expanding template") || strings.Contains(text, "<no value>") {
				return fmt.Errorf("%s of %v: %s", name, alert.Labels, text)
			}
		}
	}
	return nil
}

// get decodes the data of a reply of Prometheus's API.
func (s prometheusServer) get(path string, data any) error {
	response, err := http.Get(s.url + path)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	reply := struct {
		Data  any
		Error string
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&reply); err != nil {
		return fmt.Errorf("%s: %s: %w", path, response.Status, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, reply.Error)
	}
	return nil
}
