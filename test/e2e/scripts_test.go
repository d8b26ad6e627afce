package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Progress counts the packages that are not compiled yet, also after an interrupted build, and a mistake in one of them
// is shown.
func TestCompileOfScripts(t *testing.T) {
	t.Parallel()
	module := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(module, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.test\n\ngo 1.26\n")
	// The directory's name makes the text that of this test: no cache has it.
	write("part/part.go", fmt.Sprintf("package part\n\nconst Text = %q\n", module))
	write("main.go", "package main\n\nimport \"example.test/part\"\n\nfunc main() { println(part.Text) }\n")
	script := func(command string) (string, error) {
		t.Helper()
		libraries, err := filepath.Abs(filepath.Join(repository, "hack/lib"))
		if err != nil {
			t.Fatal(err)
		}
		bash := exec.Command("bash", "-c", "set -euo pipefail; . "+libraries+"/progress.sh; . "+libraries+
			"/compile.sh; use_build_flags; "+command)
		bash.Dir = module
		bash.Env = append(os.Environ(), "GOWORK=off")
		output, err := bash.CombinedOutput()
		return string(output), err
	}
	uncompiled := func() string {
		t.Helper()
		packages, err := script("uncompiled_packages .")
		if err != nil {
			t.Fatalf("listing the packages: %v\n%s", err, packages)
		}
		return packages
	}

	if packages := uncompiled(); !strings.Contains(packages, " example.test/part\n") {
		t.Errorf("the packages to compile are\n%swithout example.test/part", packages)
	}
	if output, err := script(`compile "the program" "" bin .`); err != nil || !strings.Contains(output, "the program: ") {
		t.Fatalf("compiling: %v\n%s", err, output)
	}
	if packages := uncompiled(); strings.Contains(packages, " example.test/part\n") {
		t.Errorf("example.test/part is compiled and still counted:\n%s", packages)
	}
	write("main.go", "package main\n\nfunc main() { undefinedFunction() }\n")
	output, err := script(`compile "the program" "" bin .`)
	if err == nil || !strings.Contains(output, "the program: failed") || !strings.Contains(output, "undefinedFunction") {
		t.Errorf("compiling a mistake: %v\n%s", err, output)
	}
}
