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
		return keepFailure(in, v1alpha1.ConditionDurable, missing)
	}
	check, reported := findCheck(report, status.EventsCheck)
	switch {
	case !reported:
		missing = conditionUnknown("the bot does not report how it publishes events")
		return keepFailure(in, v1alpha1.ConditionDurable, missing)
	case check.OK && check.Reason == status.ReasonStreamBound:
		return conditionTrue(string(check.Reason), check.Message)
	}
	return conditionFalse(translateReason(in, manifests.Bot, check.Reason, check.Message))
}

// keepFailure returns a condition that is Unknown now, or False as it was last: it stays False until a bot reports
// otherwise.
func keepFailure(in statusInput, conditionType string, now *metav1.Condition) *metav1.Condition {
	last := meta.FindStatusCondition(in.bot.Status.Conditions, conditionType)
	if last == nil || last.Status != metav1.ConditionFalse || now.Status != metav1.ConditionUnknown ||
		hasSeverity(last.Reason, requested, transient) {
		return now
	}
	return conditionFalse(last.Reason, last.Message)
}
