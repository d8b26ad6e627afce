// Package processtest runs servers of others for the duration of a test.
package processtest

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

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
