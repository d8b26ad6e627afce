package controllers

import (
	"encoding/json"
	"fmt"
	"reflect"
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
				kept := reflect.ValueOf(runsFrom(live)).Elem()
				reflect.ValueOf(part).Elem().Set(kept) // nobody changes a template from here on: it need not be copied
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

// runsFrom points to the part of an object that a change of restarts pods or changes what they are, or is nil.
func runsFrom(object client.Object) any {
	switch object := object.(type) {
	case *appsv1.Deployment:
		return &object.Spec.Template
	case *corev1.ConfigMap:
		return &object.Data
	}
	return nil
}

// difference names what a user cares about: the image.
func difference(object, live client.Object) string {
	next, isTemplate := runsFrom(object).(*corev1.PodTemplateSpec)
	now, _ := runsFrom(live).(*corev1.PodTemplateSpec)
	if isTemplate && len(now.Spec.Containers) > 0 && now.Spec.Containers[0].Image != next.Spec.Containers[0].Image {
		return nameOf(object) + " with image " + next.Spec.Containers[0].Image
	}
	return nameOf(object)
}
