package controllers

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"rosey.dev/rosey/controllers/manifests"
)

// A write of a Deployment may change nothing about its pods, but only labels or annotations, for example when the
// operator was upgraded. It gives the Deployment a new generation all the same. Without the functions below every
// RoseyBot would then not be ready until the Deployment controller has seen that generation.

// keepsPods reports whether writing a desired object, which differs from the live one in some fields, changes nothing
// about the pods of a Deployment whose status is up to date.
func keepsPods(live, desired client.Object, differs *fieldpath.Set) bool {
	before, isDeployment := live.(*appsv1.Deployment)
	after, _ := desired.(*appsv1.Deployment)
	return isDeployment && before.Status.ObservedGeneration >= before.Generation &&
		manifests.SameRollout(after, before) && !changesPods(differs)
}

// changesPods reports whether one of the fields of a Deployment is about its pods. The template can differ although the
// hash of what it was built from does not: somebody else may have changed it.
func changesPods(fields *fieldpath.Set) (changes bool) {
	fields.Leaves().Iterate(func(path fieldpath.Path) {
		for _, aboutPods := range []string{".spec.template", ".spec.replicas", ".spec.strategy"} {
			changes = changes || strings.HasPrefix(path.String(), aboutPods)
		}
	})
	return changes
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
