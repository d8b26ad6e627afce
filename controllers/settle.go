package controllers

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

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
			live := seen.deployment(deployment.Name)
			if holder := seen.claimHolder(bot, component); holder != "" && manifests.HoldsClaim(bot, component) {
				deployment.Spec.Replicas = new(int32(0))
				message := fmt.Sprintf("the %s waits until pod %s, which has the claim, is gone", inWords(component), holder)
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
			if component != not && !ended(&pods[i]) && mounts(&pods[i], manifests.ClaimName(bot)) {
				return pods[i].Name
			}
		}
	}
	return ""
}

func mounts(pod *corev1.Pod, claim string) bool {
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil && volume.PersistentVolumeClaim.ClaimName == claim {
			return true
		}
	}
	return false
}

// unshared returns why the database service that database.sharedFrom names cannot be used, or nil.
func unshared(bot, owner *v1alpha1.RoseyBot) *problem {
	name := "RoseyBot " + manifests.SharedFrom(bot)
	switch {
	case manifests.SharedFrom(bot) == "":
		return nil
	case owner == nil:
		return &problem{
			reason:  v1alpha1.ReasonSharedOwnerMissing,
			message: name + " does not exist, and database.sharedFrom names it",
		}
	case !manifests.HasService(owner):
		return &problem{
			reason:  v1alpha1.ReasonSharedOwnerUnusable,
			message: name + " has no database service of its own, as database.sharedFrom expects",
		}
	case manifests.Standby(bot) && owner.Spec.NATS.JetStream != nil &&
		owner.Spec.NATS.JetStream.Mode == v1alpha1.JetStreamNever:
		return &problem{
			reason:  v1alpha1.ReasonSharedOwnerUnusable,
			message: name + " has nats.jetStream.mode Never: expected another one, or replicas of at most 1",
		}
	}
	return nil
}
