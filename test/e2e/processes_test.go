package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// On a machine that cannot run a cluster, `make demo` shows the same bot and its rows. However it ends, no process is
// left by `make demo-down`, and no file.
func TestDemoAsPlainProcesses(t *testing.T) {
	if os.Getenv("ROSEY_E2E") == "" {
		t.Skip("starts servers on fixed ports of this machine: set ROSEY_E2E to run it")
	}
	t.Parallel()
	demo := processDemo{state: t.TempDir()}
	t.Cleanup(func() { demo.run(t, "down") })
	shown := demo.run(t, "up", "--seconds", "3")
	for _, want := range []string{"the bot is in the channel", "Top chatters", "popcorn_fan", serverOfDemo(t)} {
		if !strings.Contains(shown, want) {
			t.Errorf("the demo does not show %q:\n%s", want, shown)
		}
	}

	interrupted := demo.startUntilChat(t)
	if err := interrupted.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := interrupted.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("the interrupted demo ended with %v, expected status 130", err)
	}
	if pids := processesOf(t, demo.state); len(pids) > 0 {
		t.Errorf("the interrupted demo left processes: %v", pids)
	}
	if _, err := os.Stat(filepath.Join(demo.state, "rosey/demo/data/rosey.db")); err != nil {
		t.Errorf("the interrupted demo lost its rows: %v", err)
	}

	killed := demo.startUntilChat(t)
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait() // it was killed
	demo.run(t, "down")
	if _, err := os.Stat(filepath.Join(demo.state, "rosey")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("files are left in %s: %v", demo.state, err)
	}
	if pids := processesOf(t, demo.state); len(pids) > 0 {
		t.Errorf("processes are left: %v", pids)
	}
}

// processDemo runs the demo as processes, with its files in a directory.
type processDemo struct{ state string }

func (d processDemo) command(arguments ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(repository, "hack/demo/demo"), append(arguments, "--processes")...)
	command.Env = append(os.Environ(), "XDG_STATE_HOME="+d.state)
	return command
}

func (d processDemo) run(t *testing.T, arguments ...string) string {
	t.Helper()
	command := d.command(arguments...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		t.Fatalf("demo %s: %v\n%s", strings.Join(arguments, " "), err, output.String())
	}
	return output.String()
}

// startUntilChat starts the demo and returns while people chat.
func (d processDemo) startUntilChat(t *testing.T) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "output")) // a pipe would stay open in what a killed demo leaves
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	command := d.command("up", "--seconds", "60")
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		output, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(output, []byte("simulated people join")) {
			return command
		}
		if time.Now().After(deadline) {
			_ = command.Process.Signal(syscall.SIGTERM)
			t.Fatalf("nobody chats after a minute: %v\n%s", command.Wait(), output)
		}
	}
}

// serverOfDemo returns the CyTube server of the demo's RoseyBot. The rows of the processes belong to it, so that the
// cluster can take them over.
func serverOfDemo(t *testing.T) string {
	t.Helper()
	sample, err := os.ReadFile(filepath.Join(repository, "config/samples/roseybot.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	server := regexp.MustCompile(`server: (\S+)`).FindSubmatch(sample)
	if server == nil {
		t.Fatal("config/samples/roseybot.yaml has no server")
	}
	return string(server[1]) + ", channel " + demoBot
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
