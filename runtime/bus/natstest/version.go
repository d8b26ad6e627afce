package natstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/test/porttest"
)

// StartVersion starts a server of another version than that of this module, as a process of its own, with JetStream if
// the configuration enables it, and returns its URL. The version is that of a module in hack/tools, for example 2.10.
// It ends with the test.
func StartVersion(t testing.TB, version, configuration string) (url string) {
	t.Helper()
	program := buildVersion(t, version)
	port := porttest.Free(t)
	file := filepath.Join(t.TempDir(), "nats.conf")
	text := fmt.Sprintf("listen: 127.0.0.1:%d\n%s\n", port, configuration)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), program, "-c", file)
	process.Dir = t.TempDir()
	if err := process.Start(); err != nil {
		t.Fatalf("starting NATS %s: %v", version, err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	url = fmt.Sprintf("nats://127.0.0.1:%d", port)
	Eventually(t, "NATS "+version+" to accept connections", func() bool {
		connection, err := nats.Connect(url)
		if err == nil {
			connection.Close()
		}
		return err == nil
	})
	return url
}

// buildVersion returns the path of the program, which Go builds into its cache.
func buildVersion(t testing.TB, version string) (program string) {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", "tool", "-n", "github.com/nats-io/nats-server/v2")
	build.Dir = filepath.Join(repository(t), "hack", "tools", "nats-"+version)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	var problem strings.Builder
	build.Stderr = &problem
	output, err := build.Output()
	if err != nil {
		t.Fatalf("building NATS %s: %v: %s", version, err, problem.String())
	}
	return strings.TrimSpace(string(output))
}

// repository returns the root of the repository: a test runs in the directory of its package.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("no go.mod in the directory of the test or above it")
	return ""
}
