package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

// emitEvents emits an event when the status or reason of Ready changes, unless there were too many. The other
// conditions emit none, because Ready summarizes them. It is a warning if somebody has to fix the reason. One that may
// pass becomes a warning when the RoseyBot is stalled.
func (r *Reconciler) emitEvents(bot *v1alpha1.RoseyBot, conditions []metav1.Condition) {
	before := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionReady)
	after := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if before == nil || before.Status != after.Status || before.Reason != after.Reason {
		eventType := corev1.EventTypeWarning
		if after.Status == metav1.ConditionTrue || isHarmless(after.Reason) {
			eventType = corev1.EventTypeNormal
		}
		r.emit(bot, eventType, after)
	}
	wasStalled := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionStalled) != nil
	stalls := meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled)
	if stalls != nil && !wasStalled && isHarmless(stalls.Reason) {
		r.emit(bot, corev1.EventTypeWarning, stalls)
	}
}

func (r *Reconciler) emit(bot *v1alpha1.RoseyBot, eventType string, condition *metav1.Condition) {
	if _, allowed := r.eventLimit.allow(client.ObjectKeyFromObject(bot), r.now()); !allowed {
		return // the condition says the same
	}
	message := condition.Message
	if len(message) > maxEventBytes {
		message = status.OneLine(message, maxEventMessage)
	}
	r.Events.Eventf(bot, nil, eventType, condition.Reason, "Reconcile", "%s", message)
}
