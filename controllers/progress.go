package controllers

import (
	"slices"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// settleTime is how long a change of the status that only shows progress has to last until it is written. A RoseyBot
// that starts changes its status many times: a pod is created, has a node, has a volume, runs, reports. Each write
// would be a request and would tell nobody anything. A quarter of the time suffices if the RoseyBot is ready, or if its
// reason names what it waits for, such as a volume.
const settleTime = 20 * time.Second

// settle returns how long the write of a status has to wait, because it differs from the written one only in progress.
func (r *Reconciler) settle(in statusInput, next v1alpha1.RoseyBotStatus) (wait time.Duration) {
	memory, now, lasts := r.memories.of(in.bot), r.now(), r.settleTime
	if !onlyProgress(in.bot.Status, next, manifests.HasService(in.bot) && len(in.observed.sharers) > 0) {
		return 0
	}
	if memory.progressing.IsZero() {
		memory.progressing = now
	}
	if hasSeverity(meta.FindStatusCondition(next.Conditions, v1alpha1.ConditionReady).Reason, temporary, healthy) {
		lasts /= 4
	}
	return lasts - now.Sub(memory.progressing)
}

// onlyProgress reports whether a status differs from the one before only in how far a RoseyBot has come that was not
// ready and is not: in its pods, and in conditions that nobody has to act on. Of one that was ready and is, the number
// of pods is progress. What the operator has to find in the status before it acts is more than progress. isShared is
// set if other RoseyBots use the database service.
func onlyProgress(before, after v1alpha1.RoseyBotStatus, isShared bool) bool {
	wasReady := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionReady)
	isReady := meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionReady)
	if wasReady == nil || wasReady.Status != isReady.Status {
		return false
	}
	stays := isReady.Status == metav1.ConditionTrue
	for _, one := range slices.Concat(before.Conditions, after.Conditions) {
		was := meta.FindStatusCondition(before.Conditions, one.Type)
		is := meta.FindStatusCondition(after.Conditions, one.Type)
		differs := stays && ptr.Deref(was, one).Reason != ptr.Deref(is, one).Reason
		if !apiequality.Semantic.DeepEqual(was, is) && (differs || isNews(was, isShared) || isNews(is, isShared)) {
			return false
		}
	}
	none := v1alpha1.ComponentStatus{}
	for _, status := range []*v1alpha1.RoseyBotStatus{&before, &after} {
		status.Conditions, status.Replicas = nil, 0
		status.Bot, status.Database, status.Web, status.Plugins = none, none, none, nil
		if !stays {
			status.Leader = ""
		}
	}
	return apiequality.Semantic.DeepEqual(before, after)
}

// isNews reports whether a change to a condition, or from it, is more than progress. The condition may be nil.
func isNews(condition *metav1.Condition, isShared bool) bool {
	if condition == nil {
		return false
	}
	switch condition.Type {
	case v1alpha1.ConditionStalled, v1alpha1.ConditionUpdateAvailable:
		return true
	case v1alpha1.ConditionDatabaseAvailable:
		if isShared {
			return true
		}
	}
	return condition.Status != metav1.ConditionTrue && hasSeverity(condition.Reason, failure)
}
