package controllers

import (
	"cmp"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	if in.observed.countPods(component).ReadyReplicas > 0 {
		lacks, _ := shortage(in, component)
		return conditionTrue(v1alpha1.ReasonAvailable, cmp.Or(lacks, message))
	}
	if found := in.applied.problem(component); found != nil && !found.usable {
		return conditionFalse(found.reason, found.message)
	}
	return cause(in, component)
}

// shortage returns a message if fewer pods of a component are ready than asked for although some are, and since when
// that is so: since when its youngest waiting pod is not ready, or else since when pods are refused. The time is zero
// if neither is the case.
func shortage(in statusInput, component manifests.Component) (message string, since time.Time) {
	ready, wanted := in.observed.countPods(component).ReadyReplicas, in.desiredReplicas(component)
	if ready == 0 || ready >= wanted {
		return "", time.Time{}
	}
	message = fmt.Sprintf("%d of %d pods of the %s are ready", ready, wanted, displayName[component])
	if condition := newPodCause(in, component); condition != nil {
		message += ": " + condition.Message
	}
	if pod := in.observed.waitingPod(component); pod != nil {
		since = pod.CreationTimestamp.Time
		if changed := podCondition(pod, corev1.PodReady).LastTransitionTime.Time; changed.After(since) {
			since = changed
		}
		return message, since
	}
	refused := deploymentCondition(in.deployment(component), appsv1.DeploymentReplicaFailure)
	if refused.Status == corev1.ConditionTrue {
		since = refused.LastTransitionTime.Time
	}
	return message, since
}

// missing returns what has been missing of a component for longer than the progress deadline although it is available,
// or nil.
func missing(in statusInput, component manifests.Component, now time.Time) *problem {
	message, since := shortage(in, component)
	if since.IsZero() || now.Sub(since) < progressDeadline {
		return nil
	}
	reason := v1alpha1.ReasonStandbyMissing
	if component == manifests.Database {
		reason = v1alpha1.ReasonReplicaMissing
	}
	return &problem{reason: reason, message: message}
}

// deploymentCondition returns the zero condition if a Deployment, which may be nil, has none of a type.
func deploymentCondition(
	deployment *appsv1.Deployment, conditionType appsv1.DeploymentConditionType,
) appsv1.DeploymentCondition {
	if deployment != nil {
		for _, condition := range deployment.Status.Conditions {
			if condition.Type == conditionType {
				return condition
			}
		}
	}
	return appsv1.DeploymentCondition{}
}
