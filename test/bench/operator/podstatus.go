package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// explain creates a pod whose process reports why it is not ready, and returns the time until the status says so. It
// deletes the RoseyBot.
func (h *hostile) explain(ctx context.Context, bot *v1alpha1.RoseyBot) (took time.Duration, err error) {
	process, err := h.newProcess(ctx, kicked)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, process.close()) }()
	began := time.Now()
	if _, err := h.createPod(ctx, bot, manifests.Bot, process.ip); err != nil {
		return 0, err
	}
	err = untilEvery(ctx, pollPause, "the status explains the pod", func() (bool, error) {
		return h.hasCondition(ctx, bot, v1alpha1.ConditionChannelJoined, status.ReasonKicked)
	})
	if err != nil {
		return 0, err
	}
	took = time.Since(began)
	if err := h.admin.Delete(ctx, bot); err != nil {
		return 0, fmt.Errorf("deleting %s: %w", bot.Name, err)
	}
	return took, nil
}

// hasCondition reports whether a RoseyBot has a condition, with a reason unless that is empty.
func (h *hostile) hasCondition(ctx context.Context, bot *v1alpha1.RoseyBot, kind string, reason status.Reason,
) (bool, error) {
	if err := h.admin.Get(ctx, client.ObjectKeyFromObject(bot), bot); err != nil {
		return false, fmt.Errorf("reading %s: %w", bot.Name, err)
	}
	return slices.ContainsFunc(bot.Status.Conditions, func(condition metav1.Condition) bool {
		return condition.Type == kind && (reason == "" || condition.Reason == string(reason))
	}), nil
}

// createPod creates the pod of a component as the ReplicaSet controller and the kubelet do: its container runs, and is
// not ready.
func (h *hostile) createPod(ctx context.Context, bot *v1alpha1.RoseyBot, component manifests.Component, ip string,
) (*corev1.Pod, error) {
	labels := manifests.Selector(bot, component)
	labels[manifests.LabelManagedBy] = manifests.ManagedBy
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: bot.Namespace, GenerateName: bot.Name + "-", Labels: labels},
		Spec: corev1.PodSpec{
			NodeName:   "node",
			Containers: []corev1.Container{{Name: string(component), Image: runtimeImage}},
		},
	}
	if err := h.admin.Create(ctx, pod); err != nil {
		return nil, fmt.Errorf("creating a pod of %s: %w", bot.Name, err)
	}
	setRunning(pod, ip, false)
	if err := h.admin.Status().Update(ctx, pod); err != nil {
		return nil, fmt.Errorf("writing the status of a pod of %s: %w", bot.Name, err)
	}
	return pod, nil
}

func setRunning(pod *corev1.Pod, ip string, ready bool) {
	condition := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse}
	if ready {
		condition.Status = corev1.ConditionTrue
	}
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		Conditions: []corev1.PodCondition{condition},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "bot", Started: new(true), Ready: ready,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}},
	}
}
