// Package apiservertest runs a kube-apiserver and etcd with the operator's chart installed, for tests. Their binaries
// are in the directory that $KUBEBUILDER_ASSETS names. There is no kubelet, scheduler or controller manager: tests
// write what those would write.
package apiservertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// AssetsVariable is the environment variable with the directory of etcd, kube-apiserver, kubectl and helm.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// Missing returns the reason why no API server can be started, or "". Tests that are skipped call it themselves: the go
// command repeats a result without running the tests, and does not see which variables TestMain has read.
func Missing() string {
	if os.Getenv(AssetsVariable) == "" {
		return AssetsVariable + " is not set: expected the directory that `hack/cluster/cluster bin` prints"
	}
	return ""
}

// Run runs the tests of a package and returns their exit code, for its TestMain: by withServer and an API server, or
// alone if none can be started, so that each test is skipped. The arguments are those of Start.
func Run(
	m *testing.M, newScheme func() (*runtime.Scheme, error),
	withServer func(ctx context.Context, server *Server) (code int, err error), arguments ...string,
) (code int) {
	ctrl.SetLogger(logr.Discard())
	if Missing() != "" {
		return m.Run()
	}
	code, err := run(newScheme, withServer, arguments)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func run(
	newScheme func() (*runtime.Scheme, error), withServer func(context.Context, *Server) (int, error), arguments []string,
) (code int, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	scheme, err := newScheme()
	if err != nil {
		return 0, err
	}
	server, err := Start(ctx, scheme, arguments...)
	if err != nil {
		return 0, err
	}
	code, err = withServer(ctx, server)
	return code, errors.Join(err, server.Stop())
}

// Server is a running API server.
type Server struct {
	// Admin is the configuration of a client with all permissions.
	Admin *rest.Config
	// Operator is the configuration of a client with the permissions of the chart's ServiceAccount.
	Operator *rest.Config

	servers servers
}

// Start starts the API server and installs the chart. The arguments are additional arguments of `helm template`.
func Start(ctx context.Context, scheme *runtime.Scheme, arguments ...string) (*Server, error) {
	server, err := StartEmpty()
	if err != nil {
		return nil, err
	}
	if err := server.install(ctx, scheme, arguments); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server, nil
}

// StartEmpty is Start without the chart.
func StartEmpty() (*Server, error) {
	server := &Server{}
	environment := &server.servers.Environment
	// With this plugin, blockOwnerDeletion requires a permission, as in some distributions.
	environment.ControlPlane.GetAPIServer().Configure().
		Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement").
		// The default range has 254 addresses, and Services are not deleted, because there is no garbage collector.
		Set("service-cluster-ip-range", "10.0.0.0/16")
	admin, err := server.servers.start()
	if err != nil {
		return nil, err
	}
	admin.QPS = -1 // tests poll
	server.Admin, server.Operator = admin, impersonate(admin)
	return server, nil
}

// Stop stops the API server and etcd.
func (s *Server) Stop() error { return s.servers.stop() }

// AdminKubeconfig writes a kubeconfig with all permissions.
func (s *Server) AdminKubeconfig(path string) error {
	if err := os.WriteFile(path, s.servers.KubeConfig, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}

// OperatorKubeconfig writes a kubeconfig with the permissions of the chart's ServiceAccount.
func (s *Server) OperatorKubeconfig(path string) error {
	config, err := clientcmd.Load(s.servers.KubeConfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	for _, user := range config.AuthInfos {
		user.Impersonate = s.Operator.Impersonate.UserName
		user.ImpersonateGroups = s.Operator.Impersonate.Groups
	}
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}

func impersonate(admin *rest.Config) *rest.Config {
	operator := rest.CopyConfig(admin)
	operator.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + Namespace + ":" + Release,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + Namespace, "system:authenticated"},
	}
	return operator
}

func (s *Server) install(ctx context.Context, scheme *runtime.Scheme, arguments []string) error {
	objects, err := RenderChart(ctx, arguments...)
	if err != nil {
		return err
	}
	admin, err := client.New(s.Admin, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	for _, object := range append([]client.Object{operatorNamespace()}, objects...) {
		if err := admin.Create(ctx, object); err != nil {
			return fmt.Errorf("installing %T %s: %w", object, object.GetName(), err)
		}
	}
	return waitServed(ctx, admin)
}

// waitServed waits until the API server serves RoseyBots.
func waitServed(ctx context.Context, admin client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		_, err := admin.RESTMapper().RESTMapping(schema.GroupKind{Group: "rosey.dev", Kind: "RoseyBot"}, "v1alpha1")
		if err == nil {
			return nil
		}
		if !meta.IsNoMatchError(err) {
			return fmt.Errorf("looking up the resource of RoseyBot: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("RoseyBots are not served: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
