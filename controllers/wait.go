package controllers

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// hold returns the desired objects with the bot's as they are in the cluster while the bot must not change, and adds
// the reason to the result.
func (r *Reconciler) hold(
	bot *v1alpha1.RoseyBot, desired []manifests.Desired, observed observed, result *applied,
) []manifests.Desired {
	if found := r.waitForService(bot, observed); found != nil {
		result.add(manifests.Bot, found) // so its Deployment stays as it is
		desired = manifests.HoldBot(bot, desired, observed.Observed)
	}
	desired, held := manifests.HoldTemplate(bot, desired, observed.Observed,
		observed.countPods(manifests.Database).ReadyReplicas > 0)
	if held {
		result.add(manifests.Bot, &problem{reason: v1alpha1.ReasonProgressing, usable: true, message: "the bots " +
			"are being replaced, and those that run are not replaced once more before the database service runs"})
	}
	return desired
}

// waitForPods returns a problem while a component is stopped because its pods of two templates must not run together.
func waitForPods(bot *v1alpha1.RoseyBot, component manifests.Component, desired []manifests.Desired) *problem {
	for _, next := range desired {
		workload, isDeployment := next.Object.(*appsv1.Deployment)
		if isDeployment && next.Component == component && manifests.StopsFirst(bot, component, workload) {
			message := fmt.Sprintf("the %s starts again when its pods are gone: it had several, and now only one may run",
				displayName[component])
			return &problem{reason: v1alpha1.ReasonProgressing, message: message, usable: true}
		}
	}
	return nil
}

// waitForClaim returns a problem while the pods of a component are not started because a pod that they must not run
// beside still mounts the claim.
func waitForClaim(bot *v1alpha1.RoseyBot, component manifests.Component, observed observed) *problem {
	holder := manifests.ClaimHolder(bot, component, observed.Observed)
	if holder == "" || manifests.Replicas(bot, component) == 0 {
		return nil
	}
	message := fmt.Sprintf("the %s starts as soon as pod %s, which mounts the claim, is deleted",
		displayName[component], holder)
	return &problem{reason: v1alpha1.ReasonProgressing, message: message, usable: true}
}
