package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"rosey.dev/rosey/test/registry"
)

// What `make images` pushes can be pulled and runs, and what it prints installs the chart with it.
func TestImagesInARegistry(t *testing.T) {
	if os.Getenv("ROSEY_E2E") == "" || runtime.GOOS != "linux" {
		t.Skip("builds images, which needs Linux: set ROSEY_E2E to run it")
	}
	t.Parallel()
	address := registry.Start(t)
	build := exec.Command(filepath.Join(repository, "hack/images.sh"))
	build.Env = append(os.Environ(), "REGISTRY="+address+"/me", "TAG=pushed", "OUTPUT="+t.TempDir())
	output, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("building and pushing: %v\n%s", err, output)
	}
	want := fmt.Sprintf("image.repository=%[1]s/me/operator,image.tag=pushed,runtime.image=%[1]s/me/rosey:pushed",
		address)
	if !strings.Contains(string(output), want) {
		t.Errorf("the command that installs the chart has no %s:\n%s", want, output)
	}
	for _, name := range []string{"rosey", "operator"} {
		help, err := exec.Command(pullProgram(t, address+"/me/"+name+":pushed", name), "--help").CombinedOutput()
		if err != nil {
			t.Errorf("the program of the image %s: %v\n%s", name, err, help)
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
