package controllers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// Reasons for which a container waits that are no problem.
const (
	containerCreating = "ContainerCreating"
	podInitializing   = "PodInitializing"
)

// isProcess reports whether a container is that of a component. Others come from admission.
func isProcess(container string) bool {
	return container == string(status.PluginComponent) || displayNames[manifests.Component(container)] != ""
}

// podCause returns the reason that Kubernetes knows for a pod not to be ready, or nil. mountError is what the kubelet
// says about its volumes, or "".
func podCause(pod *corev1.Pod, name, mountError string) *metav1.Condition {
	if pod.Status.Phase == corev1.PodFailed {
		return conditionFalse(v1alpha1.ReasonPodFailed,
			fmt.Sprintf("the pod of the %s failed: %s %s", name, pod.Status.Reason, pod.Status.Message))
	}
	if message, isUnschedulable := unschedulable(pod); isUnschedulable {
		return conditionFalse(v1alpha1.ReasonUnschedulable,
			fmt.Sprintf("the pod of the %s cannot be scheduled: %s", name, message))
	}
	for i := range pod.Status.InitContainerStatuses {
		container := &pod.Status.InitContainerStatuses[i]
		if ended := container.State.Terminated; ended != nil && ended.ExitCode == 0 {
			continue // it has done its work
		}
		if condition := containerCause(container, containerName(container.Name, name)); condition != nil {
			return condition
		}
	}
	for i := range pod.Status.ContainerStatuses {
		container := &pod.Status.ContainerStatuses[i]
		if condition := containerCause(container, containerName(container.Name, name)); condition != nil {
			return condition
		}
	}
	if mountError != "" && isCreating(pod) {
		return conditionFalse(v1alpha1.ReasonMountFailed, fmt.Sprintf("the pod of the %s cannot start: %s", name, mountError))
	}
	return nil
}

// containerName describes a container in the pod of what name describes.
func containerName(container, name string) string {
	if isProcess(container) {
		return name
	}
	return fmt.Sprintf("container %s in the pod of the %s", container, name)
}

// isCreating reports whether a pod has a node, and its containers are not created yet.
func isCreating(pod *corev1.Pod) bool {
	if pod.Spec.NodeName == "" || pod.Status.Phase != corev1.PodPending {
		return false
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			waiting := statuses[i].State.Waiting
			if waiting == nil || waiting.Reason != containerCreating && waiting.Reason != podInitializing {
				return false
			}
		}
	}
	return true
}

// notReadyCause returns the reason why a pod is not ready although its process is.
func notReadyCause(pod *corev1.Pod, name string) *metav1.Condition {
	for i := range pod.Status.ContainerStatuses {
		if container := &pod.Status.ContainerStatuses[i]; !container.Ready && !isProcess(container.Name) {
			return conditionFalse(v1alpha1.ReasonNotReady, "the "+containerName(container.Name, name)+" is not ready")
		}
	}
	ready := podCondition(pod, corev1.PodReady)
	if podCondition(pod, corev1.ContainersReady).Status == corev1.ConditionTrue && ready.Message != "" {
		return conditionFalse(v1alpha1.ReasonNotReady, fmt.Sprintf("the pod of the %s is not ready: %s", name, ready.Message))
	}
	return conditionFalse(string(status.ReasonStarting),
		fmt.Sprintf("the %s reports that it is ready; its readiness probe has not succeeded yet", name))
}

// unschedulable reports whether the scheduler found no node for a pod, and returns its message.
func unschedulable(pod *corev1.Pod) (message string, isUnschedulable bool) {
	scheduled := podCondition(pod, corev1.PodScheduled)
	return scheduled.Message, scheduled.Status == corev1.ConditionFalse
}

// backOffPrefix is what the kubelet puts in front of the error of a pull while it waits for the next attempt. It is cut
// off, so that the message stays the same from attempt to attempt.
var backOffPrefix = regexp.MustCompile(`^.*: ErrImagePull: `)

// containerCause returns the reason that the kubelet knows for a container not to run, or nil. name describes the
// container.
func containerCause(container *corev1.ContainerStatus, name string) *metav1.Condition {
	if waiting := container.State.Waiting; waiting != nil {
		switch waiting.Reason {
		case "", containerCreating, podInitializing:
			return nil
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
			"RegistryUnavailable", "SignatureValidationFailed":
			return conditionFalse(v1alpha1.ReasonImagePullFailed, fmt.Sprintf("image %s of the %s: %s",
				container.Image, name, backOffPrefix.ReplaceAllString(waiting.Message, "")))
		case "CrashLoopBackOff":
			return crashCause(container.LastTerminationState.Terminated, name)
		}
		what := "container of the " + name
		if !isProcess(container.Name) {
			what = name
		}
		return conditionFalse(v1alpha1.ReasonContainerRefused,
			fmt.Sprintf("the %s cannot start: %s: %s", what, waiting.Reason, waiting.Message))
	}
	if terminated := container.State.Terminated; terminated != nil {
		return crashCause(terminated, name)
	}
	// Between two crashes the process runs for a moment. The reason must not change with each of them.
	last := container.LastTerminationState.Terminated
	if last != nil && last.ExitCode != 0 && container.Started != nil && !*container.Started {
		return crashCause(last, name)
	}
	return nil
}

// crashCause returns the condition for a container that has terminated. terminated may be nil.
func crashCause(terminated *corev1.ContainerStateTerminated, name string) *metav1.Condition {
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

const (
	// readEventsAfter is how long a pod may take to start before its events are read. Mounting a volume takes seconds.
	readEventsAfter = 10 * time.Second
	// maxEvents bounds the events of a pod that are read. They are read in pages, because everybody who may create events
	// in the namespace can create some about the pod, of more than 1 MB each.
	maxEvents     = 20
	eventsPerPage = 4
)

// mountReasons are the reasons of events for which the containers of a pod are not created. No field of the pod has
// them.
var mountReasons = []string{"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"}

// readMountErrors returns what the kubelet and the controllers of volumes say about the pods of a RoseyBot that have a
// node and whose containers are not created. Only events have it: they are read for those pods alone. If they cannot be
// read, what is known remains.
func (r *Reconciler) readMountErrors(ctx context.Context, in statusInput) map[types.UID]string {
	memory, now, found := r.memories.of(in.bot), r.now(), map[types.UID]string{}
	for _, component := range manifests.Components(in.bot) {
		pod := in.observed.waitingPod(component)
		if pod == nil || !isCreating(pod) || now.Sub(pod.CreationTimestamp.Time) < r.readEventsAfter {
			continue
		}
		found[pod.UID] = memory.mountErrors[pod.UID]
		if _, allowed := r.eventReads.allow(client.ObjectKeyFromObject(in.bot), now); !allowed {
			continue
		}
		if events, err := r.readEvents(ctx, pod); err == nil {
			found[pod.UID] = mountError(events)
		}
	}
	memory.mountErrors = found
	return found
}

// readEvents returns the first events about a pod's mounts.
func (r *Reconciler) readEvents(ctx context.Context, pod *corev1.Pod) (found []corev1.Event, _ error) {
	selected := fields.Set{"involvedObject.uid": string(pod.UID), "type": corev1.EventTypeWarning}.AsSelector()
	next := ""
	for range maxEvents / eventsPerPage {
		page := &corev1.EventList{}
		err := r.Live.List(ctx, page, client.InNamespace(pod.Namespace), client.MatchingFieldsSelector{Selector: selected},
			client.Limit(eventsPerPage), client.Continue(next))
		if err != nil {
			return nil, fmt.Errorf("reading the events of pod %s: %w", pod.Name, err)
		}
		for _, event := range page.Items {
			if slices.Contains(mountReasons, event.Reason) {
				found = append(found, corev1.Event{ // a copy, so that the page does not stay in memory
					Message:       status.OneLine(event.Message, maxConditionMessage),
					LastTimestamp: event.LastTimestamp, EventTime: event.EventTime, Series: event.Series,
				})
			}
		}
		if next = page.Continue; next == "" {
			break
		}
	}
	return found, nil
}

// mountError returns the message of the newest event that says why a pod's containers are not created, or "". Between
// two events with the cause, the kubelet emits others that only say that mounting timed out.
func mountError(events []corev1.Event) string {
	if len(events) == 0 {
		return ""
	}
	newest := slices.MaxFunc(events, func(a, b corev1.Event) int {
		return cmp.Or(cmp.Compare(saysCause(a), saysCause(b)), lastSeen(a).Compare(lastSeen(b)))
	})
	return newest.Message
}

// saysCause returns 1 if the message of an event has a cause, and 0 if it only has a time-out.
func saysCause(event corev1.Event) int {
	if strings.Contains(event.Message, "timed out waiting for the condition") ||
		strings.Contains(event.Message, "context deadline exceeded") {
		return 0
	}
	return 1
}

func lastSeen(event corev1.Event) time.Time {
	last := event.LastTimestamp.Time
	if event.EventTime.After(last) {
		last = event.EventTime.Time
	}
	if event.Series != nil && event.Series.LastObservedTime.After(last) {
		last = event.Series.LastObservedTime.Time
	}
	return last
}
