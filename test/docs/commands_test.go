package docs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// substituted matches a command with a value that another kubectl prints.
	substituted = regexp.MustCompile(`(?m)^kubectl(?:[^\n]*\\\n)*[^\n]*\$\(kubectl[^\n]*$`)
	// inOption matches the substitution if it is a part of one argument that is an option.
	inOption = regexp.MustCompile(` --[a-z-]+="[^"$]*\$\(kubectl [^")]*\)"`)
)

// fakeKubectl prints $HOSTILE_VALUE for `kubectl get`, and its arguments, each in brackets, for anything else.
const fakeKubectl = "#!/bin/sh\nif [ \"$1\" = get ]; then printf %s \"$HOSTILE_VALUE\"; else printf '<%s>' \"$@\"; fi\n"

// A value from the cluster, such as the leader in a status, may be chosen by whoever runs an image in a pod.
func TestCommandsAreSafeForAnyValue(t *testing.T) {
	bin := t.TempDir()
	err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(fakeKubectl), 0o700)
	if err != nil {
		t.Fatal(err)
	}
	run := func(command, value string) string {
		shell := exec.CommandContext(t.Context(), "sh", "-c", command)
		shell.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOSTILE_VALUE="+value)
		output, err := shell.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, output)
		}
		return string(output)
	}
	found := 0
	for _, page := range pages(t) {
		for _, command := range substituted.FindAllString(page, -1) {
			found++
			if !inOption.MatchString(command) {
				t.Errorf("the value is not a part of an option:\n%s", command)
				continue
			}
			template := run(command, "VALUE")
			for _, value := range []string{
				"--all", "--raw=/api/v1/namespaces/other/configmaps/precious", "-n other", "a b", "a\nb", "", "*", "$(id)",
				"`id`", `"; id; "`, "'", "pod/other", "<>",
			} {
				want := strings.Replace(template, "VALUE", value, 1)
				if got := run(command, value); got != want {
					t.Errorf("with the value %q the arguments are\n%s\nwant\n%s", value, got, want)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no command was found")
	}
}

// With --reuse-values, a release of an older chart lacks the defaults of values that are new, such as telemetry's.
func TestUpgradesHaveNewDefaults(t *testing.T) {
	upgrades := regexp.MustCompile(`(?m)^ *helm upgrade (?:[^\n]*\\\n)*[^\n]*$`)
	found := 0
	for _, page := range pages(t) {
		for _, command := range upgrades.FindAllString(page, -1) {
			found++
			if strings.Contains(command, " --reuse-values") {
				t.Errorf("expected --reset-then-reuse-values:\n%s", command)
			}
		}
	}
	if found == 0 {
		t.Error("no upgrade was found")
	}
}

func pages(t *testing.T) (texts []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(repository, "docs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		texts = append(texts, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}
