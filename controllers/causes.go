package controllers

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// causeOfComponent returns the reason why no pod of a component is ready: what Kubernetes knows about the claim and the
// pod, or else what the process reports.
func causeOfComponent(in statusInput, component manifests.Component) *metav1.Condition {
	name, pod := displayName(component), in.observed.newestPod(component)
	if manifests.MountsClaim(in.bot, component) {
		if condition := claimsCause(in, pod); condition != nil {
			return condition
		}
	}
	if pod == nil {
		return cmp.Or(podsRefused(in.deployment(component), name),
			conditionFalse(v1alpha1.ReasonProgressing, fmt.Sprintf("a pod of the %s is being created", name)))
	}
	return causeOfPod(in, component, pod)
}

// causeOfPod returns the reason why a pod is not ready.
func causeOfPod(in statusInput, component manifests.Component, pod *corev1.Pod) *metav1.Condition {
	name := displayName(component)
	if condition := podCause(pod, name, in.mountErrors[pod.UID]); condition != nil {
		return condition
	}
	report, missing := reportOf(in, pod, component)
	switch {
	case missing != nil:
		return missing
	case report.Ready:
		return notReadyCause(pod, name)
	}
	return conditionFalse(translateReason(in, component, report.Reason, report.Message))
}

// newPodCause returns the reason why a rollout does not go on although older pods may serve: why no pod can be created,
// or why the newest is not ready. It returns nil if that only takes time.
func newPodCause(in statusInput, component manifests.Component) *metav1.Condition {
	name := displayName(component)
	if condition := podsRefused(in.deployment(component), name); condition != nil {
		return condition
	}
	pod := in.observed.waitingPod(component)
	if pod == nil {
		return nil
	}
	condition := causeOfPod(in, component, pod)
	if condition.Status == metav1.ConditionUnknown || hasSeverity(condition.Reason, transient) {
		return nil
	}
	return condition
}

// reportOf returns the report of a pod, or the condition that says why there is none.
func reportOf(
	in statusInput, pod *corev1.Pod, component manifests.Component,
) (report status.Report, missing *metav1.Condition) {
	name := displayName(component)
	result, probed := in.reports[pod.Name]
	switch {
	case !probed:
		return report, conditionFalse(string(status.ReasonStarting), fmt.Sprintf("the %s is starting", name))
	case result.err != nil:
		return report, conditionUnknown(fmt.Sprintf("the %s does not report its status: %v", name, result.err))
	}
	return result.report, nil
}

// claimsCause returns the reason in the claims for which a pod cannot start, or nil.
func claimsCause(in statusInput, pod *corev1.Pod) *metav1.Condition {
	for _, spec := range manifests.Claims(in.bot) {
		if condition := claimCause(spec, in.claim(spec.Name), pod); condition != nil {
			return condition
		}
	}
	name := ptr.Deref(ptr.Deref(in.bot.Spec.Database, v1alpha1.Database{}).Backup, v1alpha1.Backup{}).ClaimName
	if name == "" || pod == nil {
		return nil
	}
	// That claim is somebody else's: the operator does not read it. The scheduler does not always name it.
	message, isUnschedulable := unschedulable(pod)
	if !isUnschedulable || !isAboutVolumes(message) {
		return nil
	}
	return conditionFalse(v1alpha1.ReasonClaimPending, fmt.Sprintf("the pod cannot be scheduled: %s; look at "+
		"PersistentVolumeClaim %s of database.backup.claimName, or name another one", message, name))
}

// isAboutVolumes reports whether a message of the scheduler is about claims, volumes or their classes.
func isAboutVolumes(message string) bool {
	lower := strings.ToLower(message)
	return strings.Contains(lower, "volume") || strings.Contains(lower, "storageclass")
}

// claimCause returns the reason in a claim for which a pod cannot start, or nil. A claim may also be pending because
// its pod has no node yet, so the message of the scheduler decides.
func claimCause(
	spec manifests.ClaimSpec, claim *corev1.PersistentVolumeClaim, pod *corev1.Pod,
) *metav1.Condition {
	if claim == nil {
		return nil
	}
	name := "PersistentVolumeClaim " + claim.Name
	switch {
	case claim.Status.Phase == corev1.ClaimLost:
		return conditionFalse(v1alpha1.ReasonClaimLost, name+" has lost its volume")
	case claim.DeletionTimestamp != nil:
		return conditionFalse(v1alpha1.ReasonClaimPending, name+" is being deleted")
	case claim.Status.Phase == corev1.ClaimBound || pod == nil || pod.Spec.NodeName != "":
		return nil
	}
	message, isUnschedulable := unschedulable(pod)
	if !isUnschedulable {
		return conditionFalse(v1alpha1.ReasonClaimPending, name+" is waiting for a volume")
	}
	if isAboutVolumes(message) {
		return conditionFalse(v1alpha1.ReasonClaimPending, name+" is waiting for a volume: "+message+
			"; while it has none, "+spec.Field+".storageClassName and size can be changed")
	}
	return nil
}

// podsRefused returns the reason why the API server creates no pod of a component, or nil.
func podsRefused(deployment *appsv1.Deployment, name string) *metav1.Condition {
	refused := deploymentCondition(deployment, appsv1.DeploymentReplicaFailure)
	if refused.Status != corev1.ConditionTrue {
		return nil
	}
	return conditionFalse(v1alpha1.ReasonPodsRefused,
		fmt.Sprintf("no pod of the %s can be created: %s", name, refused.Message))
}

// progressDeadline is how long a pod may be missing: as long as a Deployment waits for progress by default.
const progressDeadline = 10 * time.Minute

// availableCondition returns the condition of a component: True with a message if a pod is ready, or else the cause.
func availableCondition(in statusInput, component manifests.Component, message string) *metav1.Condition {
	if condition := stoppedCondition(in.bot, component); condition != nil {
		return condition
	}
	if in.observed.countPods(component).ReadyReplicas > 0 {
		lacks, _ := shortage(in, component)
		return conditionTrue(v1alpha1.ReasonAvailable, cmp.Or(lacks, message))
	}
	if found := in.applied.problem(component); found != nil && !found.usable {
		return conditionFalse(found.reason, found.message)
	}
	return causeOfComponent(in, component)
}

// shortage returns a message if fewer pods of a component are ready than asked for although some are, and since when
// that is so: since when its youngest waiting pod is not ready, or else since when pods are refused. The time is zero
// if neither is the case.
func shortage(in statusInput, component manifests.Component) (message string, since time.Time) {
	ready, wanted := in.observed.countPods(component).ReadyReplicas, in.desiredReplicas(component)
	if ready == 0 || ready >= wanted {
		return "", time.Time{}
	}
	message = fmt.Sprintf("%d of %d pods of the %s are ready", ready, wanted, displayName(component))
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

// missingPods returns a problem if an available component has had fewer pods than asked for, for longer than the
// progress deadline, or nil.
func missingPods(in statusInput, component manifests.Component, now time.Time) *problem {
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
