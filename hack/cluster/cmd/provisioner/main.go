// Command provisioner gives every claim of the local cluster's StorageClass a directory on the node its pod was
// scheduled to, as a volume of kind local. It speaks to the API server with the kubeconfig it is given and ends on
// SIGTERM or SIGINT.
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

// provisionerName is what a StorageClass names in its field provisioner to get its volumes from here.
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
		return fmt.Errorf("making a client from kubeconfig %s: %w", kubeconfig, err)
	}
	controller.NewProvisionController(ctx, client, provisionerName, directories{root: root},
		controller.LeaderElection(false), // there is one of it, beside the control plane
		controller.MetricsPort(0),
	).Run(ctx)
	return nil
}
