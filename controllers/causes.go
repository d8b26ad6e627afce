package controllers

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// cause says why a component that should have a ready pod has none: first what Kubernetes knows of claim and pod,
// then what the process says of itself.
func cause(s situation, component manifests.Component) verdict {
	pod := s.seen.newestPod(component)
	if manifests.HoldsClaim(s.bot, component) {
		if found, ok := claimCause(find[*corev1.PersistentVolumeClaim](s.seen, manifests.ClaimName(s.bot)), pod); ok {
			return found
		}
	}
	name := inWords[component]
	if pod == nil {
		return noPodCause(s.deployment(component), name)
	}
	if found, ok := podCause(pod, name); ok {
		return found
	}
	heard, asked := s.answers[component]
	switch {
	case !asked:
		return no(string(status.ReasonStarting), fmt.Sprintf("the %s starts", name))
	case heard.err != nil:
		return unknown(fmt.Sprintf("the %s is not ready and cannot be asked why: %v", name, heard.err))
	case heard.report.Ready:
		return no(string(status.ReasonStarting), fmt.Sprintf("the %s is ready by its own account", name))
	}
	return no(words(s, heard.report.Reason, heard.report.Message))
}

// claimCause blames the claim for a pod that waits for a volume. A claim may be pending because the pod has no node,
// so the scheduler's words decide.
func claimCause(claim *corev1.PersistentVolumeClaim, pod *corev1.Pod) (verdict, bool) {
	if claim == nil {
		return verdict{}, false
	}
	name := "PersistentVolumeClaim " + claim.Name
	switch {
	case claim.Status.Phase == corev1.ClaimLost:
		return no(v1alpha1.ReasonClaimLost, name+" lost its volume"), true
	case claim.DeletionTimestamp != nil:
		return no(v1alpha1.ReasonClaimPending, name+" is being deleted"), true
	case claim.Status.Phase == corev1.ClaimBound || pod == nil || pod.Spec.NodeName != "":
		return verdict{}, false
	}
	refused, isRefused := unschedulable(pod)
	if !isRefused {
		return no(v1alpha1.ReasonClaimPending, name+" waits for a volume"), true
	}
	lower := strings.ToLower(refused)
	if strings.Contains(lower, "volume") || strings.Contains(lower, "storageclass") {
		return no(v1alpha1.ReasonClaimPending, fmt.Sprintf("%s waits for a volume: %s", name, refused)), true
	}
	return verdict{}, false
}

func noPodCause(deployment *appsv1.Deployment, name string) verdict {
	if deployment != nil {
		for _, condition := range deployment.Status.Conditions {
			if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
				return no(v1alpha1.ReasonPodsRefused, fmt.Sprintf("no pod of the %s: %s", name, condition.Message))
			}
		}
	}
	return no(v1alpha1.ReasonProgressing, fmt.Sprintf("the %s has no pod yet", name))
}

// podCause is what Kubernetes knows of a pod that cannot do its job.
func podCause(pod *corev1.Pod, name string) (verdict, bool) {
	if pod.Status.Phase == corev1.PodFailed {
		return no(v1alpha1.ReasonPodFailed,
			fmt.Sprintf("the pod of the %s ended: %s %s", name, pod.Status.Reason, pod.Status.Message)), true
	}
	if message, ok := unschedulable(pod); ok {
		return no(v1alpha1.ReasonUnschedulable, fmt.Sprintf("no node takes the %s: %s", name, message)), true
	}
	for i := range pod.Status.ContainerStatuses {
		if found, ok := containerCause(&pod.Status.ContainerStatuses[i], name); ok {
			return found, true
		}
	}
	return verdict{}, false
}

func unschedulable(pod *corev1.Pod) (message string, ok bool) {
	scheduled := podCondition(pod, corev1.PodScheduled)
	return scheduled.Message, scheduled.Status == corev1.ConditionFalse
}

// pullError is what the kubelet puts in front while it waits to try again; without it the message stays the same.
var pullError = regexp.MustCompile(`^.*: ErrImagePull: `)

func containerCause(status *corev1.ContainerStatus, name string) (verdict, bool) {
	if waiting := status.State.Waiting; waiting != nil {
		switch waiting.Reason {
		case "", "ContainerCreating", "PodInitializing":
			return verdict{}, false
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
			"RegistryUnavailable", "SignatureValidationFailed":
			return no(v1alpha1.ReasonImagePullFailed,
				fmt.Sprintf("image %s of the %s: %s", status.Image, name, pullError.ReplaceAllString(waiting.Message, ""))), true
		case "CrashLoopBackOff":
			return crash(status.LastTerminationState.Terminated, name), true
		}
		return no(v1alpha1.ReasonContainerRefused,
			fmt.Sprintf("the %s: %s: %s", name, waiting.Reason, waiting.Message)), true
	}
	if ended := status.State.Terminated; ended != nil {
		return crash(ended, name), true
	}
	// Between two crashes the process runs for a moment: that is still the same cause.
	ended := status.LastTerminationState.Terminated
	if ended != nil && ended.ExitCode != 0 && status.Started != nil && !*status.Started {
		return crash(ended, name), true
	}
	return verdict{}, false
}

func crash(ended *corev1.ContainerStateTerminated, name string) verdict {
	if ended == nil {
		return no(v1alpha1.ReasonCrashLoop, fmt.Sprintf("the %s ends again and again", name))
	}
	message := fmt.Sprintf("the %s ended with exit code %d", name, ended.ExitCode)
	if ended.Reason == "OOMKilled" {
		message += " (OOMKilled: it needs a greater memory limit)"
	}
	if last := lastWords(ended.Message); last != "" {
		message += ": " + last
	}
	return no(v1alpha1.ReasonCrashLoop, message)
}

// lastWords is the last line that a process left. A JSON log line is reduced to what it says, without its time.
func lastWords(message string) string {
	lines := strings.Split(strings.TrimSpace(message), "\n")
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
