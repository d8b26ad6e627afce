package controllers

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// Annotations of what pods run from: its hash as it was built, and the generation of the spec it was built from. The
// same generation with another hash means that not the user but the operator wants something else.
const (
	templateHashAnnotation   = "rosey.dev/template-hash"
	specGenerationAnnotation = "rosey.dev/spec-generation"
)

// hold puts what runs in the place of what a newer operator would run, as long as neither the spec changes nor
// updatePolicy is Automatic. It returns what waits, in words, or nothing.
//
// Pods start anew on their own too, after a drain for example, so configuration and templates are held or let go
// together: an old image may not understand a new configuration.
func hold(bot *v1alpha1.RoseyBot, seen observed, set manifests.Set) (waiting string, err error) {
	generation := strconv.FormatInt(bot.Generation, 10)
	var changed []string
	var restore []func()
	built := true // from this generation of the spec, all of it
	for _, object := range set.All() {
		part := runsFrom(object)
		if part == nil {
			continue
		}
		text, err := json.Marshal(part)
		if err != nil {
			return "", fmt.Errorf("encoding what %s runs from: %w", nameOf(object), err)
		}
		annotations := map[string]string{templateHashAnnotation: manifests.Hash(text), specGenerationAnnotation: generation}
		object.SetAnnotations(annotations)
		live := seen.objects[keyOf(object)]
		if live == nil || !metav1.IsControlledBy(live, bot) ||
			live.GetAnnotations()[specGenerationAnnotation] != generation {
			built = false
			continue
		}
		if hash := live.GetAnnotations()[templateHashAnnotation]; hash != annotations[templateHashAnnotation] {
			changed = append(changed, difference(object, live))
			restore = append(restore, func() {
				annotations[templateHashAnnotation] = hash
				keep(object, live)
			})
		}
	}
	if !built || len(changed) == 0 || bot.Spec.UpdatePolicy == v1alpha1.UpdateAutomatic {
		return "", nil
	}
	for _, one := range restore {
		one()
	}
	return strings.Join(changed, ", "), nil
}

// runsFrom is the part of an object that a change of restarts pods or changes what they are, or nil.
func runsFrom(object client.Object) any {
	switch object := object.(type) {
	case *appsv1.Deployment:
		return object.Spec.Template
	case *corev1.ConfigMap:
		return object.Data
	}
	return nil
}

func keep(object, live client.Object) {
	switch object := object.(type) {
	case *appsv1.Deployment:
		live, _ := live.(*appsv1.Deployment)
		live.Spec.Template.DeepCopyInto(&object.Spec.Template)
	case *corev1.ConfigMap:
		live, _ := live.(*corev1.ConfigMap)
		object.Data = live.Data
	}
}

// difference names what a user cares about: the image.
func difference(object, live client.Object) string {
	next, isDeployment := object.(*appsv1.Deployment)
	now, _ := live.(*appsv1.Deployment)
	if !isDeployment || imageOf(next) == imageOf(now) {
		return nameOf(object)
	}
	return nameOf(object) + " with image " + imageOf(next)
}

func imageOf(deployment *appsv1.Deployment) string {
	for _, container := range deployment.Spec.Template.Spec.Containers {
		return container.Image
	}
	return ""
}
