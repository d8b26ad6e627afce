// Command provisioner provisions a local volume for every claim of the local cluster's StorageClass: a directory on the
// node to which the claim's pod was scheduled. It runs until SIGTERM or SIGINT.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisionerName is the value of a StorageClass's field provisioner that selects this program.
const provisionerName = "rosey.local/directory"

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig `file` of the cluster (required)")
	root := flag.String("root", "", "`directory` that holds one directory for each volume (required)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *kubeconfig, *root); err != nil {
		fmt.Fprintln(os.Stderr, "provisioner:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, root string) error {
	if kubeconfig == "" || root == "" {
		return errors.New("both -kubeconfig and -root are needed")
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading kubeconfig %s: %w", kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("creating a client from kubeconfig %s: %w", kubeconfig, err)
	}
	controller.NewProvisionController(ctx, client, provisionerName, directories{root: root},
		controller.LeaderElection(false), // only one runs, beside the control plane
		controller.MetricsPort(0),
	).Run(ctx)
	return nil
}
