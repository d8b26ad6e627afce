// Package workflows checks what runs when somebody pushes or asks for a change: the permissions of each job, and each
// job's scripts, which run here with stand-ins for what only the hosted runner has.
package workflows

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const repository = "../.."

type workflow struct {
	Permissions *map[string]string `json:"permissions"`
	Env         map[string]string  `json:"env"`
	Jobs        map[string]job     `json:"jobs"`
}

type job struct {
	Uses           string             `json:"uses"`
	RunsOn         string             `json:"runs-on"`
	TimeoutMinutes int                `json:"timeout-minutes"`
	Permissions    *map[string]string `json:"permissions"`
	Steps          []step             `json:"steps"`
}

type step struct {
	Uses string            `json:"uses"`
	Run  string            `json:"run"`
	With map[string]any    `json:"with"`
	Env  map[string]string `json:"env"`
}

// readWorkflows returns all workflows by the name of their file.
func readWorkflows(t *testing.T) map[string]workflow {
	t.Helper()
	files, err := filepath.Glob(repository + "/.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d workflows: %v", len(files), err)
	}
	all := map[string]workflow{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var one workflow
		if err := yaml.Unmarshal(text, &one); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = one
	}
	return all
}

// may is what a job may do beyond reading the repository.
var may = map[string]string{
	"release.yml images": "attestations id-token packages",
	"release.yml files":  "attestations contents id-token",
}

// A job has the permissions that it needs and no others, a token stays out of the checkout, and no job runs for ever.
func TestJobsHaveNoMorePermissionsThanTheyNeed(t *testing.T) {
	for file, one := range readWorkflows(t) {
		if one.Permissions == nil || len(*one.Permissions) != 0 {
			t.Errorf("%s: permissions: expected {}", file)
		}
		for name, j := range one.Jobs {
			if j.Permissions == nil {
				t.Errorf("%s: %s has no permissions of its own", file, name)
				continue
			}
			var writes []string
			for _, what := range slices.Sorted(maps.Keys(*j.Permissions)) {
				if access := (*j.Permissions)[what]; access == "write" {
					writes = append(writes, what)
				} else if access != "read" || what != "contents" {
					t.Errorf("%s: %s: unexpected permission %s: %s", file, name, what, access)
				}
			}
			if got := strings.Join(writes, " "); got != may[file+" "+name] {
				t.Errorf("%s: %s may write %q, expected %q", file, name, got, may[file+" "+name])
			}
			if j.Uses == "" && j.TimeoutMinutes == 0 {
				t.Errorf("%s: %s: expected timeout-minutes", file, name)
			}
			for _, s := range j.Steps {
				if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
					t.Errorf("%s: %s: checkout: expected persist-credentials: false", file, name)
				}
			}
		}
	}
}

// An action is the commit of an exact version, the same in every job; a tag could be moved to other code. What somebody
// else has named, such as a branch, is never part of a script.
func TestActionsAreExactAndScriptsHaveNoExpressions(t *testing.T) {
	pinned := regexp.MustCompile(`^\s*(?:- )?uses: ([a-z-]+/[a-z-]+)(@[0-9a-f]{40} # v\d+\.\d+\.\d+)$`)
	local := regexp.MustCompile(`^\s*uses: \./\.github/workflows/\w+\.yml$`)
	versions := map[string]string{}
	for file, one := range readWorkflows(t) {
		text, err := os.ReadFile(filepath.Join(repository, ".github/workflows", file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			if !strings.Contains(line, "uses: ") || local.MatchString(line) {
				continue
			}
			action := pinned.FindStringSubmatch(line)
			if action == nil {
				t.Errorf("%s: %s: expected OWNER/NAME@COMMIT # vX.Y.Z", file, strings.TrimSpace(line))
			} else if before, known := versions[action[1]]; known && before != action[2] {
				t.Errorf("%s: %s%s, and %s elsewhere", file, action[1], action[2], before)
			} else {
				versions[action[1]] = action[2]
			}
		}
		for name, j := range one.Jobs {
			for _, s := range j.Steps {
				if s.Run != "" && !regexp.MustCompile(`^(hack/ci/\w+|make \w+)$`).MatchString(s.Run) {
					t.Errorf("%s: %s: run: %q, expected one script of hack/ci or one target", file, name, s.Run)
				}
			}
		}
	}
	if len(versions) < 7 {
		t.Errorf("actions: %v", versions)
	}
}

// Every Go module and every list of packages of npm is updated.
func TestEveryModuleIsUpdated(t *testing.T) {
	text, err := os.ReadFile(repository + "/.github/dependabot.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Updates []struct {
			Ecosystem   string   `json:"package-ecosystem"`
			Directory   string   `json:"directory"`
			Directories []string `json:"directories"`
		} `json:"updates"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var updated []string
	for _, one := range file.Updates {
		for _, directory := range append(one.Directories, one.Directory) {
			if directory != "" {
				updated = append(updated, one.Ecosystem+" "+directory)
			}
		}
	}
	slices.Sort(updated)
	command := exec.CommandContext(t.Context(), "git", "ls-files", "*go.mod", "*package.json")
	command.Dir = repository
	output, err := command.Output()
	if err != nil {
		t.Skipf("git ls-files: %v: is this a checkout?", err)
	}
	there := []string{"github-actions /"}
	for path := range strings.FieldsSeq(string(output)) {
		ecosystem := "gomod"
		if filepath.Base(path) == "package.json" {
			ecosystem = "npm"
		}
		if strings.Contains(path, "testdata/") {
			continue
		}
		there = append(there, strings.TrimSuffix(ecosystem+" "+filepath.Join("/", filepath.Dir(path)), "."))
	}
	slices.Sort(there)
	if !slices.Equal(updated, there) {
		t.Errorf("updated:\n%s\nthere are:\n%s", strings.Join(updated, "\n"), strings.Join(there, "\n"))
	}
}

// A form for issues that GitHub cannot read is not offered, without a word.
func TestFormsForIssuesAreForms(t *testing.T) {
	files, err := filepath.Glob(repository + "/.github/ISSUE_TEMPLATE/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d forms: %v", len(files), err)
	}
	for _, path := range files {
		if filepath.Base(path) == "config.yml" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var form struct {
			Name        string   `json:"name"`
			Description string   `json:"description"`
			Labels      []string `json:"labels"`
			Body        []struct {
				Type        string          `json:"type"`
				ID          string          `json:"id"`
				Attributes  map[string]any  `json:"attributes"`
				Validations map[string]bool `json:"validations"`
			} `json:"body"`
		}
		if err := yaml.UnmarshalStrict(text, &form); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if form.Name == "" || form.Description == "" || len(form.Body) == 0 {
			t.Errorf("%s: expected name, description and body", path)
		}
		seen := map[string]bool{}
		for _, field := range form.Body {
			needs, known := map[string]string{
				"markdown": "value", "textarea": "label", "input": "label", "dropdown": "options",
			}[field.Type]
			if !known || field.Attributes[needs] == nil {
				t.Errorf("%s: a field of type %q without %q", path, field.Type, needs)
			}
			if field.Type != "markdown" && (field.ID == "" || seen[field.ID]) {
				t.Errorf("%s: the id %q is empty or there twice", path, field.ID)
			}
			seen[field.ID] = true
		}
	}
}
