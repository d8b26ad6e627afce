// Package apiservertest starts a real etcd and kube-apiserver with the operator's chart installed, for tests.
package apiservertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// AssetsVariable names the folder with etcd, kube-apiserver and helm.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// Missing says why there can be no API server, or nothing.
func Missing() string {
	if os.Getenv(AssetsVariable) == "" {
		return AssetsVariable + " is not set: expected the folder that `hack/cluster/cluster bin` prints"
	}
	return ""
}

// Server is a running API server.
type Server struct {
	// Admin may do everything.
	Admin *rest.Config
	// Operator may do what the chart grants the operator's ServiceAccount.
	Operator *rest.Config

	environment *envtest.Environment
}

// Start starts the API server and installs the chart, but for the Deployment's pods: there is no kubelet.
func Start(ctx context.Context, scheme *runtime.Scheme) (*Server, error) {
	environment := &envtest.Environment{}
	// The plugin makes blockOwnerDeletion need a right, as some distributions do.
	environment.ControlPlane.GetAPIServer().Configure().
		Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement").
		// The default has room for 254 Services, and without a garbage collector none goes: several runs need more.
		Set("service-cluster-ip-range", "10.0.0.0/16")
	admin, err := environment.Start()
	if err != nil {
		return nil, fmt.Errorf("starting the API server: %w", errors.Join(err, environment.Stop()))
	}
	admin.QPS = -1 // tests poll
	server := &Server{Admin: admin, Operator: impersonate(admin), environment: environment}
	if err := server.install(ctx, scheme); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server, nil
}

// Stop ends the API server and etcd.
func (s *Server) Stop() error {
	if err := s.environment.Stop(); err != nil {
		return fmt.Errorf("stopping the API server: %w", err)
	}
	return nil
}

// OperatorKubeconfig writes a file for a process that is to act as the chart's ServiceAccount.
func (s *Server) OperatorKubeconfig(path string) error {
	config, err := clientcmd.Load(s.environment.KubeConfig)
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

func (s *Server) install(ctx context.Context, scheme *runtime.Scheme) error {
	objects, err := RenderChart(ctx)
	if err != nil {
		return err
	}
	admin, err := client.New(s.Admin, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	for _, object := range append([]client.Object{operatorNamespace()}, objects...) {
		if err := admin.Create(ctx, object); err != nil {
			return fmt.Errorf("installing %T %s: %w", object, object.GetName(), err)
		}
	}
	return waitServed(ctx, admin)
}

// waitServed waits until the CRD's resource is served.
func waitServed(ctx context.Context, admin client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		_, err := admin.RESTMapper().RESTMapping(schema.GroupKind{Group: "rosey.dev", Kind: "RoseyBot"}, "v1alpha1")
		if err == nil {
			return nil
		}
		if !meta.IsNoMatchError(err) {
			return fmt.Errorf("asking for RoseyBot's resource: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the CRD is not served: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
