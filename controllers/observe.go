package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// kinds are the kinds of objects that belong to RoseyBots.
var kinds = []struct {
	object client.Object
	list   client.ObjectList
}{
	{&appsv1.Deployment{}, &appsv1.DeploymentList{}},
	{&corev1.ConfigMap{}, &corev1.ConfigMapList{}},
	{&corev1.PersistentVolumeClaim{}, &corev1.PersistentVolumeClaimList{}},
	{&corev1.Pod{}, &corev1.PodList{}},
	{&corev1.Service{}, &corev1.ServiceList{}},
	{&corev1.ServiceAccount{}, &corev1.ServiceAccountList{}},
	{&networkingv1.NetworkPolicy{}, &networkingv1.NetworkPolicyList{}},
	{&policyv1.PodDisruptionBudget{}, &policyv1.PodDisruptionBudgetList{}},
	{&autoscalingv2.HorizontalPodAutoscaler{}, &autoscalingv2.HorizontalPodAutoscalerList{}},
}

// CheckAccess returns an error if the API server forbids to read objects of some kind that the operator needs in a
// namespace. Other failures pass, so they are none.
func CheckAccess(ctx context.Context, reader client.Reader, namespace string) error {
	lists := []client.ObjectList{&v1alpha1.RoseyBotList{}}
	for _, kind := range kinds {
		lists = append(lists, kind.list)
	}
	for _, list := range lists {
		list, _ := list.DeepCopyObject().(client.ObjectList)
		err := reader.List(ctx, list, client.InNamespace(namespace), client.Limit(1))
		if apierrors.IsForbidden(err) {
			return fmt.Errorf("reading namespace %s: %w", namespace, err)
		}
	}
	return nil
}

// observed is the state of the cluster as far as it concerns one RoseyBot.
type observed struct {
	manifests.Observed
	pods map[manifests.Component][]corev1.Pod
	// sharers are the RoseyBots that share the database service which the RoseyBot uses, and servicePods its pods.
	sharers     []v1alpha1.RoseyBot
	servicePods []corev1.Pod
	// server is how many RoseyBots use the CyTube server.
	server serverUse
}

// observe reads all objects that carry the RoseyBot's label, and the owner of a shared database service, from the
// cache.
func (r *Reconciler) observe(ctx context.Context, bot *v1alpha1.RoseyBot) (observed, error) {
	found := newObserved()
	for _, kind := range kinds {
		list, _ := kind.list.DeepCopyObject().(client.ObjectList)
		err := r.Client.List(ctx, list, client.InNamespace(bot.Namespace),
			client.MatchingLabels{manifests.LabelRoseyBot: bot.Name})
		if err == nil {
			err = meta.EachListItem(list, found.add)
		}
		if err != nil {
			return observed{}, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	found.findClaimHolders(manifests.ClaimName(bot))
	found.countTemplates()
	r.memories.of(bot).adoptGenerations(found)
	if name := manifests.SharedFrom(bot); name != "" {
		owner := &v1alpha1.RoseyBot{}
		switch err := r.Client.Get(ctx, client.ObjectKey{Namespace: bot.Namespace, Name: name}, owner); {
		case err == nil:
			found.Owner = owner
		case client.IgnoreNotFound(err) != nil:
			return observed{}, fmt.Errorf("reading RoseyBot %s: %w", name, err)
		}
	}
	var err error
	if found.NamespaceUID, err = r.namespaceUID(ctx, bot); err != nil {
		return observed{}, err
	}
	if found.server, err = r.serverUse(ctx, bot); err != nil {
		return observed{}, err
	}
	err = r.observeSharing(ctx, bot, &found)
	return found, err
}

// namespaceUID returns the UID of a RoseyBot's namespace, which is read once: a namespace that is created again has no
// RoseyBot with the same UID. It is empty if the operator may not read the namespace.
func (r *Reconciler) namespaceUID(ctx context.Context, bot *v1alpha1.RoseyBot) (types.UID, error) {
	memory := r.memories.of(bot)
	if memory.namespaceUID != nil {
		return *memory.namespaceUID, nil
	}
	namespace := &corev1.Namespace{}
	err := r.Live.Get(ctx, client.ObjectKey{Name: bot.Namespace}, namespace)
	switch {
	case apierrors.IsForbidden(err): // not asked again in each reconcile: the permission comes with another operator
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading namespace %s: %w", bot.Namespace, err)
	}
	memory.namespaceUID = &namespace.UID
	return namespace.UID, nil
}

func newObserved() observed {
	return observed{
		Observed: manifests.Observed{
			Objects:      map[manifests.Key]client.Object{},
			ClaimHolders: map[manifests.Component]string{},
			Pods:         map[manifests.Component]manifests.PodCount{},
		},
		pods: map[manifests.Component][]corev1.Pod{},
	}
}

// add adds an item of a list. Its kind has to be set, as it is in what the cache returns.
func (o observed) add(item runtime.Object) error {
	switch item := item.(type) {
	case *corev1.Pod:
		component := manifests.Component(item.Labels[manifests.LabelComponent])
		o.pods[component] = append(o.pods[component], *item)
	case client.Object:
		o.Objects[manifests.KeyOf(item)] = item
	}
	return nil
}

// findClaimHolders sets, for each component, a pod that mounts the claim: the first by name if there are several, so
// that a message with its name stays the same.
func (o observed) findClaimHolders(claimName string) {
	for component, pods := range o.pods {
		for i := range pods {
			pod, holder := &pods[i], o.ClaimHolders[component]
			mounts := slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
				return volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ClaimName == claimName
			})
			if mounts && !podEnded(pod) && (holder == "" || pod.Name < holder) {
				o.ClaimHolders[component] = pod.Name
			}
		}
	}
}

// countTemplates counts the pods of each component and their templates.
func (o observed) countTemplates() {
	for component, pods := range o.pods {
		count, templates := manifests.PodCount{}, map[string]bool{}
		for i := range pods {
			pod := &pods[i]
			if podEnded(pod) {
				continue
			}
			count.All++
			if pod.DeletionTimestamp.IsZero() {
				templates[pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]] = true
			}
		}
		count.Templates = len(templates)
		o.Pods[component] = count
	}
}

// newestPod returns the pod of a component whose state explains the component's: the youngest of those that are not
// being deleted, ready ones before others, and one that has ended, such as an evicted one, only if there is no other.
// It returns nil if there is none.
func (o observed) newestPod(component manifests.Component) (newest *corev1.Pod) {
	for i := range o.pods[component] {
		pod := &o.pods[component][i]
		if pod.DeletionTimestamp.IsZero() && (newest == nil || cmp.Or(cmp.Compare(podRank(pod), podRank(newest)),
			pod.CreationTimestamp.Compare(newest.CreationTimestamp.Time)) > 0) {
			newest = pod
		}
	}
	return newest
}

// waitingPod returns the youngest pod of a component that is not ready, has not ended and is not being deleted, or nil.
func (o observed) waitingPod(component manifests.Component) (youngest *corev1.Pod) {
	for i := range o.pods[component] {
		pod := &o.pods[component][i]
		if podReady(pod) || podEnded(pod) || !pod.DeletionTimestamp.IsZero() {
			continue
		}
		if youngest == nil || pod.CreationTimestamp.After(youngest.CreationTimestamp.Time) {
			youngest = pod
		}
	}
	return youngest
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

// runningPod returns the pod of a component with a name, or nil if it does not run or is being deleted.
func (o observed) runningPod(component manifests.Component, name string) *corev1.Pod {
	for i := range o.pods[component] {
		pod := &o.pods[component][i]
		if running, _ := podRunning(pod); running && pod.Name == name && pod.DeletionTimestamp.IsZero() {
			return pod
		}
	}
	return nil
}

// hasPod reports whether a component has a pod with a name.
func (o observed) hasPod(component manifests.Component, name string) bool {
	return slices.ContainsFunc(o.pods[component], func(pod corev1.Pod) bool { return pod.Name == name })
}

// countPods returns how many pods of a component exist, and how many of them are ready. Pods that are being deleted or
// have ended do not count.
func (o observed) countPods(component manifests.Component) (existing, ready int32) {
	for i := range o.pods[component] {
		if pod := &o.pods[component][i]; pod.DeletionTimestamp.IsZero() && !podEnded(pod) {
			existing++
			if podReady(pod) {
				ready++
			}
		}
	}
	return existing, ready
}

func podEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

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
		if !isProcess(container.Name) {
			continue
		}
		running = running || container.State.Running != nil
		started = started || container.State.Running != nil && ptr.Deref(container.Started, false)
	}
	return running, started
}

// leftPod returns the name of a pod of a component that has not ended, or "".
func (o observed) leftPod(component manifests.Component) string {
	for i := range o.pods[component] {
		if pod := &o.pods[component][i]; !podEnded(pod) {
			return pod.Name
		}
	}
	return ""
}
