package chart

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// heldSamples is for how many samples of five seconds the end of a recording is held before it is played again: 14
// minutes.
const heldSamples = 168

// healthyCase returns a case for promtool: an hour in which a recording is played three times, at whose end a query has
// the given number of series.
func healthyCase(t *testing.T, query, samples string) string {
	t.Helper()
	recording, err := os.ReadFile("testdata/healthy.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(recording)), "\n")
	if len(lines) < 100 {
		t.Fatalf("only %d series are recorded", len(lines))
	}
	var text strings.Builder
	text.WriteString("rule_files: [alerts.yaml]\nevaluation_interval: 30s\ntests:\n- interval: 5s\n  input_series:\n")
	for _, line := range lines {
		series, values, _ := strings.Cut(line, "} ")
		all := strings.Fields(values)
		last, _, _ := strings.Cut(all[len(all)-1], "x")
		if last == "stale" {
			last = "_"
		}
		once := fmt.Sprintf("%s %sx%d ", values, last, heldSamples)
		fmt.Fprintf(&text, "  - {series: '%s}', values: '%s'}\n", series, strings.Repeat(once, 3))
	}
	fmt.Fprintf(&text, "  promql_expr_test:\n  - {expr: '%s', eval_time: 60m, exp_samples: %s}\n", query, samples)
	return text.String()
}

// No alert fires in an hour in which nothing is wrong. `make chaos SETUPS=cluster-alerts RECORD=FILE` has recorded on a
// cluster what the rules read while people chat, bots, database services and the operator are replaced, one RoseyBot is
// suspended and resumed, and NATS, PostgreSQL and the CyTube server restart.
func TestNothingFiresInAHealthyHour(t *testing.T) {
	t.Parallel()
	const fired = `count by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1h]))`
	rules, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	rules = withoutAnnotations(t, rules)
	if output, err := promtoolTest(t, string(rules), healthyCase(t, fired, "[]")); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, output)
	}
	// With alerts that do not wait, the recording has something that fires.
	impatient := regexp.MustCompile(`(?m)^( *)for: .*$`).ReplaceAllString(string(rules), "${1}for: 0s")
	output, err := promtoolTest(t, impatient, healthyCase(t, fired, "[]"))
	if err == nil || !strings.Contains(output, "Rosey") {
		t.Errorf("with alerts that do not wait, none fires either: %v\n%s", err, output)
	}
}

// promtoolTest tests rules with cases, which name them alerts.yaml.
func promtoolTest(t *testing.T, rules, cases string) (output string, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"cases.yaml": cases, "alerts.yaml": rules} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), prometheusProgram(t, "promtool"), "test", "rules",
		filepath.Join(dir, "cases.yaml")).CombinedOutput()
	return string(out), err
}
