package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script returns a command that sources libraries of hack and then executes statements in a directory.
func script(t *testing.T, directory, statements string, libraries ...string) *exec.Cmd {
	t.Helper()
	var sources strings.Builder
	for _, library := range libraries {
		path, err := filepath.Abs(filepath.Join(repository, "hack", library))
		if err != nil {
			t.Fatal(err)
		}
		sources.WriteString(". " + path + "; ")
	}
	command := exec.Command("bash", "-c", "set -euo pipefail; "+sources.String()+statements)
	command.Dir = directory
	command.Env = append(os.Environ(), "GOWORK=off")
	return command
}

// compileScript executes statements with the functions that compile.
func compileScript(t *testing.T, directory, statements string) (string, error) {
	t.Helper()
	output, err := script(t, directory, statements, "lib/progress.sh", "lib/compile.sh").CombinedOutput()
	return string(output), err
}

// writeFiles writes files with their directories below a directory.
func writeFiles(t *testing.T, directory string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Progress counts the packages that are not compiled yet, also after an interrupted build, and a mistake in one of them
// is shown.
func TestCompileOfScripts(t *testing.T) {
	t.Parallel()
	module := t.TempDir()
	writeFiles(t, module, map[string]string{
		"go.mod": "module example.test\n\ngo 1.26\n",
		// The directory's name makes the text that of this test: no cache has it.
		"part/part.go": fmt.Sprintf("package part\n\nconst Text = %q\n", module),
		"main.go":      "package main\n\nimport \"example.test/part\"\n\nfunc main() { println(part.Text) }\n",
	})
	script := func(command string) (string, error) {
		t.Helper()
		return compileScript(t, module, "use_build_flags; "+command)
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
	writeFiles(t, module, map[string]string{"main.go": "package main\n\nfunc main() { undefinedFunction() }\n"})
	output, err := script(`compile "the program" "" bin .`)
	if err == nil || !strings.Contains(output, "the program: failed") || !strings.Contains(output, "undefinedFunction") {
		t.Errorf("compiling a mistake: %v\n%s", err, output)
	}
}

// An empty line ended the reader, and what go printed after it, the reason, was lost. So was a line that arrived in two
// parts.
func TestCompileShowsAllThatGoPrints(t *testing.T) {
	t.Parallel()
	output, err := compileScript(t, t.TempDir(), `
go() { case $1 in
  list) printf 'example.test/part\t/dev/null\n' ;;
  build) printf '\n\texample.test/part\nexample.te'; sleep 1.2; printf 'st/part\nthe reason'; exit 1 ;;
esac; }
compile "the program" "" bin .`)
	if want := "  the program: failed\n\n\texample.test/part\nthe reason\n"; err == nil || output != want {
		t.Errorf("compiling with an error: %v, it printed\n%q, expected\n%q", err, output, want)
	}
}

// A program that go has built before needs nothing compiled. That was a failure.
func TestCompileOfNothing(t *testing.T) {
	t.Parallel()
	output, err := compileScript(t, t.TempDir(), `go() { :; }; compile "the program" "" bin .`)
	if err != nil || !strings.HasPrefix(output, "  the program: ") || strings.Count(output, "\n") != 1 {
		t.Errorf("compiling nothing: %v, it printed\n%s", err, output)
	}
}

func TestInterruptedCompileLeavesNoFiles(t *testing.T) {
	t.Parallel()
	files, started := t.TempDir(), filepath.Join(t.TempDir(), "started")
	command := script(t, t.TempDir(), `go() { [ "$1" = list ] || { : >"$STARTED"; sleep 60; }; }
compile "the program" "" bin .`, "lib/progress.sh", "lib/compile.sh")
	command.Env = append(command.Env, "TMPDIR="+files, "STARTED="+started)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(started); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Error("nothing is compiled after a minute")
			break
		}
	}
	if err := syscall.Kill(-command.Process.Pid, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := command.Wait(); err == nil {
		t.Error("it was not interrupted: this test showed nothing")
	}
	// The shell that removes them may end after the one that started it.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		left, err := os.ReadDir(files)
		if err == nil && len(left) == 0 {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("files are left: %v, %v", left, err)
		}
	}
}

// Compilers that collect garbage only when the machine's memory is used up are killed where the container has less.
func TestCompilersStayWithinTheLimitOfAContainer(t *testing.T) {
	t.Parallel()
	const most = "MemAvailable: 640000000 kB\n"
	for name, test := range map[string]struct {
		files map[string]string
		flag  bool
	}{
		"no Linux": {nil, false},
		"no limit": {map[string]string{"proc/meminfo": most, "proc/self/cgroup": "0::/\n"}, true},
		"little":   {map[string]string{"proc/meminfo": "MemAvailable: 900000 kB\n"}, false},
		"version 2 without a limit": {map[string]string{
			"proc/meminfo": most, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "1000\n",
		}, true},
		"version 2 in a container": {map[string]string{
			"proc/meminfo": most, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "1073741824\n", "sys/fs/cgroup/memory.current": "134217728\n",
		}, false},
		"version 2 on a machine": {map[string]string{
			"proc/meminfo": most, "proc/self/cgroup": "0::/user.slice/x\n",
			"sys/fs/cgroup/user.slice/x/memory.max": "1073741824\n", "sys/fs/cgroup/user.slice/x/memory.current": "134217728\n",
		}, false},
		"version 2, used up": {map[string]string{
			"proc/meminfo": most, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "655360000000\n", "sys/fs/cgroup/memory.current": "655359000000\n",
		}, false},
		"version 2, used up by files": {map[string]string{
			"proc/meminfo": most, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "655360000000\n", "sys/fs/cgroup/memory.current": "655359000000\n",
			"sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 655358000000\n",
		}, true},
		"version 1 in a container": {map[string]string{
			"proc/meminfo": most, "proc/self/cgroup": "4:memory:/kubepods/x\n1:cpu:/y\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes": "134217728\n",
		}, false},
		"version 1 without a limit": {map[string]string{
			"proc/meminfo": most, "proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes": "9000000000000\n",
		}, true},
	} {
		root := t.TempDir()
		writeFiles(t, root, test.files)
		flag, err := compileScript(t, root, "compiler_memory "+root)
		if err != nil || (flag != "") != test.flag {
			t.Errorf("%s: %q, %v, expected a flag: %t", name, flag, err, test.flag)
		}
	}
}
