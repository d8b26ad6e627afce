// Package docs tests the documentation.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	repository = "../.."
	// propertyHeader begins a table of properties.
	propertyHeader = "| what holds |"
)

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	// testName matches a test with the directory of its package: runtime/bus.TestRequest.
	testName = regexp.MustCompile(`^([a-z0-9/-]+)\.((?:Test|Fuzz)[A-Z]\w*)$`)
)

// A property without a test, or with a test that was renamed or removed, is a promise that nobody checks.
func TestPropertiesNameTheirTests(t *testing.T) {
	for name, least := range map[string]int{"security.md": 20, "promises.md": 10} {
		page, err := os.ReadFile(filepath.Join(repository, "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		count, problems := checkProperties(string(page), testExists)
		for _, problem := range problems {
			t.Errorf("docs/%s: %s", name, problem)
		}
		if count < least {
			t.Errorf("docs/%s: %d properties, expected more: are the tables found?", name, count)
		}
	}
}

func TestWrongPropertiesAreDetected(t *testing.T) {
	const table = propertyHeader + " setting | tests |\n|---|---|---|\n"
	exists := func(directory, name string) (bool, error) {
		return directory == "runtime/bus" && name == "TestRequest", nil
	}
	for _, test := range []struct {
		name, page string
		count      int
		want       []string
	}{
		{"correct", table + "| a | `b` | `runtime/bus.TestRequest` |\n\ntext\n| c |\n", 1, nil},
		{"no test", table + "| a | `b` | – |\n", 1, []string{`line 3: the property "a" names no test`}},
		{
			"test in another column", table + "| a | `runtime/bus.TestRequest` | – |\n", 1,
			[]string{`line 3: the property "a" names no test`},
		},
		{
			"removed test", table + "| a | – | `runtime/bus.TestRequest`, `runtime/bus.TestGone` |\n", 1,
			[]string{"line 3: the test runtime/bus.TestGone does not exist"},
		},
		{
			"no package", table + "| a | – | `TestRequest` |\n", 1,
			[]string{"line 3: `TestRequest` is no test, expected one such as `runtime/bus.TestRequest`"},
		},
		{
			"in the text", "See `runtime/bus.TestGone`.\n", 0,
			[]string{"line 1: the test runtime/bus.TestGone does not exist"},
		},
		{"other table", "| port |\n|---|\n| 8080 |\n", 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			count, problems := checkProperties(test.page, exists)
			if count != test.count {
				t.Errorf("%d properties, want %d", count, test.count)
			}
			if diff := cmp.Diff(test.want, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// checkProperties returns the number of properties on a page, and what is wrong with them. A property is a row of a
// table that begins with propertyHeader; its last cell names tests, each in a code span with the directory of its
// package. Tests that the rest of the page names have to exist too.
func checkProperties(page string, exists func(directory, name string) (bool, error)) (count int, problems []string) {
	inTable := false
	for i, line := range strings.Split(page, "\n") {
		report := func(format string, arguments ...any) {
			problems = append(problems, fmt.Sprintf("line %d: ", i+1)+fmt.Sprintf(format, arguments...))
		}
		for _, span := range codeSpan.FindAllStringSubmatch(line, -1) {
			test := testName.FindStringSubmatch(span[1])
			if test == nil {
				continue
			}
			if ok, err := exists(test[1], test[2]); err != nil {
				report("looking for the test %s: %v", span[1], err)
			} else if !ok {
				report("the test %s does not exist", span[1])
			}
		}
		switch {
		case strings.HasPrefix(line, propertyHeader):
			inTable = true
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case inTable && !strings.HasPrefix(line, "|---"):
			count++
			checkTestsCell(line, report)
		}
	}
	return count, problems
}

// checkTestsCell reports what the last cell of a row contains instead of tests.
func checkTestsCell(row string, report func(format string, arguments ...any)) {
	cells := strings.Split(strings.Trim(row, "| "), " | ")
	spans := codeSpan.FindAllStringSubmatch(cells[len(cells)-1], -1)
	if len(cells) < 2 || len(spans) == 0 {
		report("the property %q names no test", cells[0])
	}
	for _, span := range spans {
		if !testName.MatchString(span[1]) {
			report("%s is no test, expected one such as `runtime/bus.TestRequest`", span[0])
		}
	}
}

// testExists reports whether a package of the repository has a test function.
func testExists(directory, name string) (bool, error) {
	files, err := filepath.Glob(filepath.Join(repository, directory, "*_test.go"))
	if err != nil {
		return false, err
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return false, err
		}
		if strings.Contains("\n"+string(source), "\nfunc "+name+"(") {
			return true, nil
		}
	}
	return false, nil
}
