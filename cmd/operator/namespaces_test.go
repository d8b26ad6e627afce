package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/test/apiservertest"
	"rosey.dev/rosey/test/logtest"
	"rosey.dev/rosey/test/porttest"
)

// permit creates a namespace with a RoseyBot, and the operator's permissions there as the chart does.
func permit(t *testing.T, admin client.Client, namespace string) {
	t.Helper()
	create(t, admin, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	create(t, admin, &v1alpha1.RoseyBot{
		ObjectMeta: metav1.ObjectMeta{Name: "movienight", Namespace: namespace},
		Spec: v1alpha1.RoseyBotSpec{
			Channel: v1alpha1.Channel{Name: "movienight"}, NATS: &v1alpha1.NATS{URL: "nats://n:4222"},
		},
	})
	eachRole(t, namespace, func(object client.Object) { create(t, admin, object) })
}

func eachRole(t *testing.T, namespace string, do func(client.Object)) {
	t.Helper()
	objects, err := apiservertest.RenderChart(t.Context(), "--set", "watchNamespaces={"+namespace+"}")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if strings.HasPrefix(object.GetObjectKind().GroupVersionKind().Kind, "Role") && object.GetNamespace() == namespace {
			do(object)
		}
	}
}

// A namespace that was deleted, or is created later, does not keep the operator from managing the others. The operator
// says which it cannot manage, and is not ready if it can manage none.
func TestNamespacesThatCannotBeManaged(t *testing.T) {
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
	admin := startServer(t, "--set", "watchNamespaces={"+apiservertest.Namespace+"}")
	health := porttest.FreeAddress(t)
	parsed, err := parseFlags([]string{
		"--runtime-image=rosey:v1", "--watch-namespaces=first,second", "--leader-elect",
		"--namespace=" + apiservertest.Namespace, "--health-probe-bind-address=" + health, "--metrics-bind-address=0",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	parsed.checkInterval = 200 * time.Millisecond
	kubernetes, err := kubernetesConfig()
	if err != nil {
		t.Fatal(err)
	}
	log := &logtest.Buffer{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- operate(ctx, kubernetes, parsed, slog.New(slog.NewJSONHandler(log, nil))) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("operate returned: %v", err)
		}
	}()

	eventually(t, "not ready without a namespace", func(ctx context.Context) error {
		if err := responds(ctx, "http://"+health+"/healthz"); err != nil {
			return err
		}
		return answers(ctx, "http://"+health+"/readyz", http.StatusServiceUnavailable, "first: ", "second: ")
	})
	permit(t, admin, "first")
	awaitManaged(t, admin, "first")
	eventually(t, "ready", func(ctx context.Context) error { return responds(ctx, "http://"+health+"/readyz") })
	if text := log.String(); !strings.Contains(text, `"namespace":"second"`) {
		t.Errorf("the log does not name the namespace: %s", text)
	}
	permit(t, admin, "second")
	awaitManaged(t, admin, "second")

	// Deleting a namespace deletes the permissions in it.
	eachRole(t, "second", func(object client.Object) {
		if err := admin.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	})
	configuration := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "first", Name: "movienight-config"}}
	eventually(t, "the log says so", func(context.Context) error {
		if strings.Count(log.String(), `"msg":"cannot manage a namespace`) < 3 {
			return errors.New(log.String())
		}
		return nil
	})
	if err := admin.Delete(t.Context(), configuration); err != nil {
		t.Fatal(err)
	}
	awaitManaged(t, admin, "first")
}

func awaitManaged(t *testing.T, admin client.Client, namespace string) {
	t.Helper()
	eventually(t, "the configuration in "+namespace, func(ctx context.Context) error {
		key := client.ObjectKey{Namespace: namespace, Name: "movienight-config"}
		return admin.Get(ctx, key, &corev1.ConfigMap{})
	})
}

// answers returns an error unless a page has a status and contains texts.
func answers(ctx context.Context, url string, status int, texts ...string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	for _, text := range texts {
		if !strings.Contains(string(body), text) {
			err = errors.Join(err, fmt.Errorf("no %q in %q", text, body))
		}
	}
	if response.StatusCode != status {
		err = errors.Join(err, fmt.Errorf("status %s", response.Status))
	}
	return err
}
