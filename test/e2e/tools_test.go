package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	release           = "rosey-operator"
	operatorNamespace = "rosey-system"
)

// programs returns the directory with kubectl and helm.
var programs = sync.OnceValues(func() (string, error) { return localCluster("bin") })

// roseyPrograms is the directory with rosey and kubectl's plugin, removed at the end; empty if no test needs them.
var roseyPrograms string

// roseyProgram returns the directory with rosey and kubectl's plugin, which documents use outside of the cluster.
var roseyProgram = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "rosey-e2e-"); err != nil {
		return "", err
	}
	roseyPrograms = dir
	command := exec.Command("go", "build", "-o", dir, "./cmd/rosey", "./cmd/kubectl-rosey")
	command.Dir = repository
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building rosey: %w\n%s", err, out)
	}
	return dir, nil
})

// kubectl runs a command in the demo's namespace.
func kubectl(t *testing.T, arguments ...string) {
	t.Helper()
	kubectlWith(t, "", arguments...)
}

// kubectlWith runs a command with input as its standard input.
func kubectlWith(t *testing.T, input string, arguments ...string) {
	t.Helper()
	if _, err := tool(t, "kubectl", input, append([]string{"--namespace", namespace}, arguments...)...); err != nil {
		t.Fatal(err)
	}
}

func helm(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := tool(t, "helm", "", append([]string{"--namespace", operatorNamespace}, arguments...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tool runs kubectl or helm in the repository's directory. An error includes the program's standard error.
func tool(t *testing.T, name, input string, arguments ...string) (string, error) {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), filepath.Join(bin, name), arguments...)
	command.Dir = repository
	command.Env = append(os.Environ(), "KUBECONFIG="+cluster.kubeconfig)
	command.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// runLocalCluster runs a command of hack/cluster for the tests' cluster.
func runLocalCluster(t *testing.T, verb string, arguments ...string) {
	t.Helper()
	arguments = append([]string{verb, "--name", clusterName}, arguments...)
	if _, err := localCluster(arguments...); err != nil {
		t.Fatal(err)
	}
}

// createNamespace creates a namespace that enforces the restricted Pod Security Standard, and removes it when the test
// ends.
func createNamespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted",
	}}}
	maps.Copy(space.Labels, labels)
	if err := cluster.client.Create(t.Context(), space); err != nil {
		t.Fatalf("creating namespace %s: %v", name, err)
	}
	removeAtEnd(t, name)
}

// removeAtEnd removes a namespace when the test ends.
func removeAtEnd(t *testing.T, name string) {
	t.Helper()
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's context has ended
		defer cancel()
		if err := cluster.client.Delete(ctx, space); client.IgnoreNotFound(err) != nil {
			t.Errorf("deleting namespace %s: %v", name, err)
		}
	})
}
