package controllers

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// cause returns the reason why no pod of a component is ready: what Kubernetes knows about the claim and the pod, or
// else what the process reports.
func cause(in statusInput, component manifests.Component) *metav1.Condition {
	name, pod := displayName[component], in.observed.newestPod(component)
	if manifests.HoldsClaim(in.bot, component) {
		if condition := claimCause(in.claim(), pod); condition != nil {
			return condition
		}
	}
	if pod == nil {
		return noPodCause(in.deployment(component), name)
	}
	if condition := podCause(pod, name); condition != nil {
		return condition
	}
	report, missing := reportOf(in, pod, component)
	switch {
	case missing != nil:
		return missing
	case report.Ready:
		return conditionFalse(string(status.ReasonStarting),
			fmt.Sprintf("the %s reports that it is ready; its readiness probe has not succeeded yet", name))
	}
	return conditionFalse(translateReason(in, component, report.Reason, report.Message))
}

// reportOf returns the report of a pod, or the condition that says why there is none.
func reportOf(
	in statusInput, pod *corev1.Pod, component manifests.Component,
) (report status.Report, missing *metav1.Condition) {
	name := displayName[component]
	result, probed := in.reports[pod.Name]
	switch {
	case !probed:
		return report, conditionFalse(string(status.ReasonStarting), fmt.Sprintf("the %s is starting", name))
	case result.err != nil:
		return report, conditionUnknown(fmt.Sprintf("the %s does not report its status: %v", name, result.err))
	}
	return result.report, nil
}

// claimCause returns the reason in a claim for which a pod cannot start, or nil. A claim may also be pending because
// its pod has no node yet, so the message of the scheduler decides.
func claimCause(claim *corev1.PersistentVolumeClaim, pod *corev1.Pod) *metav1.Condition {
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
	lower := strings.ToLower(message)
	if strings.Contains(lower, "volume") || strings.Contains(lower, "storageclass") {
		return conditionFalse(v1alpha1.ReasonClaimPending, name+" is waiting for a volume: "+message)
	}
	return nil
}

// noPodCause returns the reason why a component has no pod.
func noPodCause(deployment *appsv1.Deployment, name string) *metav1.Condition {
	if deployment != nil {
		for _, condition := range deployment.Status.Conditions {
			if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
				return conditionFalse(v1alpha1.ReasonPodsRefused,
					fmt.Sprintf("no pod of the %s can be created: %s", name, condition.Message))
			}
		}
	}
	return conditionFalse(v1alpha1.ReasonProgressing, fmt.Sprintf("the %s has no pod yet", name))
}

// podCause returns the reason that Kubernetes knows for a pod not to be ready, or nil.
func podCause(pod *corev1.Pod, name string) *metav1.Condition {
	if pod.Status.Phase == corev1.PodFailed {
		return conditionFalse(v1alpha1.ReasonPodFailed,
			fmt.Sprintf("the pod of the %s failed: %s %s", name, pod.Status.Reason, pod.Status.Message))
	}
	if message, isUnschedulable := unschedulable(pod); isUnschedulable {
		return conditionFalse(v1alpha1.ReasonUnschedulable,
			fmt.Sprintf("the pod of the %s cannot be scheduled: %s", name, message))
	}
	for i := range pod.Status.ContainerStatuses {
		if condition := containerCause(&pod.Status.ContainerStatuses[i], name); condition != nil {
			return condition
		}
	}
	return nil
}

// unschedulable reports whether the scheduler found no node for a pod, and returns its message.
func unschedulable(pod *corev1.Pod) (message string, isUnschedulable bool) {
	scheduled := podCondition(pod, corev1.PodScheduled)
	return scheduled.Message, scheduled.Status == corev1.ConditionFalse
}

// backOffPrefix is what the kubelet puts in front of the error of a pull while it waits for the next attempt. It is cut
// off, so that the message stays the same from attempt to attempt.
var backOffPrefix = regexp.MustCompile(`^.*: ErrImagePull: `)

// containerCause returns the reason that the kubelet knows for a container not to run, or nil.
func containerCause(status *corev1.ContainerStatus, name string) *metav1.Condition {
	if waiting := status.State.Waiting; waiting != nil {
		switch waiting.Reason {
		case "", "ContainerCreating", "PodInitializing":
			return nil
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
			"RegistryUnavailable", "SignatureValidationFailed":
			return conditionFalse(v1alpha1.ReasonImagePullFailed, fmt.Sprintf("image %s of the %s: %s",
				status.Image, name, backOffPrefix.ReplaceAllString(waiting.Message, "")))
		case "CrashLoopBackOff":
			return crashed(status.LastTerminationState.Terminated, name)
		}
		return conditionFalse(v1alpha1.ReasonContainerRefused,
			fmt.Sprintf("the container of the %s cannot start: %s: %s", name, waiting.Reason, waiting.Message))
	}
	if terminated := status.State.Terminated; terminated != nil {
		return crashed(terminated, name)
	}
	// Between two crashes the process runs for a moment. The reason must not change with each of them.
	last := status.LastTerminationState.Terminated
	if last != nil && last.ExitCode != 0 && status.Started != nil && !*status.Started {
		return crashed(last, name)
	}
	return nil
}

// crashed returns the condition for a container that has terminated. terminated may be nil.
func crashed(terminated *corev1.ContainerStateTerminated, name string) *metav1.Condition {
	if terminated == nil {
		return conditionFalse(v1alpha1.ReasonCrashLoop, fmt.Sprintf("the %s exits repeatedly", name))
	}
	message := fmt.Sprintf("the %s exited with code %d", name, terminated.ExitCode)
	if terminated.Reason == "OOMKilled" {
		message += " (OOMKilled: its memory limit is too low)"
	}
	if line := lastLogLine(terminated.Message); line != "" {
		message += ": " + line
	}
	return conditionFalse(v1alpha1.ReasonCrashLoop, message)
}

// lastLogLine returns the last line of a termination message, which is the end of the container's log. Of a line in
// JSON it returns message and error only: with the time, the condition would change with each crash.
func lastLogLine(terminationMessage string) string {
	lines := strings.Split(strings.TrimSpace(terminationMessage), "\n")
	last := lines[len(lines)-1]
	var record struct {
		Message string `json:"msg"`
		Error   string `json:"error"`
	}
	if json.Unmarshal([]byte(last), &record) != nil || record.Message == "" {
		return last
	}
	return strings.TrimSuffix(record.Message+": "+record.Error, ": ")
}
