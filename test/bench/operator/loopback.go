package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/test/apiservertest"
)

// loopback is an API server without kubelets, and the program of the operator, which sends its requests through a proxy
// that counts them. Servers on loopback addresses answer for the processes of pods.
type loopback struct {
	api      *apiservertest.Server
	admin    client.Client
	requests *requestLog
	operator *exec.Cmd
	metrics  string // the address of the operator's metrics
	log      bytes.Buffer
	dir      string
}

// startLoopback builds and starts everything. The caller must close what it returns, even after an error.
func startLoopback(ctx context.Context) (l *loopback, err error) {
	l = &loopback{}
	if l.dir, err = os.MkdirTemp("", "rosey-bench-"); err != nil {
		return l, fmt.Errorf("creating a directory: %w", err)
	}
	if apiservertest.Missing() != "" {
		assets, err := command(ctx, "hack/cluster/cluster", "bin")
		if err != nil {
			return l, err
		}
		if err := os.Setenv(apiservertest.AssetsVariable, assets); err != nil {
			return l, fmt.Errorf("setting %s: %w", apiservertest.AssetsVariable, err)
		}
	}
	program := filepath.Join(l.dir, "operator")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "rosey.dev/rosey/cmd/operator") //nolint:gosec // ours
	if output, err := build.CombinedOutput(); err != nil {
		return l, fmt.Errorf("building the operator: %w: %s", err, output)
	}
	scheme, err := controllers.NewScheme()
	if err != nil {
		return l, err
	}
	if err := l.startServer(ctx, scheme); err != nil {
		return l, err
	}
	return l, l.startOperator(ctx, program)
}

func (l *loopback) startServer(ctx context.Context, scheme *runtime.Scheme) (err error) {
	if l.api, err = apiservertest.Start(ctx, scheme); err != nil {
		return err
	}
	if l.admin, err = client.New(l.api.Admin, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	l.requests, err = startRequestLog(ctx, l.api.Operator)
	return err
}

// startOperator starts the operator as the chart does, and waits until its cache is complete.
func (l *loopback) startOperator(ctx context.Context, program string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["bench"] = &clientcmdapi.Cluster{Server: l.requests.url}
	config.Contexts["bench"] = &clientcmdapi.Context{Cluster: "bench"}
	config.CurrentContext = "bench"
	kubeconfig := filepath.Join(l.dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	var err error
	if l.metrics, err = freeAddress(ctx); err != nil {
		return err
	}
	//nolint:gosec // the operator
	l.operator = exec.CommandContext(ctx, program, "--kubeconfig", kubeconfig, "--runtime-image="+runtimeImage,
		"--leader-elect", "--namespace="+apiservertest.Namespace, "--metrics-bind-address="+l.metrics,
		"--health-probe-bind-address=127.0.0.1:0")
	l.operator.Stderr = &l.log
	if err := l.operator.Start(); err != nil {
		l.operator = nil
		return fmt.Errorf("starting the operator: %w", err)
	}
	return until(ctx, "the operator serves its metrics", func() (bool, error) {
		_, err := l.scrape(ctx)
		return err == nil, nil
	})
}

// close stops the operator and the API server.
func (l *loopback) close() (err error) {
	if l.operator != nil {
		err = errors.Join(l.operator.Process.Signal(syscall.SIGTERM), l.operator.Wait())
	}
	if err != nil {
		err = fmt.Errorf("stopping the operator: %w: %s", err, l.log.String())
	}
	if l.requests != nil {
		err = errors.Join(err, l.requests.close())
	}
	if l.api != nil {
		err = errors.Join(err, l.api.Stop())
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// scrape reads the metrics of the operator.
func (l *loopback) scrape(ctx context.Context) (figures, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.metrics+"/metrics", nil)
	if err != nil {
		return figures{}, fmt.Errorf("reading the operator's metrics: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return figures{}, fmt.Errorf("reading the operator's metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return figures{}, fmt.Errorf("reading the operator's metrics: %w", err)
	}
	return parseFigures(text)
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return listener.Addr().String(), errors.Join(listener.Close())
}
