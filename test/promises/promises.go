// Package promises compares this version with what releases have promised in docs/promises.md: names that programs of
// others use, and migrations that databases of others have. Each list is a file in testdata, with one promise a line.
//
// A list grows when a version is released: its section of CHANGELOG.md then has a date instead of "Unreleased", and the
// tests ask for -update. What is added between two releases is not promised yet. A line is removed by hand, together
// with an entry of the changelog, and only if docs/promises.md allows it.
package promises

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Repository is the root of the repository, from the directory of each package that has a list.
const Repository = "../.."

// stage is where the project is between two releases.
type stage int

const (
	// beforeTheFirst means that there is no release: nothing is promised yet.
	beforeTheFirst stage = iota
	// between means that the newest section of the changelog is Unreleased.
	between
	// releasing means that the newest section has a date.
	releasing
)

// Compare compares a list of testdata with what this version has. update writes the list.
func Compare(t testing.TB, list string, present []string, update bool) {
	t.Helper()
	if len(present) == 0 {
		t.Fatalf("%s: nothing was found", list)
	}
	changelog, err := os.ReadFile(filepath.Join(Repository, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	now, err := readStage(string(changelog))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(Repository, "test/promises/testdata", list+".txt")
	content, err := os.ReadFile(path)
	if err != nil && !update {
		t.Fatal(err)
	}
	promised := strings.FieldsFunc(string(content), func(r rune) bool { return r == '\n' })
	if !update {
		for _, problem := range check(promised, present, now) {
			t.Errorf("%s: %s", path, problem)
		}
		return
	}
	lines, err := updated(promised, present, now)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	err = os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600) //nolint:gosec // list is a constant of a test
	if err != nil {
		t.Fatal(err)
	}
}

var section = regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+[^\]]*)\] - (Unreleased|\d{4}-\d{2}-\d{2})$`)

// readStage returns the stage that the sections of a changelog tell.
func readStage(changelog string) (stage, error) {
	headings := regexp.MustCompile(`(?m)^## .*$`).FindAllString(changelog, -1)
	sections := section.FindAllStringSubmatch(changelog, -1)
	if len(sections) == 0 || len(sections) != len(headings) {
		return 0, fmt.Errorf("CHANGELOG.md has the headings %q, expected each to be such as ## [0.1.0] - Unreleased, "+
			"or with a date such as 2026-11-30", headings)
	}
	for i, each := range sections[1:] {
		if each[2] == "Unreleased" {
			return 0, fmt.Errorf("CHANGELOG.md: %s is Unreleased below %s, expected a date", each[1], sections[i][1])
		}
	}
	switch {
	case sections[0][2] != "Unreleased":
		return releasing, nil
	case len(sections) > 1:
		return between, nil
	default:
		return beforeTheFirst, nil
	}
}

// check returns what is wrong with a list.
func check(promised, present []string, now stage) (problems []string) {
	for _, line := range missing(promised, present) {
		const lost = "this version lacks %q"
		if now == beforeTheFirst {
			problems = append(problems, fmt.Sprintf(lost+": nothing is released, use -update", line))
			continue
		}
		problems = append(problems, fmt.Sprintf(lost+", which a release has promised: see docs/promises.md", line))
	}
	if now == releasing {
		for _, line := range missing(present, promised) {
			problems = append(problems, fmt.Sprintf("the list lacks %q, which the release has: use -update", line))
		}
	}
	return problems
}

// updated returns the lines of a list after -update.
func updated(promised, present []string, now stage) ([]string, error) {
	if now == between {
		return nil, errors.New("the list changes with a release: the newest section of CHANGELOG.md is Unreleased")
	}
	lines := slices.Clone(present)
	if now == releasing {
		lines = append(lines, promised...)
	}
	slices.Sort(lines)
	return slices.Compact(lines), nil
}

// missing returns the elements of wanted that are not in present.
func missing(wanted, present []string) (absent []string) {
	for _, line := range wanted {
		if !slices.Contains(present, line) {
			absent = append(absent, line)
		}
	}
	return absent
}
