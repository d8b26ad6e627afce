package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

const (
	clusterName       = "bench-operator"
	operatorNamespace = "rosey-system"
	operatorImage     = "rosey.local/operator:bench"
	simulatedNodes    = "2"
)

// cluster is a local one with simulated nodes and the operator.
type cluster struct {
	client    client.Client
	clientset *kubernetes.Clientset
	bin       string
	config    string
}

// startCluster boots it, and takes it down again if it does not come to an end.
func startCluster(ctx context.Context) (_ *cluster, err error) {
	c := &cluster{}
	defer func() {
		if err != nil {
			c.down(ctx)
		}
	}()
	c.down(ctx) // what an earlier run left
	if _, err := verb(ctx, "up"); err != nil {
		return nil, err
	}
	if _, err := verb(ctx, "simulate-nodes", simulatedNodes); err != nil {
		return nil, err
	}
	if c.config, err = verb(ctx, "kubeconfig"); err != nil {
		return nil, err
	}
	if c.bin, err = command(ctx, "hack/cluster/cluster", "bin"); err != nil {
		return nil, err
	}
	if err := c.connect(); err != nil {
		return nil, err
	}
	return c, c.install(ctx)
}

func (c *cluster) down(ctx context.Context) {
	// The measurement may have been interrupted: what was started is removed all the same.
	if _, err := verb(context.WithoutCancel(ctx), "down"); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// connect makes a client that is not slowed down by itself.
func (c *cluster) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.config)
	if err != nil {
		return fmt.Errorf("reading kubeconfig: %w", err)
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return fmt.Errorf("making a scheme: %w", err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("making a scheme: %w", err)
	}
	if c.clientset, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("making a clientset: %w", err)
	}
	if c.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

// install puts the operator on the real node, by its chart, with room for its memory to be seen.
func (c *cluster) install(ctx context.Context) error {
	directory, err := os.MkdirTemp("", "rosey-bench-")
	if err != nil {
		return fmt.Errorf("making a directory for the image: %w", err)
	}
	defer func() { _ = os.RemoveAll(directory) }()
	image := filepath.Join(directory, "operator.tar")
	if _, err := command(ctx, "hack/cluster/cluster",
		"image", "--name-tag", operatorImage, "--output", image, "./cmd/operator"); err != nil {
		return err
	}
	if _, err := verb(ctx, "load-image", image); err != nil {
		return err
	}
	name, tag, _ := strings.Cut(operatorImage, ":")
	_, err = command(ctx, filepath.Join(c.bin, "helm"), "--kubeconfig", c.config, "install", "rosey-operator",
		"charts/rosey-operator", "--namespace", operatorNamespace, "--create-namespace", "--wait",
		"--set", "image.repository="+name+",image.tag="+tag,
		"--set", "runtime.image=rosey.local/rosey:bench",
		"--set", "resources.limits.memory=1Gi")
	return err
}

// verb runs a verb of hack/cluster for this cluster, and returns what it prints.
func verb(ctx context.Context, name string, arguments ...string) (string, error) {
	return command(ctx, "hack/cluster/cluster", append([]string{name, "--name", clusterName}, arguments...)...)
}

// command runs a program in the repository's folder, where make starts this one.
func command(ctx context.Context, name string, arguments ...string) (string, error) {
	//nolint:gosec // the programs are ours
	process := exec.CommandContext(ctx, name, arguments...)
	var stdout, stderr bytes.Buffer
	process.Stdout, process.Stderr = &stdout, &stderr
	if err := process.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}
