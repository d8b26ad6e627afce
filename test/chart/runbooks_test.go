package chart

import (
	"os"
	"regexp"
	"testing"
)

func TestEveryAlertHasARunbook(t *testing.T) {
	alerts, err := os.ReadFile("../../charts/rosey-operator/files/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`- alert: (\w+)`).FindAllSubmatch(alerts, -1)
	links := regexp.MustCompile(`runbook_url: https://rosey\.dev/docs/runbooks/(\w+)\.md`).FindAllSubmatch(alerts, -1)
	if len(names) == 0 || len(names) != len(links) {
		t.Fatalf("%d alerts, %d links to runbooks", len(names), len(links))
	}
	for i, name := range names {
		if string(links[i][1]) != string(name[1]) {
			t.Errorf("alert %s links to %s.md", name[1], links[i][1])
		}
		if _, err := os.Stat("../../docs/runbooks/" + string(name[1]) + ".md"); err != nil {
			t.Errorf("alert %s: %v", name[1], err)
		}
	}
}
