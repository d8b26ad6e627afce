package controllers

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// observed is all that a pass sees of what belongs to a RoseyBot.
type observed struct {
	objects map[objectKey]client.Object
	pods    map[manifests.Component][]corev1.Pod
	// owner is the RoseyBot of database.sharedFrom, or nil where it does not exist.
	owner *v1alpha1.RoseyBot
}

type objectKey struct{ kind, name string }

func keyOf(object client.Object) objectKey {
	return objectKey{kind: object.GetObjectKind().GroupVersionKind().Kind, name: object.GetName()}
}

// kinds are those of the objects that belong to RoseyBots.
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

// observe reads everything that carries the RoseyBot's label from the cache.
func (r *Reconciler) observe(ctx context.Context, bot *v1alpha1.RoseyBot) (observed, error) {
	seen := observed{objects: map[objectKey]client.Object{}, pods: map[manifests.Component][]corev1.Pod{}}
	for _, kind := range kinds {
		list, _ := kind.list.DeepCopyObject().(client.ObjectList)
		err := r.Client.List(ctx, list, client.InNamespace(bot.Namespace),
			client.MatchingLabels{manifests.LabelRoseyBot: bot.Name})
		if err == nil {
			err = meta.EachListItem(list, seen.put)
		}
		if err != nil {
			return observed{}, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	if name := manifests.SharedFrom(bot); name != "" {
		owner := &v1alpha1.RoseyBot{}
		switch err := r.Client.Get(ctx, client.ObjectKey{Namespace: bot.Namespace, Name: name}, owner); {
		case err == nil:
			seen.owner = owner
		case client.IgnoreNotFound(err) != nil:
			return observed{}, fmt.Errorf("reading RoseyBot %s: %w", name, err)
		}
	}
	return seen, nil
}

// put takes an item of a list as the cache returns it: with its kind.
func (o observed) put(item runtime.Object) error {
	switch item := item.(type) {
	case *corev1.Pod:
		component := manifests.Component(item.Labels[manifests.LabelComponent])
		o.pods[component] = append(o.pods[component], *item)
	case client.Object:
		o.objects[keyOf(item)] = item
	}
	return nil
}

// find returns nil where there is none of the kind that T is.
func find[T client.Object](seen observed, name string) (found T) {
	found, _ = seen.objects[objectKey{kind: reflect.TypeFor[T]().Elem().Name(), name: name}].(T)
	return found
}

// newestPod returns the youngest pod that is not on its way out, one that is ready before one that is not, or nil.
func (o observed) newestPod(component manifests.Component) (newest *corev1.Pod) {
	for i := range o.pods[component] {
		pod := &o.pods[component][i]
		if pod.DeletionTimestamp.IsZero() && (newest == nil || podReady(pod) && !podReady(newest) ||
			podReady(pod) == podReady(newest) && newest.CreationTimestamp.Before(&pod.CreationTimestamp)) {
			newest = pod
		}
	}
	return newest
}

// count returns how many pods of a component exist and how many of them are ready. A pod that is on its way out or
// has ended is neither.
func (o observed) count(component manifests.Component) (existing, ready int32) {
	for i := range o.pods[component] {
		if pod := &o.pods[component][i]; pod.DeletionTimestamp.IsZero() && !ended(pod) {
			existing++
			if podReady(pod) {
				ready++
			}
		}
	}
	return existing, ready
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

func podReady(pod *corev1.Pod) bool {
	return podCondition(pod, corev1.PodReady).Status == corev1.ConditionTrue
}

// podCondition is the zero condition where a pod has none of the type.
func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) corev1.PodCondition {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == kind {
			return condition
		}
	}
	return corev1.PodCondition{}
}

// running says whether a container runs, and where it must have, whether its startup probe succeeded.
func running(pod *corev1.Pod, started bool) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool {
		return status.State.Running != nil && (!started || ptr.Deref(status.Started, false))
	})
}
