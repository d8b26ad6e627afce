package chaos

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// Start builds the programs and starts the processes, and stops them at the end of the test. The files of the last run
// that failed are in the user's cache.
func Start(t *testing.T, setup Setup) *Processes {
	t.Helper()
	programs := Build(t)
	dir := t.TempDir()
	t.Cleanup(func() {
		if t.Failed() {
			keepFiles(t, dir)
		}
	})
	world, err := StartProcesses(context.WithoutCancel(t.Context()), setup, programs, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	return world
}

// keepFiles copies a directory of a test that failed into the user's cache: temporary files are removed. They replace
// those of an earlier failure.
func keepFiles(t *testing.T, dir string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Logf("the processes' files are not kept: %v", err)
		return
	}
	kept := filepath.Join(cache, "rosey", "failed", strings.ReplaceAll(t.Name(), "/", "-"))
	if err := errors.Join(os.RemoveAll(kept), os.CopyFS(kept, os.DirFS(dir))); err != nil {
		t.Logf("not all of the processes' files are kept: %v", err)
	}
	t.Logf("configuration, logs and database are in %s", kept)
}
