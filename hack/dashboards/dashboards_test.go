package dashboards

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

var update = flag.Bool("update", false, "write the dashboards to the chart")

const directory = "../../charts/rosey-operator/files/dashboards"

// The chart has the dashboards that this package builds, and no others.
func TestChartHasTheDashboards(t *testing.T) {
	files, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for name, built := range files {
		path := filepath.Join(directory, name)
		if *update {
			if err := os.WriteFile(path, built, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, built) {
			t.Errorf("%s differs from what is built: go test ./hack/dashboards -update (%v)", path, err)
		}
	}
	kept, err := os.ReadDir(directory)
	if err != nil || len(kept) != len(files) {
		t.Errorf("%s has %d files, %d dashboards are built: %v", directory, len(kept), len(files), err)
	}
}

// load returns the dashboards as Grafana would read them: an unknown field is an error.
func load(t *testing.T) map[string]dashboard.Dashboard {
	t.Helper()
	plugins.RegisterDefaultPlugins()
	files, err := All()
	if err != nil {
		t.Fatal(err)
	}
	boards := map[string]dashboard.Dashboard{}
	for name, data := range files {
		// On success the error is not nil, but has no text, and what was read has no panels.
		if err := new(dashboard.Dashboard).UnmarshalJSONStrict(data); err != nil && err.Error() != "" {
			t.Errorf("%s: %v", name, err)
		}
		board := dashboard.Dashboard{}
		if err := json.Unmarshal(data, &board); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		boards[name] = board
	}
	return boards
}

func TestGrafanaReadsEveryField(t *testing.T) {
	boards := load(t)
	if len(boards) != 3 {
		t.Fatalf("%d dashboards, want 3", len(boards))
	}
	files, err := All()
	if err != nil {
		t.Fatal(err)
	}
	misspelt := bytes.Replace(files["bot.json"], []byte(`"gridPos"`), []byte(`"gridPosition"`), 1)
	if err := new(dashboard.Dashboard).UnmarshalJSONStrict(misspelt); err == nil || err.Error() == "" {
		t.Error("a misspelt field is accepted: the check finds nothing")
	}
}

// Every panel says what it shows, in which unit, and each query has a legend, except in a table.
func TestPanelsAreExplained(t *testing.T) {
	for name, board := range load(t) {
		ids, titles := map[uint32]bool{}, map[string]bool{}
		for _, each := range board.Panels {
			panel := each.Panel
			if panel == nil {
				continue
			}
			title := *panel.Title
			if titles[title] || title == "" || panel.Description == nil || !strings.HasSuffix(*panel.Description, ".") {
				t.Errorf("%s: %q has no description that ends with a period, or its title is not unique", name, title)
			}
			titles[title] = true
			if ids[*panel.Id] || *panel.Id == 0 {
				t.Errorf("%s: %q has the ID %d", name, title, *panel.Id)
			}
			ids[*panel.Id] = true
			if panel.FieldConfig == nil || panel.FieldConfig.Defaults.Unit == nil || *panel.FieldConfig.Defaults.Unit == "" {
				t.Errorf("%s: %q has no unit", name, title)
			}
			checkTargets(t, name, panel)
			for _, link := range panel.Links {
				checkRunbook(t, *link.Url)
			}
		}
	}
}

func checkTargets(t *testing.T, name string, panel *dashboard.Panel) {
	t.Helper()
	if len(panel.Targets) == 0 {
		t.Errorf("%s: %q has no query", name, *panel.Title)
	}
	for _, target := range panel.Targets {
		query, ok := target.(*prometheus.Dataquery)
		if !ok {
			t.Fatalf("%s: %q has a query of type %T", name, *panel.Title, target)
		}
		if panel.Type != "table" && (query.LegendFormat == nil || *query.LegendFormat == "") {
			t.Errorf("%s: %q has a query without a legend: %s", name, *panel.Title, query.Expr)
		}
		if strings.Contains(query.Expr, "…") {
			t.Errorf("%s: %q has a query without a selector: %s", name, *panel.Title, query.Expr)
		}
	}
}

func checkRunbook(t *testing.T, url string) {
	t.Helper()
	page, ok := strings.CutPrefix(url, Runbooks)
	if !ok {
		t.Errorf("%s is no runbook: the chart removes all links of panels where there are no runbooks", url)
	}
	if _, err := os.Stat(filepath.Join("../../docs/runbooks", page)); err != nil {
		t.Error(err)
	}
}

// place returns the title and the position of a panel or of the heading of a row.
func place(of dashboard.PanelOrRowPanel) (title string, position dashboard.GridPos) {
	if of.RowPanel != nil {
		return *of.RowPanel.Title, *of.RowPanel.GridPos
	}
	return *of.Panel.Title, *of.Panel.GridPos
}

// No panel overlaps another one or is wider than the page, and no line has a gap.
func TestPanelsFillThePage(t *testing.T) {
	for name, board := range load(t) {
		taken := map[[2]uint32]string{}
		width := map[uint32]uint32{}
		for _, each := range board.Panels {
			title, position := place(each)
			if position.X+position.W > 24 || position.W == 0 || position.H == 0 {
				t.Errorf("%s: %q is at %+v", name, title, position)
			}
			width[position.Y] += position.W
			for x := position.X; x < position.X+position.W; x++ {
				for y := position.Y; y < position.Y+position.H; y++ {
					if other := taken[[2]uint32{x, y}]; other != "" {
						t.Fatalf("%s: %q overlaps %q", name, title, other)
					}
					taken[[2]uint32{x, y}] = title
				}
			}
		}
		for y, columns := range width {
			if columns != 24 {
				t.Errorf("%s: the line at %d has %d columns, want 24", name, y, columns)
			}
		}
	}
}
