package controllers

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// podsWhere returns the pods of a component for which all predicates hold.
func (o observed) podsWhere(
	component manifests.Component, predicates ...func(*corev1.Pod) bool,
) (found []*corev1.Pod) {
	for i := range o.pods[component] {
		pod := &o.pods[component][i]
		if !slices.ContainsFunc(predicates, func(holds func(*corev1.Pod) bool) bool { return !holds(pod) }) {
			found = append(found, pod)
		}
	}
	return found
}

// maxPod returns the largest pod, or nil if there is none.
func maxPod(pods []*corev1.Pod, compare func(a, b *corev1.Pod) int) *corev1.Pod {
	if len(pods) == 0 {
		return nil
	}
	return slices.MaxFunc(pods, compare)
}

func compareAges(a, b *corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) }

// findClaimPods sets, for each component, a pod that mounts the claim: the first by name if there are several, so
// that a message with its name stays the same.
func (o observed) findClaimPods(claimName string) {
	mounts := func(pod *corev1.Pod) bool {
		return slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
			return volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ClaimName == claimName
		})
	}
	for component := range o.pods {
		first := maxPod(o.podsWhere(component, not(podEnded), mounts), func(a, b *corev1.Pod) int {
			return cmp.Compare(b.Name, a.Name)
		})
		if first != nil {
			o.ClaimPods[component] = first.Name
		}
	}
}

// countTemplates counts the pods of each component and their templates.
func (o observed) countTemplates() {
	for component := range o.pods {
		templates := map[string]bool{}
		for _, pod := range o.podsWhere(component, podActive) {
			templates[pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]] = true
		}
		o.Pods[component] = manifests.PodCount{All: len(o.podsWhere(component, not(podEnded))), Templates: len(templates)}
	}
}

// newestPod returns the pod of a component whose state explains the component's: the youngest of those that are not
// being deleted, ready ones before others, and one that has ended, such as an evicted one, only if there is no other.
// It returns nil if there is none.
func (o observed) newestPod(component manifests.Component) *corev1.Pod {
	return maxPod(o.podsWhere(component, not(podDeleted)), func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(podRank(a), podRank(b)), compareAges(a, b))
	})
}

func podRank(pod *corev1.Pod) int {
	switch {
	case podEnded(pod):
		return 0
	case podReady(pod):
		return 2
	}
	return 1
}

// waitingPod returns the youngest active pod of a component that is not ready, or nil.
func (o observed) waitingPod(component manifests.Component) *corev1.Pod {
	return maxPod(o.podsWhere(component, podActive, not(podReady)), compareAges)
}

// runningPod returns the pod of a component with a name, or nil if it does not run or is being deleted.
func (o observed) runningPod(component manifests.Component, name string) *corev1.Pod {
	runs := func(pod *corev1.Pod) bool { running, _ := podRunning(pod); return running }
	return maxPod(o.podsWhere(component, not(podDeleted), podNamed(name), runs), compareAges)
}

// hasPod reports whether a component has a pod with a name.
func (o observed) hasPod(component manifests.Component, name string) bool {
	return len(o.podsWhere(component, podNamed(name))) > 0
}

// countPods returns how many active pods a component has, and how many of them are ready.
func (o observed) countPods(component manifests.Component) v1alpha1.ComponentStatus {
	return v1alpha1.ComponentStatus{
		Replicas:      int32(len(o.podsWhere(component, podActive))),           //nolint:gosec // pods are far fewer
		ReadyReplicas: int32(len(o.podsWhere(component, podActive, podReady))), //nolint:gosec // pods are far fewer
	}
}

// not returns the opposite of a predicate.
func not(holds func(*corev1.Pod) bool) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool { return !holds(pod) }
}

func podNamed(name string) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool { return pod.Name == name }
}

func podDeleted(pod *corev1.Pod) bool { return !pod.DeletionTimestamp.IsZero() }

func podEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

// podActive reports whether a pod has not ended and is not being deleted.
func podActive(pod *corev1.Pod) bool { return !podEnded(pod) && !podDeleted(pod) }

func podReady(pod *corev1.Pod) bool {
	return podCondition(pod, corev1.PodReady).Status == corev1.ConditionTrue
}

// podCondition returns the zero condition if a pod has none of a type.
func podCondition(pod *corev1.Pod, conditionType corev1.PodConditionType) corev1.PodCondition {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == conditionType {
			return condition
		}
	}
	return corev1.PodCondition{}
}

// podRunning reports whether the process in a pod runs, and whether it has also passed its startup probe. The pod may
// be nil.
func podRunning(pod *corev1.Pod) (running, started bool) {
	if pod == nil {
		return false, false
	}
	for i := range pod.Status.ContainerStatuses {
		container := &pod.Status.ContainerStatuses[i]
		if isProcess(container.Name) && container.State.Running != nil {
			running, started = true, started || ptr.Deref(container.Started, false)
		}
	}
	return running, started
}
