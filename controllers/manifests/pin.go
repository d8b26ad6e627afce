package manifests

import (
	"encoding/json"
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

// Update is what the operator would change about pods that an earlier version of it started from the same spec.
type Update struct {
	// Built are the desired objects as this version builds them, with annotations that record their specs and templates.
	Built []Desired
	// Pinned are the same objects, with the templates and the configuration of the earlier version where they differ.
	Pinned []Desired
	// Changes describes each object that differs. Without one, Pinned is equal to Built.
	Changes []string
	// Status records the templates and the configuration of Pinned. It is empty if they are too large.
	Status []v1alpha1.PinnedObject
}

// FindUpdate compares desired objects with what runs: the live objects, or, where they were deleted or edited, what the
// status has of them.
//
// Templates and configuration are pinned together or not at all. A pod can restart at any time, for example because
// its node is drained, and an old image may not understand a new configuration.
func FindUpdate(bot *v1alpha1.RoseyBot, desired []Desired, observed Observed) Update {
	generation := builtFrom(bot, observed)
	update := Update{Built: slices.Clone(desired)}
	for i, next := range desired {
		update.Built[i].Object = annotate(next.Object, Hash(templateOf(next.Object)), generation)
	}
	update.Pinned = slices.Clone(update.Built)
	for i, next := range update.Built {
		if templateOf(next.Object) == nil {
			continue
		}
		runs := findRunning(bot, next.Object, observed, generation)
		if runs == nil && next.Component == Web && hasWebConfig(update.Pinned) {
			update.Pinned[i].Object = withImageOfBot(next.Object, update.Pinned, generation)
			continue
		}
		if runs == nil {
			return Update{Built: update.Built, Pinned: update.Built} // the spec changed since the live objects were built
		}
		// The hashes are compared, because the API server adds defaults to the live template.
		if templateHash(runs) != templateHash(next.Object) {
			update.Pinned[i].Object = pinTemplate(next.Object, runs)
			update.Changes = append(update.Changes, describeUpdate(next.Object, runs))
		}
		update.Status = append(update.Status, record(update.Pinned[i].Object))
	}
	size := 0
	for _, pinned := range update.Status {
		size += len(pinned.Content)
	}
	if len(update.Changes) == 0 || size > maxPinned {
		update.Status = nil
	}
	return update
}

// hasWebConfig reports whether desired objects have the configuration of a web page.
func hasWebConfig(desired []Desired) bool {
	return slices.ContainsFunc(desired, func(next Desired) bool {
		configuration, isConfiguration := next.Object.(*corev1.ConfigMap)
		return isConfiguration && configuration.Data[config.WebFile] != ""
	})
}

// withImageOfBot returns a Deployment with the image that the bot runs. Something may have kept a web page from being
// created until the operator was upgraded: that must neither update the bot nor make the two of different versions.
func withImageOfBot(object client.Object, pinned []Desired, generation string) client.Object {
	added, isDeployment := object.DeepCopyObject().(*appsv1.Deployment)
	for _, other := range pinned {
		if bot, runs := other.Object.(*appsv1.Deployment); runs && isDeployment && other.Component == Bot {
			added.Spec.Template.Spec.Containers[0].Image = bot.Spec.Template.Spec.Containers[0].Image
			return annotate(added, Hash(&added.Spec.Template), generation)
		}
	}
	return object
}

func templateHash(object client.Object) string {
	return object.GetAnnotations()[templateHashAnnotation]
}

// findRunning returns an object with the template or configuration that runs, or is to run again: what the status has
// of it, unless the live object is already as desired, or else the live object. It returns nil if neither was built
// from the generation.
func findRunning(bot *v1alpha1.RoseyBot, desired client.Object, observed Observed, generation string) client.Object {
	live := observed.Objects[KeyOf(desired)]
	if live == nil || !metav1.IsControlledBy(live, bot) || live.GetAnnotations()[specGenerationAnnotation] != generation {
		return findPinned(bot, desired, generation)
	}
	if pinned := findPinned(bot, desired, generation); pinned != nil && templateHash(live) != templateHash(desired) {
		return pinned
	}
	return live
}

// maxPinned bounds what the status has of all objects of a RoseyBot, in bytes. The usual size is 10 KB, and the
// operator discards a status that takes too much memory.
const maxPinned = 32 << 10

// record returns what the status has of an object.
func record(object client.Object) v1alpha1.PinnedObject {
	content, err := json.Marshal(templateOf(object))
	if err != nil {
		panic(fmt.Sprintf("encoding the template of %T: %v", object, err)) // every Kubernetes object can be encoded
	}
	key := KeyOf(object)
	return v1alpha1.PinnedObject{
		Kind: key.Kind, Name: key.Name, Hash: templateHash(object),
		BuiltFrom: object.GetAnnotations()[specGenerationAnnotation], Content: string(content),
	}
}

// findPinned returns an object with the template or configuration that the status has of a desired one, or nil if it
// has none that was built from a generation.
func findPinned(bot *v1alpha1.RoseyBot, desired client.Object, generation string) client.Object {
	key := KeyOf(desired)
	for _, pinned := range bot.Status.Pinned {
		if key != (Key{pinned.Kind, pinned.Name}) || pinned.BuiltFrom != generation {
			continue
		}
		found := annotate(desired, pinned.Hash, generation)
		var err error
		switch object := found.(type) {
		case *appsv1.Deployment:
			object.Spec.Template = corev1.PodTemplateSpec{}
			err = json.Unmarshal([]byte(pinned.Content), &object.Spec.Template)
		case *corev1.ConfigMap:
			object.Data = nil
			err = json.Unmarshal([]byte(pinned.Content), &object.Data)
		}
		if err == nil {
			return found
		}
	}
	return nil
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

// annotate returns a copy of an object with the annotations that FindUpdate compares. An object without a template is
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
