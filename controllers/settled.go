package controllers

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/controllers/manifests"
)

// A write of a Deployment may change nothing about its pods, but only labels or annotations, for example when the
// operator was upgraded. It gives the Deployment a new generation all the same. Without the functions below every
// RoseyBot would then be not ready until the Deployment controller has seen that generation.

// keepsPods reports whether writing content, which is that of desired, changes nothing about the pods of a Deployment
// whose status is up to date.
func (r *Reconciler) keepsPods(live, desired client.Object, content *unstructured.Unstructured) bool {
	before, isDeployment := live.(*appsv1.Deployment)
	after, _ := desired.(*appsv1.Deployment)
	if !isDeployment || before.Status.ObservedGeneration < before.Generation || !manifests.SameRollout(after, before) {
		return false
	}
	pods := &unstructured.Unstructured{Object: map[string]any{"spec": content.Object["spec"]}}
	pods.SetGroupVersionKind(content.GroupVersionKind())
	differs, err := r.differences(live, pods)
	return err == nil && differs.Empty()
}

// settle takes into account that the status of a Deployment is true before the Deployment controller has seen such a
// write.
func (r *Reconciler) settle(found observed) {
	for key, object := range found.Objects {
		deployment, isDeployment := object.(*appsv1.Deployment)
		if !isDeployment {
			continue
		}
		generation, known := r.settled.Load(deployment.UID)
		switch {
		case !known:
		case deployment.Status.ObservedGeneration >= deployment.Generation:
			r.settled.CompareAndDelete(deployment.UID, deployment.Generation)
		case generation == deployment.Generation:
			deployment = deployment.DeepCopy()
			deployment.Status.ObservedGeneration = deployment.Generation
			found.Objects[key] = deployment
		}
	}
}
