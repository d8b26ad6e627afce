package main

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
)

// runInChannel starts a command of `rosey run` and waits until the bot is in its channel.
func runInChannel(t *testing.T, change func(*exec.Cmd)) (command *exec.Cmd, users func() int) {
	t.Helper()
	sim, site := simulatortest.Start(t, simulator.Options{})
	users = func() int { return len(sim.Channel("movienight").Users()) }
	command = program(t, "run", "--channel", "movienight", "--server", site, "--username", "rosey", "--data",
		filepath.Join(t.TempDir(), "data"), "--http", "127.0.0.1:0")
	change(command)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	natstest.Eventually(t, "the bot in the channel", func() bool { return users() == 1 })
	return command, users
}

func hangUp(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if err := command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// A terminal that is closed sends SIGHUP, often twice, and nobody reads the output any more. The process ends as with
// SIGTERM: it leaves the channel and stores what it has.
func TestClosedTerminalEndsTheProcessInGoodOrder(t *testing.T) {
	t.Parallel()
	// A program that is started while SIGHUP is ignored keeps ignoring it, and this test may run under nohup itself. A
	// signal with a handler has its default behavior in the programs that are started.
	handled := make(chan os.Signal, 1)
	signal.Notify(handled, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(handled) })
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command, users := runInChannel(t, func(c *exec.Cmd) { c.Stdout, c.Stderr = writer, writer })
	_ = writer.Close()
	_ = reader.Close()
	hangUp(t, command)
	natstest.Eventually(t, "the bot to leave", func() bool { return users() == 0 })
	_ = command.Process.Signal(syscall.SIGHUP) // it may have ended
	if err := command.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
}

// Under nohup a closed terminal ends nothing.
func TestHangUpIsIgnoredUnderNohup(t *testing.T) {
	t.Parallel()
	command, users := runInChannel(t, func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
	})
	hangUp(t, command)
	hangUp(t, command)
	if users() != 1 {
		t.Error("the bot has left")
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
}
