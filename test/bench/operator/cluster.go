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
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

const (
	clusterName       = "bench-operator"
	operatorNamespace = "rosey-system"
	operatorImage     = "rosey.local/operator:bench"
	runtimeImage      = "rosey.local/rosey:bench"
	simulatedNodes    = "2"
)

// cluster is a local cluster with simulated nodes and the operator.
type cluster struct {
	client    client.Client
	clientset *kubernetes.Clientset
	seen      *observer
	bin       string
	config    string
	rest      *rest.Config
}

// startCluster starts the cluster, and removes it again if that fails.
func startCluster(ctx context.Context) (_ *cluster, err error) {
	c := &cluster{}
	defer func() {
		if err != nil {
			c.down(ctx)
		}
	}()
	c.down(ctx) // an earlier run may have left it
	if _, err := clusterCommand(ctx, "up"); err != nil {
		return nil, err
	}
	if _, err := clusterCommand(ctx, "simulate-nodes", simulatedNodes); err != nil {
		return nil, err
	}
	if c.config, err = clusterCommand(ctx, "kubeconfig"); err != nil {
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
	if c.seen != nil {
		c.seen.close()
	}
	// Remove the cluster also after an interruption.
	if _, err := clusterCommand(context.WithoutCancel(ctx), "down"); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// connect creates clients without rate limits.
func (c *cluster) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.config)
	if err != nil {
		return fmt.Errorf("reading kubeconfig: %w", err)
	}
	config.QPS = -1
	c.rest = config
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return fmt.Errorf("creating a scheme: %w", err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("creating a scheme: %w", err)
	}
	if c.clientset, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("creating a clientset: %w", err)
	}
	if c.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	return nil
}

// system returns the cluster with the operator, which must be installed: RoseyBots are watched too.
func (c *cluster) system(ctx context.Context) (_ system, err error) {
	c.seen, err = startObserver(ctx, c.rest, c.client.Scheme(), nil)
	return system{c.client, c.seen, c.scrape, c.restart}, err
}

// restart replaces the operator's pod.
func (c *cluster) restart(ctx context.Context) error {
	_, err := command(ctx, filepath.Join(c.bin, "kubectl"), "--kubeconfig", c.config, "--namespace", operatorNamespace,
		"delete", "pod", "--selector", operatorLabel, "--wait")
	return err
}

// install installs the operator with its chart on the real node. The memory limit is high enough to measure the usage.
func (c *cluster) install(ctx context.Context) error {
	directory, err := os.MkdirTemp("", "rosey-bench-")
	if err != nil {
		return fmt.Errorf("creating a directory for the image: %w", err)
	}
	defer func() { _ = os.RemoveAll(directory) }()
	image := filepath.Join(directory, "operator.tar")
	if _, err := command(ctx, "hack/cluster/cluster",
		"image", "--name-tag", operatorImage, "--output", image, "./cmd/operator"); err != nil {
		return err
	}
	if _, err := clusterCommand(ctx, "load-image", image); err != nil {
		return err
	}
	name, tag, _ := strings.Cut(operatorImage, ":")
	_, err = command(ctx, filepath.Join(c.bin, "helm"), "--kubeconfig", c.config, "install", "rosey-operator",
		"charts/rosey-operator", "--namespace", operatorNamespace, "--create-namespace", "--wait",
		"--set-string", "image.repository="+name+",image.tag="+tag,
		"--set-string", "runtime.image="+runtimeImage,
		"--set", "resources.limits.memory=1Gi", "--set", "cytube.connections=100000")
	return err
}

// clusterCommand runs a command of hack/cluster for this cluster, and returns its output.
func clusterCommand(ctx context.Context, name string, arguments ...string) (string, error) {
	return command(ctx, "hack/cluster/cluster", append([]string{name, "--name", clusterName}, arguments...)...)
}

// command runs a program in the current directory, which is the repository's.
func command(ctx context.Context, name string, arguments ...string) (string, error) {
	//nolint:gosec // programs of the repository and the cluster
	process := exec.CommandContext(ctx, name, arguments...)
	var stdout, stderr bytes.Buffer
	process.Stdout, process.Stderr = &stdout, &stderr
	if err := process.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}
