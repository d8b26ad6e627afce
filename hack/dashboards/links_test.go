package dashboards

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// variablesOf returns the names of the variables of a dashboard.
func variablesOf(board dashboard.Dashboard) (names []string) {
	for _, each := range board.Templating.List {
		names = append(names, each.Name)
	}
	return names
}

// A link to another dashboard has a dashboard behind it, and sets variables that this one has.
func TestLinksLeadToDashboards(t *testing.T) {
	boards := load(t)
	byUID := map[string]dashboard.Dashboard{}
	for _, board := range boards {
		byUID[*board.Uid] = board
	}
	if len(byUID) != len(boards) {
		t.Fatalf("%d dashboards have %d UIDs", len(boards), len(byUID))
	}
	for name, board := range boards {
		linked := map[string]bool{}
		for _, link := range board.Links {
			if link.Url == nil || *link.Url == Runbooks {
				continue
			}
			uid := strings.TrimPrefix(*link.Url, "/d/")
			if linked[uid] = true; byUID[uid].Title == nil || *byUID[uid].Title != link.Title {
				t.Errorf("%s: the link %q leads to %s, which is no dashboard of that title", name, link.Title, *link.Url)
			}
		}
		if len(linked) != len(boards)-1 || linked[*board.Uid] {
			t.Errorf("%s links to the dashboards %v, want all others", name, linked)
		}
	}
	data, err := json.Marshal(boards["fleet.json"])
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`"url":"(/d/[^"]+\?[^"]+)"`).FindAllStringSubmatch(string(data), -1)
	if len(links) != 1 {
		t.Fatalf("the table of all RoseyBots has the links %q, want one", links)
	}
	path, query, _ := strings.Cut(strings.ReplaceAll(links[0][1], `\u0026`, "&"), "?")
	target := byUID[strings.TrimPrefix(path, "/d/")]
	for _, each := range regexp.MustCompile(`var-(\w+)=\$\{__data\.fields\.(\w+)\}`).FindAllStringSubmatch(query, -1) {
		if !slices.Contains(variablesOf(target), each[1]) || !strings.Contains(string(data), `:"`+each[2]+`"`) {
			t.Errorf("%s: sets the variable %s from the column %s, and one of them does not exist", path, each[1], each[2])
		}
	}
	if strings.Count(query, "var-") != len(variablesOf(target))-1 { // the data source is set in another way
		t.Errorf("%s sets not all of %q", query, variablesOf(target))
	}
}

// A variable that a query or a later variable uses is one of its dashboard, and each is used.
func TestVariablesExistAndAreUsed(t *testing.T) {
	for name, board := range load(t) {
		used := map[string]bool{}
		data, err := json.Marshal(board)
		if err != nil {
			t.Fatal(err)
		}
		for _, each := range regexp.MustCompile(`\$\{?([a-z]\w*)`).FindAllStringSubmatch(string(data), -1) {
			if used[each[1]] = true; !slices.Contains(variablesOf(board), each[1]) {
				t.Errorf("%s uses the variable %s, which it does not have", name, each[1])
			}
		}
		for _, each := range variablesOf(board) {
			if !used[each] {
				t.Errorf("%s does not use its variable %s", name, each)
			}
		}
	}
}
