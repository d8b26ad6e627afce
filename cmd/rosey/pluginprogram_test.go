package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/platform"
)

// checkProgramAs has a program checked as a plugin, in a process of its own.
func checkProgramAs(t *testing.T, name, wait string, arguments ...string) (code int, output string) {
	t.Helper()
	command := program(t, append([]string{"plugin", "check", name, "--wait", wait, "--"}, arguments...)...)
	temporary := t.TempDir()
	command.Env = append(command.Env, "TMPDIR="+temporary)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	_ = command.Run() // the exit code has the result
	if left, err := filepath.Glob(filepath.Join(temporary, "rosey-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return command.ProcessState.ExitCode(), out.String()
}

// TestAProgramIsCheckedAsAPlugin starts programs in another process: one that is right, and some that are wrong.
func TestAProgramIsCheckedAsAPlugin(t *testing.T) {
	t.Parallel()
	self := program(t).Args
	script := func(text string) []string { return []string{"sh", "-c", text} }
	for _, test := range []struct {
		what    string
		program []string
		wait    string
		code    int
		want    []string
	}{
		{"a plugin", slices.Concat(self, []string{"plugin", "dice"}), "1m", exit.Clean, []string{
			"ok  dice  starts and says hello", "ok  dice  answers pings", "ok  dice  roll 3d1+2\n    🎲 alice: 3d1+2 = 5",
			"ok  dice  does only what a plugin may", "ok  dice  says bye when it is asked to end"}},
		{"a plugin with keys", slices.Concat(self, []string{"plugin", "quotes"}), "1m", exit.Clean, []string{
			"ok  dice  addquote @bob I never said that\n    Quote 1: “I never said that” – bob"}},
		{"a program that ends", script("echo no key >&2; exit 3"), "1m", exit.Failure, []string{
			"FAILED  dice  starts and says hello\n    it has ended before: exit status 3", "The program wrote:\n    no key"}},
		{"a plugin of another name", slices.Concat(self, []string{"plugin", "dice", "--plugin-name", "other"}), "3s",
			exit.Failure, []string{
				"FAILED  dice  starts and says hello", "FAILED  dice  says what it offers",
				"FAILED  dice  does only what a plugin may\n    the NATS server has denied it a "}},
		{"a program that is not there", []string{"./nothing"}, "1m", exit.Failure, []string{"starting ./nothing"}},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			code, output := checkProgramAs(t, "dice", test.wait, test.program...)
			for _, want := range test.want {
				if !strings.Contains(output, want) {
					t.Errorf("exit code %d, without %q: %s", code, want, output)
				}
			}
			if code != test.code {
				t.Errorf("exit code %d, want %d: %s", code, test.code, output)
			}
		})
	}
	for arguments, want := range map[string]string{
		"--running dice -- x": "--running", "-- x": "name of one plugin", "a b -- x": "name of one plugin",
		"--call dice -- x": "--call", "--nats nats://127.0.0.1:1 dice -- x": "--nats", "--role bot dice -- x": "--role",
		"dice --": "a program behind --", "dice --wait 0s -- x": "--wait",
	} {
		code, _, stderr := call(t, append([]string{"plugin", "check"}, strings.Fields(arguments)...)...)
		if code != exit.Usage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d: %s", arguments, code, stderr)
		}
	}
}

// Variables of another plugin in the caller's environment changed what was checked.
func TestACheckedProgramInheritsNoVariablesOfAnotherPlugin(t *testing.T) {
	t.Setenv("ROSEY_NATS_TLS_DIR", "/of-another")
	_, output := checkProgramAs(t, "dice", "1m", "sh", "-c", "env | grep ROSEY_ >&2; exit 3")
	if strings.Contains(output, "/of-another") || !strings.Contains(output, "ROSEY_PLUGIN_NAME=dice") {
		t.Errorf("the program inherits what it must not: %s", output)
	}
}

// A program that died after its hello was reported without its exit status.
func TestTheExitStatusOfAProgramThatDiedIsShown(t *testing.T) {
	t.Parallel()
	c := programCheck{command: exec.Command("sh", "-c", "exit 3"), ended: make(chan struct{})}
	platform.OwnGroup(c.command)
	_ = c.command.Run() // its error is the exit status
	close(c.ended)
	if err := c.end(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []pluginCheck{{What: saysBye, Found: "it has ended before: exit status 3"}}
	if diff := cmp.Diff(want, c.results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

// An interruption was reported as a canceled context.
func TestACheckOfAProgramCanBeInterrupted(t *testing.T) {
	t.Parallel()
	started := filepath.Join(t.TempDir(), "started")
	command := program(t, "plugin", "check", "dice", "--", "sh", "-c", `touch "$0"; exec sleep 600`, started)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the start of the program", func() bool {
		_, err := os.Stat(started)
		return err == nil
	})
	_ = command.Process.Signal(os.Interrupt) // it runs
	_ = command.Wait()                       // the exit code has the result
	if code := command.ProcessState.ExitCode(); code != exit.Failure || out.String() != "rosey: interrupted\n" {
		t.Errorf("exit code %d: %s", code, &out)
	}
}

// TestWhatACheckedProgramHasStartedEndsToo starts a program by another one, as `go run` does.
func TestWhatACheckedProgramHasStartedEndsToo(t *testing.T) {
	t.Parallel()
	alive := filepath.Join(t.TempDir(), "pid")
	checkProgramAs(t, "dice", "1m", "sh", "-c", `sleep 600 > /dev/null 2>&1 & echo $! > "$0"; exit 1`, alive)
	pid, err := os.ReadFile(alive)
	if err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the end of what the program has started", func() bool {
		state, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}
