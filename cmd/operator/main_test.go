package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/apiservertest"
	"rosey.dev/rosey/test/logtest"
	"rosey.dev/rosey/test/porttest"
)

func TestInvalidArgumentsAreReportedInOneLine(t *testing.T) {
	t.Setenv(imageVariable, "")
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "absent"))
	image := "--runtime-image=rosey:v1"
	tests := map[string]struct {
		args []string
		want string
	}{
		"no image":     {nil, "--runtime-image or $ROSEY_IMAGE is required"},
		"unknown flag": {[]string{"--nope"}, "-nope"},
		"no updates": {
			[]string{image, "--automatic-updates-max-concurrent=0"},
			"--automatic-updates-max-concurrent is 0: expected at least 1",
		},
		"no time": {
			[]string{image, "--automatic-updates-deadline=0s"},
			"--automatic-updates-deadline is 0s: expected more than 0",
		},
		"argument":      {[]string{image, "now"}, `unexpected argument "now"`},
		"log level":     {[]string{image, "--log-level=loud"}, `invalid value "loud" for flag -log-level`},
		"metrics label": {[]string{image, "--metrics-from=team"}, `invalid value "team" for flag -metrics-from`},
		"connections": {[]string{image, "--cytube-connections=many"},
			`invalid value "many" for flag -cytube-connections: expected a number above 0`},
		"connections of a server": {[]string{image, "--cytube-connections=cytu.be=5"}, "http(s)://HOST[:PORT]=NUMBER"},
		"no connections":          {[]string{image, "--cytube-connections=https://cytu.be=0"}, "a number above 0"},
		"no Kubernetes":           {[]string{image}, "finding the configuration of the Kubernetes API"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var output bytes.Buffer
			err := run(t.Context(), test.args, io.Discard, &output)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want one line with %q", err, test.want)
			}
			if output.Len() > 0 {
				t.Errorf("unexpected output: %s", output.String())
			}
		})
	}
}

func TestLabelOfNamespacesThatScrapeMetrics(t *testing.T) {
	parsed, err := parseFlags([]string{"--runtime-image=rosey:v1", "--metrics-from=example.org/team=watches"}, io.Discard)
	if err != nil || !maps.Equal(parsed.metricsLabels, map[string]string{"example.org/team": "watches"}) {
		t.Errorf("labels are %v: %v", parsed.metricsLabels, err)
	}
}

func TestFilesOfTelemetry(t *testing.T) {
	parsed, err := parseFlags([]string{
		"--runtime-image=rosey:v1", "--telemetry-headers-file=/a/headers", "--telemetry-tls-dir=/b",
	}, io.Discard)
	if err != nil || parsed.telemetry.HeadersFile != "/a/headers" || parsed.telemetry.TLSDir != "/b" {
		t.Errorf("settings are %+v: %v", parsed.telemetry, err)
	}
}

func TestHelpAndVersion(t *testing.T) {
	var help, version bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, io.Discard, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("help: %v", err)
	}
	if !strings.Contains(help.String(), "-watch-namespaces") {
		t.Errorf("help is %q", help.String())
	}
	if err := run(t.Context(), []string{"--version"}, &version, io.Discard); err != nil {
		t.Error(err)
	}
	if got := version.String(); got != status.BuildVersion("")+"\n" {
		t.Errorf("version is %q", got)
	}
}

// A fault of the operator must not take the API server for itself alone. All clients share the limit.
func TestRequestsToTheAPIServerAreLimited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["local"] = &clientcmdapi.Cluster{Server: "http://127.0.0.1:1"}
	kubeconfig.Contexts["local"] = &clientcmdapi.Context{Cluster: "local"}
	kubeconfig.CurrentContext = "local"
	if err := clientcmd.WriteToFile(*kubeconfig, path); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", path)
	config, err := kubernetesConfig()
	if err != nil {
		t.Fatal(err)
	}
	if config.RateLimiter == nil {
		t.Fatal("there is no limit that clients share")
	}
	accepted := 0
	for accepted < 100*maxRequestBurst && config.RateLimiter.TryAccept() {
		accepted++
	}
	if accepted < maxRequestBurst || accepted >= 100*maxRequestBurst {
		t.Errorf("%d requests were accepted at once, want about %d", accepted, maxRequestBurst)
	}
	if rate := config.RateLimiter.QPS(); rate != maxRequestRate {
		t.Errorf("%v requests per second are accepted, want %v", rate, maxRequestRate)
	}
}

// checkConnections opens more connections than a server keeps, and checks that it closes the first and still serves a
// page: idle connections must neither add up nor keep the kubelet out.
func checkConnections(t *testing.T, page string) {
	t.Helper()
	address, _, _ := strings.Cut(page, "/")
	var first net.Conn
	for range 1000 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if first == nil {
			first = conn
		}
	}
	// Sooner than connections that send nothing are closed anyway.
	if err := first.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the first of 1000 idle connections to %s: %v", address, err)
	}
	if err := responds(t.Context(), "http://"+page); err != nil {
		t.Errorf("%s beside 1000 idle connections: %v", page, err)
	}
}

// checkForeignHost checks that a page which a browser loaded from a name that points to the loopback address reads
// nothing of the operator behind a port-forward.
func checkForeignHost(t *testing.T, page string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+page, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "attacker.example"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("%s for a foreign host: status %d, want %d", page, response.StatusCode, http.StatusMisdirectedRequest)
	}
}

// With the permissions of the chart's ServiceAccount, the program serves health checks and metrics, watches only the
// given namespaces, and releases its Lease when it ends. A receiver of traces that does not respond delays nothing.
func TestRun(t *testing.T) {
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
	admin := startServer(t)
	for _, name := range []string{"watched", "other"} {
		create(t, admin, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		create(t, admin, &v1alpha1.RoseyBot{
			ObjectMeta: metav1.ObjectMeta{Name: "movienight", Namespace: name},
			Spec: v1alpha1.RoseyBotSpec{
				Channel: v1alpha1.Channel{Name: "movienight"}, NATS: &v1alpha1.NATS{URL: "nats://n:4222"},
			},
		})
	}
	receiver, release := startReceiver(t)
	log := &logtest.Buffer{}
	health, metrics := porttest.FreeAddress(t), porttest.FreeAddress(t)
	lease := holdLease(t, admin)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	defer func() { // also of a test that fails, which would leave the API server running
		stop()
		for range ended {
		}
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	go func() {
		defer close(ended)
		ended <- run(ctx, []string{
			"--runtime-image=rosey:v1", "--watch-namespaces=watched", "--leader-elect",
			"--namespace=" + apiservertest.Namespace,
			"--health-probe-bind-address=" + health, "--metrics-bind-address=" + metrics,
		}, io.Discard, log)
	}()
	for _, page := range []string{health + "/healthz", health + "/readyz", metrics + "/metrics"} {
		eventually(t, page, func(ctx context.Context) error { return responds(ctx, "http://"+page) })
	}
	for _, page := range []string{health + "/healthz", metrics + "/metrics"} {
		checkForeignHost(t, page)
		checkConnections(t, page)
	}
	// Of several replicas only the leader exports the metrics of RoseyBots: otherwise they would add up.
	eventually(t, "the election, which begins when the cache is filled", func(ctx context.Context) error {
		return serves(ctx, "http://"+metrics+"/metrics", `leader_election_master_status{name="rosey-operator"} 0`)
	})
	if err := serves(ctx, "http://"+metrics+"/metrics", "roseybot_info"); err == nil {
		t.Error("a replica that is not the leader exports the metrics of RoseyBots")
	}
	if err := admin.Delete(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bot's configuration", func(ctx context.Context) error {
		key := client.ObjectKey{Namespace: "watched", Name: "movienight-config"}
		return admin.Get(ctx, key, &corev1.ConfigMap{})
	})
	eventually(t, "metrics about the bot", func(ctx context.Context) error {
		return serves(ctx, "http://"+metrics+"/metrics", `roseybot_info{channel="movienight",name="movienight"`)
	})
	if holder := leader(t, admin); holder == "" {
		t.Error("the Lease has no holder")
	}
	runPod(t, admin, "watched")
	release()
	checkTraces(t, receiver)
	hang(t, admin, receiver)
	eventually(t, "the error of a reconcile, with its trace", func(context.Context) error {
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, `"msg":"Reconciler error"`) && strings.Contains(line, `"trace_id":"`) &&
				strings.Contains(line, `"namespace":"watched","name":"movienight"`) {
				return nil
			}
		}
		return errors.New("the log has no trace_id with an error")
	})
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run returned: %v", err)
	}
	if holder := leader(t, admin); holder != "" {
		t.Errorf("%s still holds the Lease", holder)
	}
	key := client.ObjectKey{Namespace: "other", Name: "movienight-config"}
	if err := admin.Get(t.Context(), key, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
		t.Errorf("ConfigMap in a namespace that is not watched: %v, want none", err)
	}
}

func startServer(t *testing.T, arguments ...string) client.Client {
	t.Helper()
	scheme, err := controllers.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	server, err := apiservertest.Start(t.Context(), scheme, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := server.OperatorKubeconfig(kubeconfig); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	admin, err := client.New(server.Admin, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return admin
}

// holdLease makes another replica the leader.
func holdLease(t *testing.T, admin client.Client) *coordinationv1.Lease {
	t.Helper()
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: apiservertest.Namespace, Name: "rosey-operator"},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: new("other"), LeaseDurationSeconds: new(int32(3600)),
			AcquireTime: new(metav1.NowMicro()), RenewTime: new(metav1.NowMicro()),
		},
	}
	create(t, admin, lease)
	return lease
}

func create(t *testing.T, admin client.Client, object client.Object) {
	t.Helper()
	if err := admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

func leader(t *testing.T, admin client.Client) string {
	t.Helper()
	lease := &coordinationv1.Lease{}
	key := client.ObjectKey{Namespace: apiservertest.Namespace, Name: "rosey-operator"}
	if err := admin.Get(t.Context(), key, lease); err != nil {
		t.Fatal(err)
	}
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}

func responds(ctx context.Context, url string) error { return serves(ctx, url, "") }

// serves returns an error unless a page contains a text.
func serves(ctx context.Context, url, want string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	page, err := io.ReadAll(response.Body)
	if err == nil && !strings.Contains(string(page), want) {
		err = fmt.Errorf("%s has no %s", url, want)
	}
	return err
}

func eventually(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
