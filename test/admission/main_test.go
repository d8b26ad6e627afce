// Package admission tests the chart's ValidatingAdmissionPolicy on a real API server, as users with different
// permissions.
package admission

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/test/apiservertest"
)

const namespace = "films"

// values are the chart's values of all tests.
var values = []string{"--values", "testdata/values.yaml"}

// users may all create and change RoseyBots in the namespace.
var users = map[string]struct {
	client client.Client
	// secrets are the permissions for Secrets.
	secrets []rbacv1.PolicyRule
}{
	"author": {},
	// holder may get one Secret, keeper all of them.
	"holder": {secrets: []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}, ResourceNames: []string{"mine"},
	}}},
	"keeper": {secrets: []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"},
	}}},
}

var admin client.Client

func TestMain(m *testing.M) {
	os.Exit(apiservertest.Run(m, controllers.NewScheme, func(ctx context.Context, s *apiservertest.Server) (int, error) {
		return runWithServer(ctx, m, s)
	}, values...))
}

func runWithServer(ctx context.Context, m *testing.M, server *apiservertest.Server) (code int, err error) {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return 0, err
	}
	if admin, err = client.New(server.Admin, client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return 0, err
	}
	for name := range users {
		if err := addUser(ctx, server.Admin, name); err != nil {
			return 0, fmt.Errorf("user %s: %w", name, err)
		}
	}
	if err := waitForPolicy(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

func addUser(ctx context.Context, config *rest.Config, name string) error {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	user := users[name]
	var err error
	if user.client, err = client.New(config, client.Options{Scheme: admin.Scheme()}); err != nil {
		return err
	}
	users[name] = user
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: append([]rbacv1.PolicyRule{{
		APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"roseybots", "roseybots/scale"},
		Verbs: []string{"get", "create", "update", "patch", "delete"},
	}}, user.secrets...)}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}
	return errors.Join(admin.Create(ctx, role), admin.Create(ctx, binding))
}

// waitForPolicy waits until the API server uses the policy and the roles, which it reads after they were created.
func waitForPolicy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		missing := ""
		for name, user := range users {
			if err := user.client.Create(ctx, bot("probe", spec("")), client.DryRunAll); err != nil {
				missing = fmt.Sprintf("%s may not create a RoseyBot: %v", name, err)
			}
			forbidden := bot("probe", spec("serviceAccountName: x"))
			if user.client.Create(ctx, forbidden, client.DryRunAll) == nil {
				missing = "the policy has no effect"
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New(missing)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// spec returns a spec that the policy allows to everybody, with more fields in YAML, which replace its own.
func spec(fields string) map[string]any {
	content := map[string]any{}
	for _, text := range []string{`
channel: {name: movienight}
nats: {url: "nats://nats.nats.svc:4222"}
networkPolicy: {egress: [{ports: [{port: 53, protocol: UDP}]}]}
`, fields} {
		if err := yaml.Unmarshal([]byte(text), &content); err != nil {
			panic(fmt.Sprintf("%s: %v", text, err))
		}
	}
	return content
}

func bot(name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.RoseyBotKind,
		"metadata": map[string]any{"namespace": namespace, "name": name},
		"spec":     spec,
	}}
}
