package controllers

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// webCondition returns WebAvailable, or nil if the spec asks for no web page. A pod is ready while it serves pages,
// also while they can only say that NATS is away, so a report decides whether the web page is available. The message
// says also whose tokens are refused.
func webCondition(in statusInput) *metav1.Condition {
	if !manifests.HasWeb(in.bot) {
		return nil
	}
	condition := optionalCondition(in, manifests.Web, "a pod of the web page is ready")
	if condition.Status != metav1.ConditionTrue {
		return condition
	}
	result := in.reports[in.observed.newestPod(manifests.Web).Name]
	switch {
	case result.err != nil:
		condition.Message += fmt.Sprintf("; it does not report its status: %v", result.err)
	case result.report.Reason != "" && !result.report.Ready:
		return conditionFalse(translateReason(in, manifests.Web, result.report.Reason, result.report.Message))
	}
	condition.Message += tokensNote(in)
	return condition
}

// optionalCondition returns the condition of a component on which Ready does not depend: True with a message if a pod
// is ready, or else the cause. The message says also what is left of a rollout.
func optionalCondition(in statusInput, component manifests.Component, message string) *metav1.Condition {
	condition := availableCondition(in, component, message)
	if condition.Status != metav1.ConditionTrue {
		return condition
	}
	left := in.applied.problem(component)
	if left == nil {
		left = unfinishedComponent(in, component)
	}
	if left != nil {
		condition.Message = joinNotes(condition.Message, left.message)
	}
	return condition
}

// tokensNote returns who may log in to the web page, for a message, as its newest pod reports it, or "".
func tokensNote(in statusInput) string {
	ref, pod := in.bot.Spec.Web.TokensSecretRef, in.observed.newestPod(manifests.Web)
	if ref == nil || pod == nil {
		return ""
	}
	check, _ := findCheck(in.reports[pod.Name].report, status.TokensCheck)
	if check.Message == "" {
		return ""
	}
	return "; tokens of Secret " + string(ref.Name) + ": " + check.Message
}

// webPoll returns the time after which the web page is looked at again, or 0 for never. Only its report says whether it
// reaches NATS, and whose tokens it has.
func webPoll(status v1alpha1.RoseyBotStatus, now time.Time) time.Duration {
	condition := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionWebAvailable)
	switch {
	case condition == nil || hasSeverity(condition.Reason, requested):
		return 0
	case condition.Status != metav1.ConditionTrue:
		return backOff(condition, now, maxPollInterval)
	}
	return readyPollInterval
}
