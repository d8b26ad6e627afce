package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/apiservertest"
)

// films is the namespace of the tests.
const films = "films"

var (
	admin      client.Client
	kubeconfig string
)

func TestMain(m *testing.M) {
	os.Exit(apiservertest.Run(m, controllers.NewScheme, func(ctx context.Context, s *apiservertest.Server) (int, error) {
		return runWithServer(ctx, m, s)
	}))
}

func runWithServer(ctx context.Context, m *testing.M, server *apiservertest.Server) (code int, err error) {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return 0, err
	}
	if admin, err = client.New(server.Admin, client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	folder, err := os.MkdirTemp("", "kubectl-rosey-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	kubeconfig = filepath.Join(folder, "kubeconfig")
	if err := server.AdminKubeconfig(kubeconfig); err != nil {
		return 0, err
	}
	if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: films}}); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

func needServer(t *testing.T) {
	t.Helper()
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
}

// call runs the plugin in the tests' namespace, as somebody with all rights unless --as is among the arguments.
func call(t *testing.T, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	return callWith(t, streams{in: strings.NewReader("")}, arguments...)
}

// callWith is call with an input, and with colors if the streams have them.
func callWith(t *testing.T, std streams, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	std.out, std.err = &out, &problems
	code = run(t.Context(), append([]string{"--kubeconfig", kubeconfig, "-n", films}, arguments...), std)
	return code, out.String(), problems.String()
}

func create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		object.SetNamespace(films)
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatalf("creating %T %s: %v", object, object.GetName(), err)
		}
	}
}

func keyOf(object client.Object) client.ObjectKey { return client.ObjectKeyFromObject(object) }

// newBot returns a RoseyBot of a name.
func newBot(name string) *v1alpha1.RoseyBot {
	return &v1alpha1.RoseyBot{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.RoseyBotSpec{
			Channel: v1alpha1.Channel{Name: "movies"}, NATS: &v1alpha1.NATS{URL: "nats://nats:4222"},
		},
	}
}

// setReady writes the condition Ready of a RoseyBot as the operator would.
func setReady(t *testing.T, bot *v1alpha1.RoseyBot, state metav1.ConditionStatus, reason, message string) {
	t.Helper()
	bot.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionReady, Status: state, Reason: reason, Message: message,
		ObservedGeneration: bot.Generation, LastTransitionTime: metav1.Now(),
	}}
	bot.Status.ObservedGeneration = bot.Generation
	bot.Status.Bot.Summary, bot.Status.Database.Summary = "1/1", "1/1"
	if err := admin.Status().Update(t.Context(), bot); err != nil {
		t.Fatal(err)
	}
}

// createPod creates a pod that runs, as the kubelet would report it.
func createPod(t *testing.T, bot, name string, component status.Component) {
	t.Helper()
	if err := addPod(t.Context(), bot, name, component); err != nil {
		t.Fatal(err)
	}
}

// addPod is createPod for other goroutines than the test's.
func addPod(ctx context.Context, bot, name string, component status.Component) error {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: films, Name: name, Labels: map[string]string{
			manifests.LabelRoseyBot: bot, manifests.LabelComponent: string(component),
		}},
		Spec: corev1.PodSpec{NodeName: "absent", Containers: []corev1.Container{
			{Name: "mesh", Image: "mesh:1"},
			{Name: string(component), Image: "rosey:1", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}},
		}},
	}
	if err := admin.Create(ctx, pod); err != nil {
		return fmt.Errorf("creating pod %s: %w", name, err)
	}
	pod.Status.Phase = corev1.PodRunning
	for _, container := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ContainerID: "containerd://" + name + container.Name,
		})
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	if err := admin.Status().Update(ctx, pod); err != nil {
		return fmt.Errorf("updating the status of pod %s: %w", name, err)
	}
	return nil
}

func TestLabelsAreThoseOfTheOperator(t *testing.T) {
	if labelRoseyBot != manifests.LabelRoseyBot || labelComponent != manifests.LabelComponent {
		t.Errorf("the labels are %s and %s, those of the operator %s and %s", labelRoseyBot, labelComponent,
			manifests.LabelRoseyBot, manifests.LabelComponent)
	}
	plugin := manifests.PluginComponent(v1alpha1.Plugin{Name: "weather", Image: "weather:1"})
	if !strings.HasPrefix(string(plugin), pluginPrefix) {
		t.Errorf("the component of a plugin is %s, expected %s…", plugin, pluginPrefix)
	}
}
