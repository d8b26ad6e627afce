// Package release makes releases with hack/release and looks into them: what they consist of, that one version and the
// same images are everywhere, and that a second run makes the same files.
package release

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"rosey.dev/rosey/test/apiservertest"
)

const (
	repository = "../.."
	version    = "1.2.3-rc.4"
	registry   = "registry.example:5000/films"
)

// needTools skips a test where no image can be built, or Helm and kubectl are missing.
func needTools(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("images are built on Linux")
	}
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
}

// makeRelease runs hack/release for this machine, and returns its directory and what it has printed.
func makeRelease(t *testing.T, settings ...string) (directory, output string) {
	t.Helper()
	directory = filepath.Join(t.TempDir(), "dist")
	output, err := hackRelease(t.Context(), []string{"--host-only", "--output", directory}, settings...)
	if err != nil {
		t.Fatalf("hack/release: %v\n%s", err, output)
	}
	return directory, output
}

// hackRelease runs it with settings, as NAME=VALUE, and returns what it has printed.
func hackRelease(ctx context.Context, arguments []string, settings ...string) (output string, err error) {
	command := exec.CommandContext(ctx, filepath.Join(repository, "hack/release"), arguments...)
	command.Env = append(os.Environ(), "VERSION="+version, "REGISTRY=", "RUNBOOKS=", "SOURCE=")
	command.Env = append(command.Env, settings...)
	var printed bytes.Buffer
	command.Stdout, command.Stderr = &printed, &printed
	err = command.Run()
	return printed.String(), err
}

// tool runs a program of the API server's tests, and returns its output.
func tool(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(os.Getenv(apiservertest.AssetsVariable), name), arguments...)
	var problems bytes.Buffer
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(arguments, " "), err, problems.String())
	}
	return string(output)
}

func read(t *testing.T, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
