// Package processtest runs servers of others for the duration of a test.
package processtest

import (
	"os/exec"
	"path/filepath"
	"testing"

	"rosey.dev/rosey/test/logtest"
)

// Start starts a server, and kills it at the end of the test. If the test fails, it shows what the server has written.
func Start(t testing.TB, server *exec.Cmd) {
	t.Helper()
	log := &logtest.Buffer{}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(server.Path), log)
		}
	})
}
