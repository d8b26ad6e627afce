// Package registry starts a registry of images for the duration of a test.
package registry

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/test/porttest"
)

// patience includes building the program, the first time.
const patience = 2 * time.Minute

// Start starts an empty registry on loopback and returns its address. Tests are two directories below the repository's.
func Start(t *testing.T) string {
	t.Helper()
	address := porttest.FreeAddress(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	program := filepath.Join("../..", "hack/cluster/cluster")
	//nolint:gosec // the address is on loopback
	command := exec.CommandContext(ctx, program, "crane", "registry", "serve", "--address", address)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = command.Wait() // it was ended
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var dialer net.Dialer
		connection, err := dialer.DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = connection.Close() // it was only tried
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("the registry does not listen: %v", err)
		}
	}
}
