package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/test/apiservertest"
)

// newNamespace creates a namespace for one test. It skips the test if there is no API server.
func newNamespace(t *testing.T) string {
	t.Helper()
	if missing := apiservertest.Missing(); missing != "" {
		t.Skip(missing)
	}
	t.Parallel()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := rig.admin.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// newBot returns a RoseyBot with an account.
func newBot(namespace string) *v1alpha1.RoseyBot {
	return &v1alpha1.RoseyBot{
		ObjectMeta: metav1.ObjectMeta{Name: "movienight", Namespace: namespace},
		Spec: v1alpha1.RoseyBotSpec{
			Channel: v1alpha1.Channel{Name: "movienight"},
			Account: &v1alpha1.Account{
				Username:          "Rosey",
				PasswordSecretRef: &v1alpha1.SecretKeyRef{Name: "rosey-account", Key: "password"},
			},
			NATS: &v1alpha1.NATS{URL: "nats://nats.example:4222"},
		},
	}
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := rig.admin.Create(t.Context(), object); err != nil {
		t.Fatalf("creating %T %s: %v", object, object.GetName(), err)
	}
}

// get reads an object into the given one and returns it.
func get[T client.Object](ctx context.Context, object T, namespace, name string) (T, error) {
	err := rig.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
	return object, err
}

// change edits an object as another client would, and retries after conflicts.
func change[T client.Object](t *testing.T, object T, edit func()) {
	t.Helper()
	eventually(t, "edited "+object.GetName(), func(ctx context.Context) error {
		if err := rig.admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		edit()
		return rig.admin.Update(ctx, object)
	})
}

// eventually waits until a check passes. If it does not in time, the test fails with the last error.
func eventually(t *testing.T, what string, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // far longer than on an idle machine
	defer cancel()
	last := errors.New("never checked")
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for: %s: %v", what, last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// waitCondition waits until a condition of the latest generation has a status and reason, and returns it.
func waitCondition(
	t *testing.T, bot *v1alpha1.RoseyBot, kind string, status metav1.ConditionStatus, reason string,
) metav1.Condition {
	t.Helper()
	var found metav1.Condition
	what := fmt.Sprintf("%s=%s with %s", kind, status, reason)
	eventually(t, what, func(ctx context.Context) error {
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if err != nil {
			return err
		}
		one := meta.FindStatusCondition(now.Status.Conditions, kind)
		if one == nil || one.Status != status || one.Reason != reason || one.ObservedGeneration != now.Generation {
			return fmt.Errorf("generation %d, conditions %s", now.Generation, describe(now))
		}
		found = *one
		return nil
	})
	return found
}

// waitNoCondition waits until there is no condition of some types.
func waitNoCondition(t *testing.T, bot *v1alpha1.RoseyBot, kinds ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("no condition of %v", kinds), func(ctx context.Context) error {
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if err != nil {
			return err
		}
		for _, kind := range kinds {
			if meta.FindStatusCondition(now.Status.Conditions, kind) != nil {
				return errors.New(describe(now))
			}
		}
		return nil
	})
}

func describe(bot *v1alpha1.RoseyBot) string {
	var lines []string
	for _, one := range bot.Status.Conditions {
		lines = append(lines, fmt.Sprintf("%s=%s %s (%s)", one.Type, one.Status, one.Reason, one.Message))
	}
	return strings.Join(lines, "; ")
}

// rollOut acts as the Deployment controller: once the operator has applied the latest spec, it reports that all pods
// run the template.
func rollOut(t *testing.T, bot *v1alpha1.RoseyBot) {
	t.Helper()
	names := []string{manifests.Name(bot, manifests.Bot)}
	if manifests.HasService(bot) {
		names = append(names, manifests.Name(bot, manifests.Database))
	}
	for _, name := range names {
		eventually(t, "Deployment "+name+" rolled out", func(ctx context.Context) error {
			deployment, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, name)
			if err != nil {
				return err
			}
			now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
			if err != nil {
				return err
			}
			built := deployment.Annotations["rosey.dev/spec-generation"]
			if !strings.HasPrefix(built+" ", fmt.Sprint(now.Generation, " ")) {
				return fmt.Errorf("built from generation %s of %d", built, now.Generation)
			}
			return reportRolledOut(ctx, deployment)
		})
	}
}

// rollOutOf acts as the Deployment controller for some components.
func rollOutOf(t *testing.T, bot *v1alpha1.RoseyBot, components ...manifests.Component) {
	t.Helper()
	for _, component := range components {
		eventually(t, string(component)+" rolled out", func(ctx context.Context) error {
			deployment, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, manifests.Name(bot, component))
			if err != nil {
				return err
			}
			return reportRolledOut(ctx, deployment)
		})
	}
}

// reportRolledOut acts as the Deployment controller: it reports that all pods of a Deployment run the template.
func reportRolledOut(ctx context.Context, deployment *appsv1.Deployment) error {
	replicas := *deployment.Spec.Replicas
	deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: deployment.Generation, Replicas: replicas, UpdatedReplicas: replicas,
	}
	return rig.admin.Status().Update(ctx, deployment)
}

// newPod creates a pod of a component with a status, as the kubelet would write it.
func newPod(t *testing.T, bot *v1alpha1.RoseyBot, component manifests.Component, status corev1.PodStatus) *corev1.Pod {
	t.Helper()
	labels := manifests.Selector(bot, component)
	labels[manifests.LabelManagedBy] = manifests.ManagedBy
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: bot.Name + "-", Namespace: bot.Namespace, Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: string(component), Image: testImage}}},
	}
	if status.Phase == corev1.PodRunning {
		pod.Spec.NodeName = "node"
	}
	create(t, pod)
	setPodStatus(t, pod, status)
	return pod
}

func setPodStatus(t *testing.T, pod *corev1.Pod, status corev1.PodStatus) {
	t.Helper()
	pod.Status = status
	if err := rig.admin.Status().Update(t.Context(), pod); err != nil {
		t.Fatalf("writing the pod's status: %v", err)
	}
}

// runningPod returns the status of a pod whose process runs.
func runningPod(ip string, ready bool) corev1.PodStatus {
	condition := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse}
	if ready {
		condition.Status = corev1.ConditionTrue
	}
	return corev1.PodStatus{
		Phase:      corev1.PodRunning,
		PodIP:      ip,
		PodIPs:     []corev1.PodIP{{IP: ip}},
		Conditions: []corev1.PodCondition{condition},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "bot", Started: new(true), Ready: ready,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
		}},
	}
}

// createReady creates a RoseyBot and ready pods, waits until the RoseyBot is ready, and returns the pod of the bot.
func createReady(t *testing.T, bot *v1alpha1.RoseyBot) *corev1.Pod {
	t.Helper()
	create(t, bot)
	rollOut(t, bot)
	if manifests.HasService(bot) {
		newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
	}
	pod := newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", true))
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	return pod
}
