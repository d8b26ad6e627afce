// Package processtest runs servers of others for the duration of a test.
package processtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/test/logtest"
)

// Start starts a server, and kills it at the end of the test, or when the test binary dies, for which cleanups do not
// run. If the test fails, it shows what the server has written.
func Start(t testing.TB, server *exec.Cmd) {
	t.Helper()
	log := &logtest.Buffer{}
	server.Stdout, server.Stderr = log, log
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The kernel kills the server when the thread that has started it ends, so that lives as long as the server.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := server.Start()
		started <- err
		if err == nil {
			_ = server.Wait() // it was killed
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(server.Path), log)
		}
	})
}

// stopLimit is how long a process may take to stop on a busy machine.
const stopLimit = time.Minute

// Stop stops a process by SIGSTOP, and returns when it runs no more: the kernel takes the signal before that. A process
// that has ended counts as stopped.
func Stop(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && err != syscall.ESRCH {
		t.Fatalf("stopping process %d: %v", pid, err)
	}
	for end := time.Now().Add(stopLimit); runs(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d still runs %s after SIGSTOP", pid, stopLimit)
		}
	}
}

// runs reports whether a thread of a process is neither stopped nor ended (proc_pid_stat(5)).
func runs(pid int) bool {
	threads, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task/*/stat")) // the pattern is right
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		// The state is behind the name, which may have spaces and parentheses.
		_, state, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
		if !bytes.ContainsAny(state[:min(1, len(state))], "TtZX") {
			return true
		}
	}
	return false
}
