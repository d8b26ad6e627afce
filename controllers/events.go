package controllers

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
)

// tell emits an event when the summary changes: not at every pass, and not for each condition.
func (r *Reconciler) tell(bot *v1alpha1.RoseyBot, before, after *metav1.Condition) {
	if before != nil && before.Status == after.Status && before.Reason == after.Reason {
		return
	}
	kind := corev1.EventTypeWarning
	if after.Status == metav1.ConditionTrue || askedFor(after.Reason) || onTheWay(after.Reason) {
		kind = corev1.EventTypeNormal
	}
	r.Events.Eventf(bot, nil, kind, after.Reason, "Reconcile", "%s", after.Message)
}
