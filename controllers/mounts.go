package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

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
