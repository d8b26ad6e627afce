package controllers

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/config"
)

// ready is the summary: True when all is well, else the most telling of what is not. Of equally telling ones the
// root cause counts, and causes go from database to bot to channel.
func ready(s situation, verdicts map[string]verdict) verdict {
	if why, isOff := s.off(manifests.Bot); isOff {
		return why
	}
	worst, worstRank := verdict{}, fine
	for _, kind := range []string{
		v1alpha1.ConditionDatabaseAvailable, v1alpha1.ConditionBotAvailable,
		v1alpha1.ConditionChannelJoined, v1alpha1.ConditionProgressing,
	} {
		if now := rankOf(kind, verdicts[kind]); now > worstRank {
			worst, worstRank = verdicts[kind], now
		}
	}
	switch worstRank {
	case fine:
		return yes(v1alpha1.ReasonReady, "in "+place(s.bot)+", and what happens there is stored")
	case unclear:
		return unknown(worst.message)
	default:
		return no(worst.reason, worst.message)
	}
}

// rank orders verdicts by how much they tell.
type rank int

const (
	fine rank = iota
	waiting
	unclear
	telling
	foreign
)

func rankOf(kind string, one verdict) rank {
	wanted := metav1.ConditionTrue
	if kind == v1alpha1.ConditionProgressing {
		wanted = metav1.ConditionFalse
	}
	switch {
	case one.status == wanted:
		return fine
	case one.reason == v1alpha1.ReasonForeignObject:
		return foreign
	case one.status == metav1.ConditionUnknown:
		return unclear
	case onTheWay(one.reason):
		return waiting
	}
	return telling
}

// onTheWay says whether a reason needs only time, or follows from another one.
func onTheWay(reason string) bool {
	switch reason {
	case v1alpha1.ReasonProgressing, v1alpha1.ReasonBotNotRunning,
		string(config.ReasonStarting), string(config.ReasonStopping), string(config.ReasonServiceAbsent):
		return true
	}
	return false
}

// askedFor says whether a reason is the user's wish.
func askedFor(reason string) bool {
	return reason == v1alpha1.ReasonScaledToZero || reason == v1alpha1.ReasonSuspended
}

const (
	soonestLook = 2 * time.Second
	latestLook  = 30 * time.Second
)

// nextLook is when to ask again: not at all when all is well, since changes of objects and of the pods' readiness
// start a pass; else less often the longer it lasts.
func nextLook(status v1alpha1.RoseyBotStatus, now time.Time) time.Duration {
	summary := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	database := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionDatabaseAvailable)
	asleep := askedFor(summary.Reason) &&
		meta.IsStatusConditionFalse(status.Conditions, v1alpha1.ConditionProgressing) &&
		(database.Status == metav1.ConditionTrue || askedFor(database.Reason))
	if summary.Status == metav1.ConditionTrue || asleep {
		return 0
	}
	return min(max(now.Sub(summary.LastTransitionTime.Time)/2, soonestLook), latestLook)
}
