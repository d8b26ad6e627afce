package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What `make images` pushes can be pulled and runs, and what it prints installs the chart with it.
func TestImagesInARegistry(t *testing.T) {
	if os.Getenv("ROSEY_E2E") == "" || runtime.GOOS != "linux" {
		t.Skip("builds images, which needs Linux: set ROSEY_E2E to run it")
	}
	t.Parallel()
	registry := startRegistry(t)
	build := exec.Command(filepath.Join(repository, "hack/images.sh"))
	build.Env = append(os.Environ(), "REGISTRY="+registry+"/me", "TAG=pushed", "OUTPUT="+t.TempDir())
	output, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("building and pushing: %v\n%s", err, output)
	}
	want := fmt.Sprintf("image.repository=%[1]s/me/operator,image.tag=pushed,runtime.image=%[1]s/me/rosey:pushed",
		registry)
	if !strings.Contains(string(output), want) {
		t.Errorf("the command that installs the chart has no %s:\n%s", want, output)
	}
	for _, name := range []string{"rosey", "operator"} {
		help, err := exec.Command(pullProgram(t, registry+"/me/"+name+":pushed", name), "--help").CombinedOutput()
		if err != nil {
			t.Errorf("the program of the image %s: %v\n%s", name, err, help)
		}
	}
}

// startRegistry starts an empty registry on loopback and returns its address.
func startRegistry(t *testing.T) string {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close() // the registry has to listen itself
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	command := exec.CommandContext(ctx, filepath.Join(repository, "hack/cluster/cluster"),
		"crane", "registry", "serve", "--address", address)
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
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
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

// pullProgram pulls an image, takes a program out of it and returns the program's path.
func pullProgram(t *testing.T, image, name string) string {
	t.Helper()
	directory := t.TempDir()
	script := exec.Command("bash", "-c", `set -euo pipefail
		hack/cluster/cluster crane export "$1" - | tar --extract --directory "$2"`, "bash", image, directory)
	script.Dir = repository
	if output, err := script.CombinedOutput(); err != nil {
		t.Fatalf("pulling %s: %v\n%s", image, err, output)
	}
	return filepath.Join(directory, "bin", name)
}
