// Package e2e tests the product end to end, installed on a real cluster from the chart and the images of a release. It
// compares the CyTube server's own log with the rows in the bot's database.
//
// It needs ROSEY_E2E: "local-cluster" starts a cluster with hack/cluster, "processes" runs only the tests that need no
// cluster, and any other value is the path of a kubeconfig whose cluster has the images of the working tree, which are
// installed then, with its chart.
package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"rosey.dev/rosey/api/v1alpha1"
)

const (
	repository  = "../.."
	clusterName = "e2e"
	namespace   = "demo"
	// demoBot is the RoseyBot and the channel of config/samples/roseybot.yaml.
	demoBot = "movienight"
)

// cluster is shared by all tests.
var cluster struct {
	kubeconfig string
	local      bool // started by hack/cluster, so that its other commands can be used
	config     *rest.Config
	clientset  *kubernetes.Clientset
	client     client.Client
	release    string // its directory, removed at the end; empty if none is installed
	chart      string // what Helm installs: that of the repository, or the package of a release
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	defer func() { _ = os.RemoveAll(roseyPrograms) }()
	where := os.Getenv("ROSEY_E2E")
	if where == "" || where == "processes" {
		return m.Run() // tests that need a cluster say why they skip
	}
	cluster.local = where == "local-cluster"
	if cluster.local {
		defer func() {
			if err := demo("down", "--name", clusterName); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			_ = os.RemoveAll(cluster.release)
		}()
	}
	if err := start(where); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start installs the demo on the cluster of a kubeconfig, or, from a release, on a new local one that enforces
// NetworkPolicies.
func start(where string) error {
	arguments := []string{"up", "--seconds", "0", "--quiet-end"}
	if !cluster.local {
		cluster.kubeconfig, cluster.chart = where, "charts/rosey-operator"
		if err := demo(append(arguments, "--kubeconfig", where)...); err != nil {
			return err
		}
		return connect(where)
	}
	// A run that was killed may have left its cluster behind, in any state.
	if err := demo("down", "--name", clusterName); err != nil {
		return err
	}
	if _, err := localCluster("up", "--name", clusterName, "--network-policy"); err != nil {
		return err
	}
	if err := makeRelease(); err != nil {
		return err
	}
	if err := demo(append(arguments, "--name", clusterName, "--release", cluster.release)...); err != nil {
		return err
	}
	kubeconfig, err := localCluster("kubeconfig", "--name", clusterName)
	if err != nil {
		return err
	}
	cluster.kubeconfig = kubeconfig
	return connect(kubeconfig)
}

// makeRelease makes a release of the working tree, for this machine's processor.
func makeRelease() (err error) {
	if cluster.release, err = os.MkdirTemp("", "rosey-release-"); err != nil {
		return err
	}
	command := exec.Command(filepath.Join(repository, "hack/release"), "--host-only", "--output", cluster.release)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("making a release: %w", err)
	}
	charts, err := filepath.Glob(filepath.Join(cluster.release, "rosey-operator-*.tgz"))
	if err != nil || len(charts) != 1 {
		return fmt.Errorf("the release in %s has the charts %v, expected one", cluster.release, charts)
	}
	cluster.chart = charts[0]
	return nil
}

func demo(arguments ...string) error {
	command := exec.Command(filepath.Join(repository, "hack/demo/demo"), arguments...)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("demo %s: %w", strings.Join(arguments, " "), err)
	}
	return nil
}

// runInDirectory runs a program of the repository in one of its directories.
func runInDirectory(directory, name string, arguments ...string) error {
	program, err := filepath.Abs(filepath.Join(repository, name))
	if err != nil {
		return err
	}
	command := exec.Command(program, arguments...)
	command.Dir = filepath.Join(repository, directory)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, out)
	}
	return nil
}

// localCluster runs a command of hack/cluster and returns its output.
func localCluster(arguments ...string) (string, error) {
	command := exec.Command(filepath.Join(repository, "hack/cluster/cluster"), arguments...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("cluster %s: %w: %s", strings.Join(arguments, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

func connect(kubeconfig string) error {
	log.SetLogger(logr.Discard())
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading %s: %w", kubeconfig, err)
	}
	config.QPS, config.Burst = 100, 200
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	cluster.config = config
	if cluster.clientset, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("creating a clientset: %w", err)
	}
	if cluster.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	return nil
}

// needLocalCluster skips a test unless the cluster is a local one. Tests call it that add nodes or images, or need
// enforced NetworkPolicies.
func needLocalCluster(t *testing.T) {
	t.Helper()
	needCluster(t)
	if !cluster.local {
		t.Skip("needs a cluster of hack/cluster: set ROSEY_E2E to local-cluster")
	}
}

// needCluster skips a test if there is no cluster, and says how to provide one.
func needCluster(t *testing.T) {
	t.Helper()
	if cluster.client == nil {
		t.Skip("needs a cluster: set ROSEY_E2E to local-cluster, or to the path of a kubeconfig")
	}
}
