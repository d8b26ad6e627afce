package controllers

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// stallAfter is how long a cause that only a person can fix has to last before the RoseyBot is stalled: what is
// missing may be created together with the RoseyBot.
const stallAfter = time.Minute

// unfinishedRollout returns what is left to do until the cluster runs what the spec asks for, or nil: a change that
// takes time, or a problem. While older pods serve, the trouble of the newest is the problem.
func unfinishedRollout(in statusInput) *problem {
	components := manifests.RequiredComponents(in.bot)
	for _, component := range components {
		if found := in.applied.problem(component); found != nil {
			return found
		}
	}
	for _, component := range components {
		if found := unfinishedComponent(in, component); found != nil {
			return found
		}
	}
	for _, component := range manifests.Components(in.bot) { // what is suspended has no pod at all
		left := in.observed.podsWhere(component, not(podEnded))
		if len(left) > 0 && manifests.Replicas(in.bot, component) == 0 {
			message := fmt.Sprintf("pod %s of the %s is being stopped", left[0].Name, displayName(component))
			return &problem{reason: v1alpha1.ReasonProgressing, message: message}
		}
	}
	return nil
}

// unfinishedComponent returns what is left to do until the pods of a component are as the spec asks for, or nil.
func unfinishedComponent(in statusInput, component manifests.Component) *problem {
	if rolledOut(in.deployment(component), in.desiredReplicas(component)) {
		return nil
	}
	message := fmt.Sprintf("the %s is being rolled out", displayName(component))
	if found := newPodCause(in, component); found != nil && in.deployment(component) != nil {
		return &problem{reason: found.Reason, message: message + ": " + found.Message}
	}
	if forced := in.applied.forcedMessage(component); forced != "" {
		return &problem{reason: v1alpha1.ReasonFieldForced, message: message + ": " + forced}
	}
	return &problem{reason: v1alpha1.ReasonProgressing, message: message}
}

func rolledOut(deployment *appsv1.Deployment, replicas int32) bool {
	return deployment != nil && deployment.Status.ObservedGeneration >= deployment.Generation &&
		deployment.Status.UpdatedReplicas == replicas && deployment.Status.Replicas == replicas
}

// readyCondition returns the summary of the other conditions and of other problems, which are in the order of their
// importance: True if all is as it should be, or else the most important of what is not. Problems may be nil.
func readyCondition(in statusInput, conditions []metav1.Condition, problems ...*problem) *metav1.Condition {
	off := stoppedCondition(in.bot, manifests.Bot)
	failing := slices.DeleteFunc(slices.Clone(conditions), func(condition metav1.Condition) bool {
		return condition.Status == metav1.ConditionTrue || !isRequired(in.bot, condition)
	})
	for _, found := range problems {
		if found != nil {
			failing = append(failing, *conditionFalse(found.reason, found.message))
		}
	}
	switch {
	case len(failing) > 0:
	case off != nil:
		return conditionTrue(off.Reason, off.Message+", and no pod of it is left")
	default:
		message := "in " + channelName(in.bot) + ", and storing events"
		if forced := in.applied.forcedMessage(); forced != "" {
			message += "; " + forced
		}
		return conditionTrue(v1alpha1.ReasonReady, message)
	}
	first := slices.MinFunc(failing, compareReasons)
	if first.Status == metav1.ConditionUnknown {
		return conditionUnknown(first.Message)
	}
	return conditionFalse(first.Reason, first.Message)
}

// isRequired reports whether Ready depends on a condition that is not True.
func isRequired(bot *v1alpha1.RoseyBot, condition metav1.Condition) bool {
	switch {
	case stoppedCondition(bot, manifests.Bot) != nil: // others may use the database service without the bot
		return condition.Type == v1alpha1.ConditionDatabaseAvailable && manifests.HasService(bot) &&
			!hasSeverity(condition.Reason, requested)
	case condition.Type == v1alpha1.ConditionDurable: // a ready pod that the operator cannot probe does its work
		return condition.Status == metav1.ConditionFalse && condition.Reason != string(status.ReasonCoreOnly)
	}
	return true
}

// reconcilingCondition returns the condition for what is left of the rollout. It returns nil if there is nothing left,
// or if the RoseyBot is stalled.
func reconcilingCondition(left *problem, stalled *metav1.Condition) *metav1.Condition {
	if left == nil || stalled != nil {
		return nil
	}
	return conditionTrue(left.reason, left.message)
}

// stalledCondition returns a condition with the cause why the RoseyBot is not ready if nothing will change until
// somebody acts, or else nil.
func stalledCondition(in statusInput, ready *metav1.Condition, now time.Time) *metav1.Condition {
	stays := false
	switch reasonClasses[ready.Reason].stalls {
	case stallsSoon:
		stays = now.Sub(in.notReadySince(now)) >= stallAfter
	case stallsAtDeadline:
		stays = in.exceedsDeadline()
	case neverStalls:
	}
	if ready.Status == metav1.ConditionTrue || !stays {
		return nil
	}
	return conditionTrue(ready.Reason, ready.Message)
}

// notReadySince returns when the RoseyBot was ready last, or when its newest pod was created if that was later: a new
// pod may do better than the one before.
func (in statusInput) notReadySince(now time.Time) time.Time {
	before := meta.FindStatusCondition(in.bot.Status.Conditions, v1alpha1.ConditionReady)
	if before == nil || before.Status == metav1.ConditionTrue {
		return now
	}
	since := before.LastTransitionTime.Time
	for _, component := range manifests.RequiredComponents(in.bot) {
		for _, pod := range in.observed.podsWhere(component) {
			if created := pod.CreationTimestamp.Time; created.After(since) {
				since = created
			}
		}
	}
	return since
}

// exceedsDeadline reports whether the rollout of a component has made no progress for the time that its Deployment
// allows.
func (in statusInput) exceedsDeadline() bool {
	return slices.ContainsFunc(manifests.RequiredComponents(in.bot), func(component manifests.Component) bool {
		deployment := in.deployment(component)
		return deployment != nil && deployment.Status.ObservedGeneration >= deployment.Generation &&
			deploymentCondition(deployment, appsv1.DeploymentProgressing).Status == corev1.ConditionFalse
	})
}
