package controllers

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// settle fits the wanted numbers of pods to what runs, and returns what waits:
//
//   - pods that need the claim are not started while pods of the other component have it: the mode changed
//   - the number of pods is left to the autoscaler, but for starting from 0, which an autoscaler never does
func settle(bot *v1alpha1.RoseyBot, seen observed, set manifests.Set) map[manifests.Component]*problem {
	waiting := map[manifests.Component]*problem{}
	for component, objects := range set.Components() {
		for _, object := range objects {
			deployment, isDeployment := object.(*appsv1.Deployment)
			if !isDeployment {
				continue
			}
			live := find[*appsv1.Deployment](seen, deployment.Name)
			if holder := seen.claimHolder(bot, component); holder != "" && manifests.HoldsClaim(bot, component) {
				deployment.Spec.Replicas = new(int32(0))
				message := fmt.Sprintf("the %s waits until pod %s, which has the claim, is gone", inWords[component], holder)
				waiting[component] = &problem{reason: v1alpha1.ReasonProgressing, message: message, usable: true}
			} else if manifests.Autoscaled(bot, component) && live != nil && ptr.Deref(live.Spec.Replicas, 1) > 0 {
				deployment.Spec.Replicas = nil
			}
		}
	}
	return waiting
}

// claimHolder is a pod of another component that has the claim, also while it ends, or nothing.
func (o observed) claimHolder(bot *v1alpha1.RoseyBot, not manifests.Component) string {
	for component, pods := range o.pods {
		for i := range pods {
			if component != not && !ended(&pods[i]) && slices.ContainsFunc(pods[i].Spec.Volumes, func(one corev1.Volume) bool {
				return ptr.Deref(one.PersistentVolumeClaim, corev1.PersistentVolumeClaimVolumeSource{}).ClaimName ==
					manifests.ClaimName(bot)
			}) {
				return pods[i].Name
			}
		}
	}
	return ""
}

// unshared returns why the database service that database.sharedFrom names cannot be used, or nil.
func unshared(bot, owner *v1alpha1.RoseyBot) *problem {
	name := "RoseyBot " + manifests.SharedFrom(bot)
	switch {
	case manifests.SharedFrom(bot) == "":
		return nil
	case owner == nil:
		return &problem{reason: v1alpha1.ReasonSharedOwnerMissing, message: name + ", of database.sharedFrom, does not exist"}
	case !manifests.HasService(owner):
		return &problem{reason: v1alpha1.ReasonSharedOwnerUnusable, message: name + " has no database service of its own"}
	case manifests.Standby(bot) && ptr.Deref(manifests.NATS(owner, nil).JetStream, v1alpha1.JetStream{}).Mode ==
		v1alpha1.JetStreamNever:
		message := name + " has nats.jetStream.mode Never: expected another one, or replicas of at most 1"
		return &problem{reason: v1alpha1.ReasonSharedOwnerUnusable, message: message}
	}
	return nil
}

// Annotations of what pods run from: its hash as it was built, and the generation of the spec it was built from, and
// of the one that brings the NATS. The same generation with another hash means that the operator wants something else.
const (
	templateHashAnnotation   = "rosey.dev/template-hash"
	specGenerationAnnotation = "rosey.dev/spec-generation"
)

// hold puts what runs in the place of what a newer operator would run, as long as neither the spec changes nor
// updatePolicy is Automatic. It returns what waits, in words, or nothing.
//
// Pods start anew on their own too, after a drain for example, so configuration and templates are held or let go
// together: an old image may not understand a new configuration.
func hold(bot *v1alpha1.RoseyBot, seen observed, set manifests.Set) (waiting string) {
	generation := fmt.Sprint(bot.Generation)
	if seen.owner != nil {
		generation += " " + manifests.Hash(seen.owner.Spec.NATS)
	}
	var changed []string
	var restore []func()
	built := true // from this generation of the spec, all of it
	for _, object := range set.All() {
		part := runsFrom(object)
		if part == nil {
			continue
		}
		annotations := map[string]string{templateHashAnnotation: manifests.Hash(part), specGenerationAnnotation: generation}
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
		return ""
	}
	for _, one := range restore {
		one()
	}
	return strings.Join(changed, ", ")
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
