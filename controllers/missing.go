package controllers

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// progressDeadline is how long a pod may be missing: as long as a Deployment waits for progress by default.
const progressDeadline = 10 * time.Minute

// available returns the condition of a component: True with a message if a pod is ready, or else the cause.
func available(in statusInput, component manifests.Component, message string) *metav1.Condition {
	if condition := stopped(in.bot, component); condition != nil {
		return condition
	}
	if _, ready := in.observed.countPods(component); ready > 0 {
		if found := fewer(in, component); found != nil {
			message = found.Message
		}
		return conditionTrue(v1alpha1.ReasonAvailable, message)
	}
	if found := in.applied.problem(component); found != nil && !found.usable {
		return conditionFalse(found.reason, found.message)
	}
	return cause(in, component)
}

// fewer returns the reason why fewer pods of a component are ready than asked for although some are, or nil. Its
// message is about all of them.
func fewer(in statusInput, component manifests.Component) *metav1.Condition {
	_, ready := in.observed.countPods(component)
	wanted := in.desiredReplicas(component)
	if ready == 0 || ready >= wanted {
		return nil
	}
	name := displayName[component]
	message := fmt.Sprintf("%d of %d pods of the %s are ready", ready, wanted, name)
	if condition := newPodCause(in, component); condition != nil {
		return conditionFalse(condition.Reason, message+": "+condition.Message)
	}
	return conditionFalse(v1alpha1.ReasonProgressing, message)
}

// missing returns what has been missing of a component for longer than the progress deadline although it is available,
// or nil.
func missing(in statusInput, component manifests.Component, now time.Time) *problem {
	since := in.fewerSince(component)
	found := fewer(in, component)
	if found == nil || since.IsZero() || now.Sub(since) < progressDeadline {
		return nil
	}
	reason := map[manifests.Component]string{
		manifests.Bot: v1alpha1.ReasonStandbyMissing, manifests.Database: v1alpha1.ReasonReplicaMissing,
	}[component]
	return &problem{reason: reason, message: found.Message}
}

// fewerSince returns when a component began to have fewer ready pods than asked for: since when its youngest waiting
// pod is not ready, or else since when pods are refused. It returns the zero time if neither is the case.
func (in statusInput) fewerSince(component manifests.Component) time.Time {
	if pod := in.observed.waitingPod(component); pod != nil {
		since := pod.CreationTimestamp.Time
		if changed := podCondition(pod, corev1.PodReady).LastTransitionTime.Time; changed.After(since) {
			since = changed
		}
		return since
	}
	deployment := ptr.Deref(in.deployment(component), appsv1.Deployment{})
	for _, condition := range deployment.Status.Conditions {
		if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
			return condition.LastTransitionTime.Time
		}
	}
	return time.Time{}
}
