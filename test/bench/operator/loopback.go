package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	"rosey.dev/rosey/test/porttest"
)

// loopback is an API server without kubelets, and the program of the operator, which sends its requests through a proxy
// that counts them. Servers on loopback addresses answer for the processes of pods.
type loopback struct {
	api      *apiservertest.Server
	admin    client.Client
	requests *requestLog
	operator *exec.Cmd
	program  string // the operator's
	metrics  string // the address of the operator's metrics
	profiles string // the address of its profiles
	// samplesHeap is set if profiles of the heap have to be exact, which makes the operator slower.
	samplesHeap bool
	log         bytes.Buffer
	dir         string
	releases    []func() // of the ports
}

// startLoopback builds and starts everything, and returns when the operator reconciles RoseyBots. The caller must close
// what it returns, even after an error.
func startLoopback(ctx context.Context, samplesHeap bool) (l *loopback, err error) {
	l = &loopback{samplesHeap: samplesHeap}
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
	if l.program = builtOperator; l.program == "" {
		if l.program, err = buildOperator(ctx, l.dir); err != nil {
			return l, err
		}
	}
	scheme, err := controllers.NewScheme()
	if err != nil {
		return l, err
	}
	if err := l.startServer(ctx, scheme); err != nil {
		return l, err
	}
	if err := l.startOperator(ctx); err != nil {
		return l, err
	}
	return l, l.awaitReconcile(ctx)
}

// awaitReconcile waits until the operator has reconciled a RoseyBot, which is deleted again: an operator waits for its
// caches when it starts.
func (l *loopback) awaitReconcile(ctx context.Context) error {
	const namespace = "first"
	if err := createNamespace(ctx, l.admin, namespace); err != nil {
		return err
	}
	bot := newBot(namespace, "first")
	bot.Spec.Suspend = new(true)
	if err := l.admin.Create(ctx, bot); err != nil {
		return fmt.Errorf("creating the first RoseyBot: %w", err)
	}
	err := until(ctx, "the operator reconciles", func() (bool, error) {
		now, err := l.scrape(ctx)
		return now.reconciles > 0, err
	})
	if err != nil {
		return err
	}
	if err := l.admin.Delete(ctx, bot); err != nil {
		return fmt.Errorf("deleting the first RoseyBot: %w", err)
	}
	return nil
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
func (l *loopback) startOperator(ctx context.Context) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["bench"] = &clientcmdapi.Cluster{Server: l.requests.url}
	config.Contexts["bench"] = &clientcmdapi.Context{Cluster: "bench"}
	config.CurrentContext = "bench"
	kubeconfig := filepath.Join(l.dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	for _, address := range []*string{&l.metrics, &l.profiles} {
		port, release, err := porttest.Reserve()
		if err != nil {
			return fmt.Errorf("finding a port for the operator: %w", err)
		}
		*address, l.releases = porttest.Address(port), append(l.releases, release)
	}
	// All RoseyBots use one CyTube server.
	//nolint:gosec // the operator
	l.operator = exec.CommandContext(context.WithoutCancel(ctx), l.program, "--kubeconfig", kubeconfig,
		"--runtime-image="+runtimeImage,
		"--leader-elect", "--namespace="+apiservertest.Namespace, "--metrics-bind-address="+l.metrics,
		"--health-probe-bind-address=127.0.0.1:0", "--cytube-connections=100000")
	l.operator.Env = append(os.Environ(), "ROSEY_BENCH_PROFILE="+l.profiles)
	if l.samplesHeap {
		l.operator.Env = append(l.operator.Env, "ROSEY_BENCH_HEAP_RATE=4096")
	}
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

// stopOperator ends the operator as Kubernetes does.
func (l *loopback) stopOperator() error {
	if l.operator == nil {
		return nil
	}
	err := errors.Join(l.operator.Process.Signal(syscall.SIGTERM), l.operator.Wait())
	l.operator = nil
	if err != nil {
		return fmt.Errorf("stopping the operator: %w: %s", err, lastBytes(&l.log))
	}
	return nil
}

// lastBytes returns the end of a log, which says why a program has ended.
func lastBytes(log *bytes.Buffer) string {
	const most = 2000
	text := log.String()
	return text[max(0, len(text)-most):]
}

// close stops the operator and the API server.
func (l *loopback) close() (err error) {
	err = l.stopOperator()
	if l.requests != nil {
		err = errors.Join(err, l.requests.close())
	}
	if l.api != nil {
		err = errors.Join(err, l.api.Stop())
	}
	for _, release := range l.releases {
		release()
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// scrape reads the metrics of the operator.
func (l *loopback) scrape(ctx context.Context) (figures, error) {
	text, err := ask(ctx, http.MethodGet, "http://"+l.metrics+"/metrics")
	if err != nil {
		return figures{}, err
	}
	return parseFigures(text)
}

// ask sends a request to the operator.
func ask(ctx context.Context, method, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the operator: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the operator: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	if err != nil {
		return nil, fmt.Errorf("asking the operator for %s: %w", url, err)
	}
	return body, nil
}
