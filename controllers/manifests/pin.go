package manifests

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
)

// Annotations of Deployments and of the ConfigMap. The same generation with another hash means that the spec is the
// same and the operator builds something else from it.
const (
	// templateHashAnnotation is the hash of the pod template, or of the ConfigMap's data, as it was built.
	templateHashAnnotation = "rosey.dev/template-hash"
	// specGenerationAnnotation is the generation of the spec from which the object was built, followed by a hash of
	// the owner's spec.nats if the RoseyBot shares a database service.
	specGenerationAnnotation = "rosey.dev/spec-generation"
)

// Pin returns the desired objects with annotations that record their specs and templates. Under updatePolicy Manual,
// they have the live pod templates and configuration where those differ only because the operator is newer than the one
// that wrote them. Pin also returns a description of each object that it left as it is in the cluster.
func Pin(bot *v1alpha1.RoseyBot, desired []Desired, observed Observed) (pinned []Desired, updates []string) {
	annotated, pinned, updates := Pending(bot, desired, observed)
	if bot.Spec.UpdatePolicy == v1alpha1.UpdateAutomatic {
		return annotated, nil
	}
	return pinned, updates
}

// Pending returns the desired objects as they are to be written now, the same objects with what is live where that
// differs only because the operator is newer, and a description of each such difference.
//
// Templates and configuration are pinned together or not at all. A pod can restart at any time, for example because
// its node is drained, and an old image may not understand a new configuration.
func Pending(
	bot *v1alpha1.RoseyBot, desired []Desired, observed Observed,
) (annotated, pinned []Desired, updates []string) {
	generation := builtFrom(bot, observed)
	annotated = slices.Clone(desired)
	for i, next := range desired {
		annotated[i].Object = annotate(next.Object, Hash(templateOf(next.Object)), generation)
	}
	pinned = slices.Clone(annotated)
	for i, next := range annotated {
		if templateOf(next.Object) == nil {
			continue
		}
		live := observed.Objects[KeyOf(next.Object)]
		if live == nil || !metav1.IsControlledBy(live, bot) || live.GetAnnotations()[specGenerationAnnotation] != generation {
			return annotated, annotated, nil // the spec changed since the live objects were built
		}
		// The hashes are compared, because the API server adds defaults to the live template.
		if live.GetAnnotations()[templateHashAnnotation] != next.Object.GetAnnotations()[templateHashAnnotation] {
			pinned[i].Object = pinTemplate(next.Object, live)
			updates = append(updates, describeUpdate(next.Object, live))
		}
	}
	return annotated, pinned, updates
}

// DesiredHash returns a hash of a desired object. What a template consists of counts as it was built: a pinned one has
// the defaults that the API server added, which are no change.
func DesiredHash(desired client.Object) string {
	copied, _ := desired.DeepCopyObject().(client.Object)
	if copied.GetAnnotations()[templateHashAnnotation] != "" {
		switch object := copied.(type) {
		case *appsv1.Deployment:
			object.Spec.Template = corev1.PodTemplateSpec{}
		case *corev1.ConfigMap:
			object.Data = nil
		}
	}
	return Hash(copied)
}

// SameRollout reports whether a desired Deployment has the same pods as the live one: other fields may differ.
func SameRollout(desired, live *appsv1.Deployment) bool {
	return desired.Annotations[templateHashAnnotation] == live.Annotations[templateHashAnnotation] &&
		desired.Spec.Strategy.Type == live.Spec.Strategy.Type &&
		(desired.Spec.Replicas == nil || live.Spec.Replicas != nil && *desired.Spec.Replicas == *live.Spec.Replicas)
}

// builtFrom returns the value of specGenerationAnnotation.
func builtFrom(bot *v1alpha1.RoseyBot, observed Observed) string {
	generation := fmt.Sprint(bot.Generation)
	if observed.Owner != nil {
		generation += " " + Hash(observed.Owner.Spec.NATS)
	}
	return generation
}

// pinTemplate returns a copy of a desired object with the template of the live one.
func pinTemplate(desired, live client.Object) client.Object {
	annotations := live.GetAnnotations()
	pinned := annotate(desired, annotations[templateHashAnnotation], annotations[specGenerationAnnotation])
	switch from := live.(type) {
	case *appsv1.Deployment:
		to, _ := pinned.(*appsv1.Deployment)
		to.Spec.Template = from.Spec.Template
	case *corev1.ConfigMap:
		to, _ := pinned.(*corev1.ConfigMap)
		to.Data = from.Data
	}
	return pinned
}

// templateOf returns the part of an object that pods are started from: the pod template of a Deployment or the data of
// the ConfigMap with the configuration. It is nil for other objects.
func templateOf(object client.Object) any {
	switch object := object.(type) {
	case *appsv1.Deployment:
		return &object.Spec.Template
	case *corev1.ConfigMap:
		if _, isList := object.Data[config.ChannelsFile]; !isList {
			return object.Data
		}
	}
	return nil
}

// annotate returns a copy of an object with the annotations that Pin compares. An object without a template is
// returned as it is.
func annotate(object client.Object, templateHash, specGeneration string) client.Object {
	copied, ok := object.DeepCopyObject().(client.Object)
	if !ok || templateOf(object) == nil {
		return object
	}
	copied.SetAnnotations(map[string]string{
		templateHashAnnotation: templateHash, specGenerationAnnotation: specGeneration,
	})
	return copied
}

// describeUpdate names the object and, if it changes, the image: the part of a template that users know.
func describeUpdate(desired, live client.Object) string {
	next, isDeployment := desired.(*appsv1.Deployment)
	now, wasDeployment := live.(*appsv1.Deployment)
	if isDeployment && wasDeployment && len(now.Spec.Template.Spec.Containers) > 0 {
		if image := next.Spec.Template.Spec.Containers[0].Image; image != now.Spec.Template.Spec.Containers[0].Image {
			return KeyOf(desired).String() + " with image " + image
		}
	}
	return KeyOf(desired).String()
}
