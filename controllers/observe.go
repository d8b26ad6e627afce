package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// observed is all that a pass sees of what belongs to a RoseyBot.
type observed struct {
	objects map[objectKey]client.Object
	pods    map[manifests.Component][]corev1.Pod
}

type objectKey struct{ kind, name string }

func keyOf(object client.Object) objectKey {
	return objectKey{kind: object.GetObjectKind().GroupVersionKind().Kind, name: object.GetName()}
}

// observe reads everything that carries the RoseyBot's label from the cache.
func (r *Reconciler) observe(ctx context.Context, bot *v1alpha1.RoseyBot) (observed, error) {
	seen := observed{objects: map[objectKey]client.Object{}, pods: map[manifests.Component][]corev1.Pod{}}
	scope := []client.ListOption{
		client.InNamespace(bot.Namespace),
		client.MatchingLabels{manifests.LabelRoseyBot: bot.Name},
	}
	for _, list := range []client.ObjectList{
		&appsv1.DeploymentList{}, &corev1.ServiceList{}, &corev1.ConfigMapList{},
		&corev1.ServiceAccountList{}, &corev1.PersistentVolumeClaimList{}, &networkingv1.NetworkPolicyList{},
	} {
		if err := r.Client.List(ctx, list, scope...); err != nil {
			return observed{}, fmt.Errorf("listing %T: %w", list, err)
		}
		if err := seen.putAll(r.Client.Scheme(), list); err != nil {
			return observed{}, err
		}
	}
	pods := &corev1.PodList{}
	if err := r.Client.List(ctx, pods, scope...); err != nil {
		return observed{}, fmt.Errorf("listing pods: %w", err)
	}
	for _, pod := range pods.Items {
		component := manifests.Component(pod.Labels[manifests.LabelComponent])
		seen.pods[component] = append(seen.pods[component], pod)
	}
	return seen, nil
}

func (o observed) putAll(scheme *runtime.Scheme, list client.ObjectList) error {
	err := meta.EachListItem(list, func(item runtime.Object) error {
		gvk, err := apiutil.GVKForObject(item, scheme)
		if err != nil {
			return fmt.Errorf("kind of %T: %w", item, err)
		}
		if object, ok := item.(client.Object); ok {
			object.GetObjectKind().SetGroupVersionKind(gvk)
			o.objects[keyOf(object)] = object
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading %T: %w", list, err)
	}
	return nil
}

// deployment returns nil where there is none.
func (o observed) deployment(name string) *appsv1.Deployment {
	deployment, _ := o.objects[objectKey{kind: "Deployment", name: name}].(*appsv1.Deployment)
	return deployment
}

// claim returns nil where there is none.
func (o observed) claim(name string) *corev1.PersistentVolumeClaim {
	claim, _ := o.objects[objectKey{kind: "PersistentVolumeClaim", name: name}].(*corev1.PersistentVolumeClaim)
	return claim
}

// newestPod returns the youngest pod that is not on its way out, or nil.
func (o observed) newestPod(component manifests.Component) *corev1.Pod {
	var newest *corev1.Pod
	for i := range o.pods[component] {
		pod := &o.pods[component][i]
		if !pod.DeletionTimestamp.IsZero() {
			continue
		}
		if newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp) {
			newest = pod
		}
	}
	return newest
}

// count returns how many pods of a component exist and how many of them are ready. A pod that is on its way out or
// has ended is neither.
func (o observed) count(component manifests.Component) (existing, ready int32) {
	for i := range o.pods[component] {
		pod := &o.pods[component][i]
		if !pod.DeletionTimestamp.IsZero() || pod.Status.Phase == corev1.PodFailed ||
			pod.Status.Phase == corev1.PodSucceeded {
			continue
		}
		existing++
		if podReady(pod) {
			ready++
		}
	}
	return existing, ready
}

func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
