package controllers

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/controllers/manifests"
)

// A write of a Deployment may change nothing about its pods, but only labels or annotations, for example when the
// operator was upgraded. It gives the Deployment a new generation all the same. Without the functions below every
// RoseyBot would then not be ready until the Deployment controller has seen that generation.

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

// deploymentWrite is a write of a Deployment.
type deploymentWrite struct {
	uid        types.UID
	generation int64
}

// adoptGenerations makes the status of each Deployment count for its last generation, if the write that made it changed
// nothing about its pods.
func (m *memory) adoptGenerations(found observed) {
	for key, write := range m.keptPods {
		live, exists := found.Objects[key].(*appsv1.Deployment)
		switch {
		case !exists || live.UID != write.uid || live.Status.ObservedGeneration >= write.generation:
			delete(m.keptPods, key)
		case live.Generation == write.generation:
			live = live.DeepCopy()
			live.Status.ObservedGeneration = live.Generation
			found.Objects[key] = live
		}
	}
}
