package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

const (
	cytubeServer = "http://cytube.demo.svc.cluster.local:8880"
	natsURL      = "nats://nats.demo.svc.cluster.local:4222"

	// readyLimit bounds how long a bot may take from kubectl apply to Ready on a busy machine.
	readyLimit = 90 * time.Second
)

// newBot returns a RoseyBot that joins the channel of the same name as a guest, on the demo's NATS.
func newBot(name string) *v1alpha1.RoseyBot {
	return &v1alpha1.RoseyBot{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: v1alpha1.RoseyBotSpec{
			Channel: v1alpha1.Channel{Server: cytubeServer, Name: name},
			Account: &v1alpha1.Account{Username: "rosey_" + name},
			NATS:    &v1alpha1.NATS{URL: natsURL},
		},
	}
}

// create creates a bot and removes it, with its claim, when the test ends.
func create(t *testing.T, bot *v1alpha1.RoseyBot) {
	t.Helper()
	if err := cluster.client.Create(t.Context(), bot); err != nil {
		t.Fatalf("creating RoseyBot %s: %v", bot.Name, err)
	}
	t.Cleanup(func() { remove(t, bot.Name) })
}

func remove(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's context has ended
	defer cancel()
	key := metav1.ObjectMeta{Name: name, Namespace: namespace}
	if err := cluster.client.Delete(ctx, &v1alpha1.RoseyBot{ObjectMeta: key}); client.IgnoreNotFound(err) != nil {
		t.Errorf("deleting RoseyBot %s: %v", name, err)
	}
	key.Name = claimName(name)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: key}
	if err := cluster.client.Delete(ctx, claim); client.IgnoreNotFound(err) != nil {
		t.Errorf("deleting claim %s: %v", key.Name, err)
	}
}

func claimName(bot string) string { return bot + "-db" }

func getBot(ctx context.Context, name string) (*v1alpha1.RoseyBot, error) {
	bot := &v1alpha1.RoseyBot{}
	err := cluster.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, bot)
	return bot, err
}

// waitFor waits until a condition has a status and one of the reasons, if any is given. It returns the message.
func waitFor(t *testing.T, name, condition string, status metav1.ConditionStatus, reasons ...string) string {
	t.Helper()
	var message string
	what := fmt.Sprintf("RoseyBot %s has %s=%s %v", name, condition, status, reasons)
	eventually(t, readyLimit, what, func(ctx context.Context) error {
		bot, err := getBot(ctx, name)
		if err != nil {
			return err
		}
		got := meta.FindStatusCondition(bot.Status.Conditions, condition)
		if got == nil {
			return fmt.Errorf("no condition %s", condition)
		}
		if got.Status != status || (len(reasons) > 0 && !slices.Contains(reasons, got.Reason)) {
			return fmt.Errorf("%s is %s, %s: %s", condition, got.Status, got.Reason, got.Message)
		}
		if got.ObservedGeneration != bot.Generation {
			return fmt.Errorf("%s is of generation %d, want %d", condition, got.ObservedGeneration, bot.Generation)
		}
		message = got.Message
		return nil
	})
	return message
}

func waitReady(t *testing.T, name string) {
	t.Helper()
	waitFor(t, name, v1alpha1.ConditionReady, metav1.ConditionTrue)
}

// scaleDeployment changes the replicas of NATS or the CyTube server.
func scaleDeployment(t *testing.T, name string, replicas int32) {
	t.Helper()
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	if err := cluster.client.Patch(t.Context(), deployment, patch); err != nil {
		t.Fatalf("scaling %s: %v", name, err)
	}
}

// podsOf returns a bot's pods of both components.
func podsOf(ctx context.Context, name string) ([]corev1.Pod, error) {
	return podsLabelled(ctx, namespace, "rosey.dev/roseybot", name)
}

func podsLabelled(ctx context.Context, space, label, value string) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := cluster.client.List(ctx, pods, client.InNamespace(space), client.MatchingLabels{label: value})
	return pods.Items, err
}

// identities returns the UIDs of a bot's pods and the number of restarts of each container. They change if anything is
// restarted.
func identities(t *testing.T, name string) []string {
	t.Helper()
	pods, err := podsOf(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, pod := range pods {
		for _, container := range pod.Status.ContainerStatuses {
			out = append(out, fmt.Sprintf("%s %s restarted %d times", pod.Name, pod.UID, container.RestartCount))
		}
	}
	slices.Sort(out)
	return out
}

// sameIdentities fails if a pod was replaced or restarted since before.
func sameIdentities(t *testing.T, name string, before []string) {
	t.Helper()
	if diff := cmp.Diff(before, identities(t, name)); diff != "" {
		t.Errorf("pods of RoseyBot %s (-before +after):\n%s", name, diff)
	}
}

// noRestarts fails if a container of a bot was restarted.
func noRestarts(t *testing.T, name string) {
	t.Helper()
	pods, err := podsOf(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if len(pods) == 0 {
		t.Errorf("RoseyBot %s has no pods", name)
	}
	for _, pod := range pods {
		for _, container := range pod.Status.ContainerStatuses {
			if container.RestartCount != 0 {
				t.Errorf("pod %s restarted %d times: %+v", pod.Name, container.RestartCount, container.LastTerminationState)
			}
		}
	}
}
