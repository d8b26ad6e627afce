package controllers

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// durable returns Durable: whether events are kept until they are stored, as the bot in the channel reports it.
func durable(in statusInput) *metav1.Condition {
	if condition := stopped(in.bot, manifests.Bot); condition != nil {
		return condition
	}
	if in.bot.Spec.Mode == v1alpha1.ModeDirect {
		return conditionTrue(string(status.ReasonDirect), "the bot stores events itself")
	}
	pod := speaker(in)
	if running, _ := podRunning(pod); !running {
		return conditionFalse(v1alpha1.ReasonBotNotRunning, "no bot is running")
	}
	report, missing := reportOf(in, pod, manifests.Bot)
	if missing != nil {
		return lastDurable(in, missing)
	}
	for _, check := range report.Checks {
		switch {
		case check.Name != status.EventsCheck:
			continue
		case check.OK && check.Reason == status.ReasonStreamBound:
			return conditionTrue(string(check.Reason), check.Message)
		}
		return conditionFalse(translateReason(in, manifests.Bot, check.Reason, check.Message))
	}
	return lastDurable(in, conditionUnknown("the bot does not report how it publishes events"))
}

// lastDurable returns what was known last if that was a reason not to be durable: what is ill stays ill until a report
// says that it is well. Otherwise it returns missing.
func lastDurable(in statusInput, missing *metav1.Condition) *metav1.Condition {
	last := meta.FindStatusCondition(in.bot.Status.Conditions, v1alpha1.ConditionDurable)
	if last == nil || last.Status != metav1.ConditionFalse || missing.Status != metav1.ConditionUnknown ||
		hasSeverity(last.Reason, requested, transient) {
		return missing
	}
	return conditionFalse(last.Reason, last.Message)
}
