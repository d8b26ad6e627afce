package chart

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

// rule is an alert or a recording rule of the chart.
type rule struct {
	Alert, Record, Expr, For string
	Labels                   map[string]string
	Annotations              map[string]string
}

// parseRules returns the rules of a file or of the spec of a PrometheusRule.
func parseRules(t *testing.T, data []byte) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) < 10 {
		t.Fatalf("only %d rules", len(all))
	}
	return all
}

func chartRules(t *testing.T) []rule {
	t.Helper()
	data, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	return parseRules(t, data)
}

// Whoever is woken by an alert reads in its runbook where to look first, what to run, and how one knows that it is
// over.
func TestEveryAlertHasARunbook(t *testing.T) {
	for _, one := range chartRules(t) {
		if one.Alert == "" {
			continue
		}
		page, err := os.ReadFile("../../docs/runbooks/" + one.Alert + ".md")
		if err != nil {
			t.Errorf("alert %s: %v", one.Alert, err)
			continue
		}
		text := strings.Join(strings.Fields(string(page)), " ")
		for _, part := range []string{
			"# " + one.Alert + " ", " Look first at ", " ```sh ", " ## Possible causes ", " It is over when ",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("docs/runbooks/%s.md has no %q", one.Alert, part)
			}
		}
		if problem := commandsProblem(string(page)); problem != "" {
			t.Errorf("docs/runbooks/%s.md: %s", one.Alert, problem)
		}
		if aboutMany[one.Alert] && !strings.Contains(text, "kubectl get roseybots --all-namespaces ") {
			t.Errorf("docs/runbooks/%s.md does not list the RoseyBots, and the alert names none", one.Alert)
		}
	}
}

// aboutMany are the alerts without the labels namespace and name.
var aboutMany = map[string]bool{
	"RoseyNATSUnavailable": true, "RoseyCyTubeUnavailable": true, "RoseyPostgreSQLUnavailable": true,
	"RoseyNodeUnavailable": true,
}

// commandsProblem returns what is wrong with the commands of a runbook, or "". Nobody who is woken has the namespace of
// the RoseyBot as kubectl's default: they are copied with the labels of the alert filled in.
func commandsProblem(page string) string {
	commands := regexp.MustCompile("(?m)^ *(kubectl .*)$|`(kubectl [^`]*)`").FindAllStringSubmatch(page, -1)
	for _, found := range commands {
		command := found[1] + found[2]
		namespaced := regexp.MustCompile(
			`^kubectl (?:(?:rosey )?--namespace (?:NAMESPACE|rosey-system|nats) |get namespaces |get nodes` +
				`|(?:describe|taint) node NODE|get (?:roseybots|pods) --all-namespaces)`,
		).MatchString(command)
		ofRoseyBot := regexp.MustCompile(`\b(?:NAME|POD)\b`).MatchString(command)
		switch {
		// kubectl takes no flag before the name of a plugin.
		case ofRoseyBot && !strings.HasPrefix(strings.Replace(command, "kubectl rosey ", "kubectl ", 1),
			"kubectl --namespace NAMESPACE "):
			return command + " lacks --namespace NAMESPACE"
		case !namespaced:
			return command + " has no namespace"
		}
	}
	if len(commands) == 0 {
		return "it has no command"
	}
	return ""
}

func TestCommandsOfRunbooksAreChecked(t *testing.T) {
	for command, want := range map[string]string{
		"kubectl --namespace NAMESPACE describe roseybot NAME":  "",
		"kubectl get roseybots --all-namespaces -o wide":        "",
		"kubectl rosey --namespace NAMESPACE status NAME":       "",
		"kubectl rosey status NAME":                             "lacks --namespace NAMESPACE",
		"kubectl describe roseybot NAME":                        "lacks --namespace NAMESPACE",
		"kubectl --namespace rosey-system logs deployment/NAME": "lacks --namespace NAMESPACE",
		"kubectl get pods":                                      "has no namespace",
	} {
		for _, page := range []string{"```sh\n" + command + "\n```\n", "  " + command + "\n", "Run `" + command + "`."} {
			if got := commandsProblem(page); !strings.HasSuffix(got, want) || (want == "") != (got == "") {
				t.Errorf("%q: %q, want %q", page, got, want)
			}
		}
	}
}

// An alert without an owner would wake nobody, or everybody.
func TestEveryAlertHasSeverityAndOwner(t *testing.T) {
	fromQuery := regexp.MustCompile(`"owner", "channel"|roseybot:(?:unavailable|owner)\{`)
	for _, one := range chartRules(t) {
		if one.Alert == "" {
			continue
		}
		if severity := one.Labels["severity"]; severity != "critical" && severity != "warning" && severity != "info" {
			t.Errorf("alert %s has the severity %q", one.Alert, severity)
		}
		owner := one.Labels["owner"]
		if (owner == "channel" || owner == "platform") == fromQuery.MatchString(one.Expr) && !aboutMany[one.Alert] {
			t.Errorf("alert %s has the owner %q, and its query is %s", one.Alert, owner, one.Expr)
		}
		if one.Annotations["summary"] == "" || one.Annotations["description"] == "" {
			t.Errorf("alert %s has the texts %v", one.Alert, one.Annotations)
		}
	}
}

// With a reason that does not exist, an alert would wake the wrong people.
func TestReasonsInAlertsExist(t *testing.T) {
	ofOperator := map[string]bool{}
	source, err := os.ReadFile("../../api/v1alpha1/conditions.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range regexp.MustCompile(`Reason\w+ += "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		ofOperator[one[1]] = true
	}
	if !ofOperator[v1alpha1.ReasonScaledToZero] {
		t.Fatalf("reasons of the operator are %v", ofOperator)
	}
	named := 0
	for _, one := range chartRules(t) {
		for _, list := range regexp.MustCompile(`reason(?:=|=~|!~|", )"([A-Za-z|]+)"`).FindAllStringSubmatch(one.Expr, -1) {
			for reason := range strings.SplitSeq(list[1], "|") {
				named++
				if !ofOperator[reason] && !status.Reason(reason).Known() {
					t.Errorf("rule %s%s names the reason %s, which does not exist", one.Alert, one.Record, reason)
				}
			}
		}
	}
	if named < 30 {
		t.Errorf("only %d reasons were found", named)
	}
}

func TestValuesOfAlerts(t *testing.T) {
	all := render(t, "--set", "monitoring.rules.enabled=true,monitoring.runbookURL=https://wiki.example/rosey/"+
		",monitoring.rules.disabled={RoseyMessagesWait},monitoring.rules.labels.team=films")
	spec, err := yaml.Marshal(all["PrometheusRule rosey-system/rosey-operator"].Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	rendered := parseRules(t, spec)
	if got, want := len(rendered), len(chartRules(t))-1; got != want {
		t.Errorf("%d rules, want all but one: %d", got, want)
	}
	for _, one := range rendered {
		if one.Record != "" {
			continue
		}
		link := "https://wiki.example/rosey/" + one.Alert + ".md"
		if one.Alert == "RoseyMessagesWait" || one.Annotations["runbook_url"] != link || one.Labels["team"] != "films" ||
			one.Labels["severity"] == "" {
			t.Errorf("rule %+v", one)
		}
	}
}

// Nobody owns a default address of the runbooks: without a value there is no link.
func TestNoLinksToRunbooksByDefault(t *testing.T) {
	for title, object := range render(t, "--set", "monitoring.rules.enabled=true,monitoring.dashboards.enabled=true,"+
		"monitoring.dashboards.annotations.grafana_folder=Rosey") {
		text, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, absent := range []string{"runbook_url", "RUNBOOKS/", "Runbooks", "rosey.dev/docs"} {
			if strings.Contains(string(text), absent) {
				t.Errorf("%s contains %s", title, absent)
			}
		}
		if strings.HasSuffix(title, "-dashboards") && object.GetAnnotations()["grafana_folder"] != "Rosey" {
			t.Errorf("%s has the annotations %v", title, object.GetAnnotations())
		}
	}
}

// The chart changes only the links of the dashboards.
func TestDashboardsLinkToTheRunbooks(t *testing.T) {
	all := render(t, "--set", "monitoring.dashboards.enabled=true,monitoring.runbookURL=https://wiki.example")
	files, ok := all["ConfigMap rosey-system/rosey-operator-dashboards"].Object["data"].(map[string]any)
	if !ok || len(files) != 3 {
		t.Fatalf("%d files", len(files))
	}
	for name, content := range files {
		kept, err := os.ReadFile("../../charts/rosey-operator/files/dashboards/" + strings.TrimPrefix(name, "rosey-"))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(string(kept), "RUNBOOKS/", "https://wiki.example/")
		if !equalJSON(t, want, content.(string)) {
			t.Errorf("%s differs from the file", name)
		}
	}
}

func equalJSON(t *testing.T, one, other string) bool {
	t.Helper()
	var decoded [2]any
	for i, text := range []string{one, other} {
		if err := json.Unmarshal([]byte(text), &decoded[i]); err != nil {
			t.Fatal(err)
		}
	}
	return reflect.DeepEqual(decoded[0], decoded[1])
}
