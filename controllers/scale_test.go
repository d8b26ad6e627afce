package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// scale sets the number of replicas like `kubectl scale`.
func scale(t *testing.T, bot *v1alpha1.RoseyBot, replicas int) error {
	t.Helper()
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	return rig.admin.SubResource("scale").Patch(t.Context(), bot.DeepCopy(), patch)
}

func waitReplicas(t *testing.T, bot *v1alpha1.RoseyBot, name string, want int32) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has %d replicas", name, want), func(ctx context.Context) error {
		deployment, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, name)
		if err == nil && *deployment.Spec.Replicas != want {
			err = fmt.Errorf("it has %d", *deployment.Spec.Replicas)
		}
		return err
	})
}

func TestScaleToZeroAndBack(t *testing.T) {
	bot := newBot(newNamespace(t))
	pod := createReady(t, bot)
	if err := scale(t, bot, 0); err != nil {
		t.Fatal(err)
	}
	waitReplicas(t, bot, manifests.Name(bot, manifests.Bot), 0)
	if err := rig.admin.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	rollOut(t, bot)
	for _, condition := range []string{
		v1alpha1.ConditionBotAvailable, v1alpha1.ConditionChannelJoined, v1alpha1.ConditionDurable,
	} {
		waitCondition(t, bot, condition, metav1.ConditionFalse, v1alpha1.ReasonScaledToZero)
	}
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonScaledToZero)
	waitCondition(t, bot, v1alpha1.ConditionDatabaseAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	waitNoCondition(t, bot, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled)
	waitReplicas(t, bot, manifests.Name(bot, manifests.Database), 1)
	checkScale(t, bot, 0)

	if err := scale(t, bot, 1); err != nil {
		t.Fatal(err)
	}
	waitReplicas(t, bot, manifests.Name(bot, manifests.Bot), 1)
	rollOut(t, bot)
	newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", true))
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	checkScale(t, bot, 1)
}

// While a RoseyBot is suspended, it has no pods. The claim and the desired number of replicas are kept.
func TestSuspendAndResume(t *testing.T) {
	bot := newBot(newNamespace(t))
	pod := createReady(t, bot)
	claim := getClaim(t, bot)
	change(t, bot, func() { bot.Spec.Suspend = new(true) })
	names := []string{manifests.Name(bot, manifests.Bot), manifests.Name(bot, manifests.Database)}
	for _, name := range names {
		waitReplicas(t, bot, name, 0)
	}
	err := rig.admin.DeleteAllOf(t.Context(), pod, client.InNamespace(bot.Namespace), client.GracePeriodSeconds(0))
	if err != nil {
		t.Fatal(err)
	}
	rollOut(t, bot)
	for _, condition := range []string{
		v1alpha1.ConditionBotAvailable, v1alpha1.ConditionDatabaseAvailable, v1alpha1.ConditionChannelJoined,
		v1alpha1.ConditionDurable,
	} {
		waitCondition(t, bot, condition, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	}
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	waitNoCondition(t, bot, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled)
	if kept := getClaim(t, bot); kept.UID != claim.UID || kept.DeletionTimestamp != nil {
		t.Errorf("the claim is %s, deleted at %v; want %s, not deleted", kept.UID, kept.DeletionTimestamp, claim.UID)
	}
	waitReconciled(t, bot)

	change(t, bot, func() { bot.Spec.Suspend = nil })
	for _, name := range names {
		waitReplicas(t, bot, name, 1)
	}
	rollOut(t, bot)
	newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
	newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", true))
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// checkScale checks the scale subresource: the number of bot pods, and a selector that selects only them.
func checkScale(t *testing.T, bot *v1alpha1.RoseyBot, replicas int32) {
	t.Helper()
	seen := &autoscalingv1.Scale{}
	eventually(t, "the scale subresource is up to date", func(ctx context.Context) error {
		if err := rig.admin.SubResource("scale").Get(ctx, bot, seen); err != nil {
			return err
		}
		if seen.Status.Replicas != replicas || seen.Spec.Replicas != replicas {
			return fmt.Errorf("it has %d of %d replicas, want %d", seen.Status.Replicas, seen.Spec.Replicas, replicas)
		}
		return nil
	})
	selector, err := metav1.ParseToLabelSelector(seen.Status.Selector)
	if err != nil {
		t.Fatal(err)
	}
	pods := &corev1.PodList{}
	if err := rig.admin.List(t.Context(), pods, client.InNamespace(bot.Namespace),
		client.MatchingLabels(selector.MatchLabels)); err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		if pod.Labels[manifests.LabelComponent] != string(manifests.Bot) {
			t.Errorf("selector %s selects pod %s of another component", seen.Status.Selector, pod.Name)
		}
	}
	if got := len(pods.Items); got != int(replicas) {
		t.Errorf("selector %s selects %d pods, want %d", seen.Status.Selector, got, replicas)
	}
}

func TestScaleToTwoAnonymousBotsIsRejected(t *testing.T) {
	bot := newBot(newNamespace(t))
	bot.Spec.Account = nil
	create(t, bot)
	err := scale(t, bot, 2)
	if err == nil || !strings.Contains(err.Error(), "two anonymous bots would be in the channel") {
		t.Errorf("error is %v, want one that says why", err)
	}
}
