package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store/postgres"
)

// The table of supported versions is what the chart, the programs and the tests say. Its columns are what is needed,
// the minimum and what was tested.
func TestSupportedVersionsAreThoseOfTheTests(t *testing.T) {
	page := read(t, "docs/tasks/install.md")
	row := regexp.MustCompile(`(?m)^\| (\w+)[^|]*\| ([\d.]+)[^|]*\| (.+?) \|$`)
	found := map[string][2]string{}
	for _, cells := range row.FindAllStringSubmatch(page, -1) {
		found[cells[1]] = [2]string{cells[2], cells[3]}
	}
	language := in(t, "go.mod", `(?m)^go (\S+)$`)
	expected := map[string][2]string{
		"Kubernetes": {
			in(t, "charts/rosey-operator/Chart.yaml", `(?m)^kubeVersion: ">=(\d+\.\d+)\.0-0"$`),
			in(t, "hack/cluster/go.mod", `k8s\.io/kubernetes v(\d+\.\d+)\.`) + " only",
		},
		"NATS": {
			bus.MinServerVersion,
			in(t, "hack/tools/nats-2.10/go.mod", `nats-server/v2 v(\S+)`) + " and " + in(t, "go.mod", `nats-server/v2 v(\S+)`),
		},
		"PostgreSQL": {postgres.MinVersion, "15 only"}, // Debian 12's
		"Go":         {language, language},
	}
	for what, versions := range expected {
		got := found[what]
		if got[0] != versions[0] {
			t.Errorf("minimum of %s: %q, expected %q", what, got[0], versions[0])
		}
		if !strings.HasPrefix(got[1], versions[1]) {
			t.Errorf("tested %s: %q, expected %q", what, got[1], versions[1])
		}
	}
}

// in returns what a group of an expression matches in a file of the repository.
func in(t *testing.T, path, expression string) string {
	t.Helper()
	match := regexp.MustCompile(expression).FindStringSubmatch(read(t, path))
	if match == nil {
		t.Fatalf("%s: no %s", path, expression)
	}
	return match[1]
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
