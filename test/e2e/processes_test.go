package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// On a machine that cannot run a cluster, `make demo` shows the same bot and its rows, and leaves nothing behind.
func TestDemoAsPlainProcesses(t *testing.T) {
	if os.Getenv("ROSEY_E2E") == "" {
		t.Skip("starts servers on fixed ports of this machine: set ROSEY_E2E to run it")
	}
	t.Parallel()
	state := t.TempDir()
	run := func(arguments ...string) string {
		t.Helper()
		command := exec.Command(filepath.Join(repository, "hack/demo/demo"), append(arguments, "--processes")...)
		command.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
		var output bytes.Buffer
		command.Stdout, command.Stderr = &output, &output
		if err := command.Run(); err != nil {
			t.Fatalf("demo %s: %v\n%s", strings.Join(arguments, " "), err, output.String())
		}
		return output.String()
	}
	t.Cleanup(func() { run("down") })
	shown := run("up", "--seconds", "3")
	for _, want := range []string{"the bot is in the channel", "Top chatters", "popcorn_fan"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the demo does not show %q:\n%s", want, shown)
		}
	}

	run("down")
	if _, err := os.Stat(filepath.Join(state, "rosey")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("files are left in %s: %v", state, err)
	}
	if pids := processesOf(t, state); len(pids) > 0 {
		t.Errorf("processes are left: %v", pids)
	}
}

// processesOf returns the running processes whose program is below a directory.
func processesOf(t *testing.T, directory string) (pids []string) {
	t.Helper()
	programs, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		target, err := os.Readlink(program)
		if err == nil && strings.HasPrefix(target, directory) {
			pids = append(pids, program)
		}
	}
	return pids
}
