package rollouts

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/test/apiservertest"
	"rosey.dev/rosey/test/porttest"
)

const operatorImage = "rosey.example/rosey:operator"

// rig is one cluster for all tests. Each RoseyBot has a namespace of its own.
var rig struct {
	admin client.WithWatch
}

func TestMain(m *testing.M) {
	os.Exit(apiservertest.Run(m, controllers.NewScheme, func(ctx context.Context, s *apiservertest.Server) (int, error) {
		return runWithCluster(ctx, m, s)
	}))
}

func runWithCluster(ctx context.Context, m *testing.M, server *apiservertest.Server) (code int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	scheme, err := controllers.NewScheme()
	if err != nil {
		return 0, err
	}
	if rig.admin, err = client.NewWithWatch(server.Admin, client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	clientset, err := kubernetes.NewForConfig(server.Admin)
	if err != nil {
		return 0, err
	}
	port, release, err := porttest.Reserve() // the simulated pods listen on it, each at an address of its own
	if err != nil {
		return 0, err
	}
	defer release()
	stopControllers, err := startControllers(server)
	if err != nil {
		return 0, err
	}
	defer stopControllers()
	parts.Go(func() { newKubelet(clientset, rig.admin, port).run(ctx) })
	manager, err := ctrl.NewManager(server.Operator, ctrl.Options{
		Scheme: scheme, Cache: controllers.CacheOptions(nil), Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return 0, err
	}
	operator := controllers.New(manager, manifests.Params{Image: operatorImage}, port)
	if err := operator.SetupWithManager(ctx, manager); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	code = m.Run()
	cancel()
	return code, <-ended
}

// startControllers runs the controllers of Deployments, ReplicaSets and autoscalers, and the garbage collector.
func startControllers(server *apiservertest.Server) (stop func(), err error) {
	directory, err := os.MkdirTemp("", "rosey-rollouts-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(directory)
		}
	}()
	kubeconfig := filepath.Join(directory, "kubeconfig")
	if err := server.AdminKubeconfig(kubeconfig); err != nil {
		return nil, err
	}
	program := filepath.Join(os.Getenv(apiservertest.AssetsVariable), "kube-controller-manager")
	process := exec.Command(program, "--kubeconfig="+kubeconfig, "--leader-elect=false", "--secure-port=0",
		"--controllers=deployment-controller,replicaset-controller,horizontal-pod-autoscaler-controller,"+
			"garbage-collector-controller", "--kube-api-qps=500", "--kube-api-burst=1000",
		"--horizontal-pod-autoscaler-sync-period=1s", "--concurrent-deployment-syncs=10",
		"--concurrent-replicaset-syncs=10")
	output := &bytes.Buffer{}
	process.Stdout, process.Stderr = output, output
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also if the tests are killed
	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	return func() {
		if err := process.Process.Signal(os.Interrupt); err != nil {
			fmt.Fprintf(os.Stderr, "kube-controller-manager ended early: %v\n%s", err, output)
		}
		_ = process.Wait() // it was interrupted
		_ = os.RemoveAll(directory)
	}, nil
}
