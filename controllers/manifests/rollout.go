package manifests

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
)

// PodCount is what is known of the pods of a component that have not ended.
type PodCount struct {
	// All counts also pods that are being deleted.
	All int
	// Templates is the number of pod templates from which those that are not being deleted were made.
	Templates int
}

// rollOut sets the strategy and the number of replicas of a Deployment whose template is set, and annotated if it is
// pinned. The Deployment controller cannot get out of every change. Under Recreate it scales only a single ReplicaSet:
// if two have pods, because a rolling update was under way, it waits for ever once the number changes as well. So a
// Deployment leaves RollingUpdate only when one template is left, and until then both templates have pods, which leader
// election permits to bots. Any other component must not have pods of two templates, so all its pods are stopped first.
func rollOut(workload *appsv1.Deployment, bot *v1alpha1.RoseyBot, component Component, observed Observed) {
	workload.Spec.Replicas = adjustReplicas(bot, component, observed)
	workload.Spec.Strategy = *rollingUpdate.DeepCopy()
	if allowsSeveralPods(bot, component) {
		return // RollingUpdate gets out of every state
	}
	live := Find[*appsv1.Deployment](observed, workload.Name)
	switch {
	case live == nil || !isMixed(live, observed.Pods[component]) && canRecreate(live, workload):
	case component == Bot && mayHaveStandbys(bot, observed.Owner):
		return
	case observed.Pods[component].All > 0 || !isScaledTo(live, 0):
		workload.Spec.Replicas = new(int32(0))
		return
	}
	workload.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
}

// rollingUpdate is the strategy in base.yaml.
var rollingUpdate = func() appsv1.DeploymentStrategy {
	workload := &appsv1.Deployment{}
	overlay(base["Deployment"], workload)
	return workload.Spec.Strategy
}()

// KeepBotTemplate returns the desired objects with the bot's template and configuration as they are in the cluster, and
// whether they differ, while a rolling update of the bots is under way and the database service does not run. Without
// the service no bot is ready, and then the Deployment controller removes the oldest pods for a third template: those
// that were good before.
func KeepBotTemplate(
	bot *v1alpha1.RoseyBot, desired []Desired, observed Observed, serviceReady bool,
) (kept []Desired, differs bool) {
	live := Find[*appsv1.Deployment](observed, Name(bot, Bot))
	if serviceReady || !HasService(bot) || live == nil || observed.Pods[Bot].Templates < 2 || Replicas(bot, Bot) == 0 ||
		live.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return desired, false
	}
	kept = slices.Clone(KeepConfig(bot, Bot, desired, observed))
	for i, next := range kept {
		if workload, isDeployment := next.Object.(*appsv1.Deployment); isDeployment && workload.Name == live.Name {
			if differs = templateHash(workload) != templateHash(live); !differs {
				continue
			}
			pinned := pinTemplate(workload, live)
			pinned.Annotations[specGenerationAnnotation] = live.Annotations[specGenerationAnnotation]
			kept[i].Object = pinned
		}
	}
	return kept, differs
}

// StopsFirst reports whether Build scales a component to 0 although the spec asks for pods, because its Deployment has
// to leave RollingUpdate and pods of two templates must not run beside each other.
func StopsFirst(bot *v1alpha1.RoseyBot, component Component, workload *appsv1.Deployment) bool {
	return !allowsSeveralPods(bot, component) && workload.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType &&
		ptr.Deref(workload.Spec.Replicas, 1) < Replicas(bot, component)
}

// isMixed reports whether a Deployment with the strategy Recreate has pods of two templates: in its normal course, that
// strategy never makes a pod before those of other templates are gone.
func isMixed(live *appsv1.Deployment, pods PodCount) bool {
	return live.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType && pods.Templates > 1
}

// canRecreate reports whether a live Deployment has the strategy Recreate already, or can get it because all its pods
// are of one template and neither that nor their number changes together with the strategy.
func canRecreate(live, workload *appsv1.Deployment) bool {
	return live.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType ||
		isScaledTo(live, ptr.Deref(workload.Spec.Replicas, 1)) &&
			templateHash(live) == cmp.Or(templateHash(workload), Hash(&workload.Spec.Template))
}

// isScaledTo reports whether a Deployment has as many replicas, all of its newest template.
func isScaledTo(live *appsv1.Deployment, replicas int32) bool {
	return live.Status.ObservedGeneration >= live.Generation && ptr.Deref(live.Spec.Replicas, 1) == replicas &&
		live.Status.Replicas == replicas && live.Status.UpdatedReplicas == replicas
}
