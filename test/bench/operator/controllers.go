package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"rosey.dev/rosey/test/apiservertest"
)

// controllerManager is a kube-controller-manager with the controllers that a RoseyBot's objects need.
type controllerManager struct {
	process *exec.Cmd
	log     bytes.Buffer
}

// startControllerManager starts the controllers. dir is a directory for its kubeconfig.
func startControllerManager(ctx context.Context, api *apiservertest.Server, dir string) (*controllerManager, error) {
	kubeconfig := filepath.Join(dir, "controllers.kubeconfig")
	if err := api.AdminKubeconfig(kubeconfig); err != nil {
		return nil, fmt.Errorf("starting the controllers: %w", err)
	}
	program := filepath.Join(os.Getenv(apiservertest.AssetsVariable), "kube-controller-manager")
	m := &controllerManager{}
	//nolint:gosec // the program of the local cluster, with its settings
	m.process = exec.CommandContext(context.WithoutCancel(ctx), program, "--kubeconfig="+kubeconfig,
		"--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000",
		"--controllers=deployment-controller,replicaset-controller,namespace-controller,garbage-collector-controller,"+
			"persistentvolumeclaim-protection-controller,resourcequota-controller",
		"--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20", "--concurrent-namespace-syncs=4")
	m.process.Stdout, m.process.Stderr = &m.log, &m.log
	if err := m.process.Start(); err != nil {
		return nil, fmt.Errorf("starting the controllers: %w", err)
	}
	return m, nil
}

func (m *controllerManager) close() error {
	timeout := time.AfterFunc(10*time.Second, func() { _ = m.process.Process.Kill() })
	defer timeout.Stop()
	err := m.process.Process.Signal(syscall.SIGINT)
	var ended *exec.ExitError
	if wait := m.process.Wait(); !errors.As(wait, &ended) { // its exit code says that it was interrupted
		err = errors.Join(err, wait)
	}
	if err != nil {
		return fmt.Errorf("stopping the controllers: %w: %s", err, lastBytes(&m.log))
	}
	return nil
}
