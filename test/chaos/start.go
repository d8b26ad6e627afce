package chaos

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build builds the programs for a test.
func Build(t *testing.T) Programs {
	t.Helper()
	dir := t.TempDir()
	//nolint:gosec // dir is the test's own
	command := exec.CommandContext(t.Context(), "go", "build", "-o", dir,
		"rosey.dev/rosey/cmd/rosey", "github.com/nats-io/nats-server/v2")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return Programs{Rosey: filepath.Join(dir, "rosey"), NATS: filepath.Join(dir, "nats-server")}
}

// Start builds the programs and starts the processes, and stops them at the end of the test. The directory with the
// logs stays if the test failed.
func Start(t *testing.T, setup Setup) *Processes {
	t.Helper()
	programs := Build(t)
	dir, err := os.MkdirTemp("", "rosey-processes-") //nolint:usetesting // it stays if the test failed
	if err != nil {
		t.Fatal(err)
	}
	world, err := StartProcesses(context.WithoutCancel(t.Context()), setup, programs, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		world.Close()
		if t.Failed() {
			t.Logf("configuration, logs and database are in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return world
}
