package controllers

import (
	"cmp"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// joinedCondition returns ChannelJoined. The only bot is ready while it is in the channel. With several, only the
// report of the leader counts: a standby is ready without being in the channel, and so is for some seconds a standby
// that has become the leader.
func joinedCondition(in statusInput) *metav1.Condition {
	joined := conditionTrue(string(status.ReasonJoined), "in "+channelName(in.bot))
	newest := in.observed.newestPod(manifests.Bot)
	if other := foreignLeader(in, newest); other != "" {
		return conditionFalse(v1alpha1.ReasonForeignLeader,
			"the bots stand by for "+other+", which is not a pod of this RoseyBot: see who can write the leader's key in NATS")
	}
	if !manifests.HasStandbys(in.bot) {
		return checkCondition(in, newest, status.ChannelCheck, joined)
	}
	pod := leaderPod(in)
	if condition := stoppedCondition(in.bot, manifests.Bot); condition != nil {
		return condition
	}
	if running, _ := podRunning(pod); !running {
		return conditionFalse(v1alpha1.ReasonBotNotRunning, "no bot is running")
	}
	return keepJoined(in, pod, leaderJoined(in, pod, joined))
}

// leaderJoined returns joined if the bot in a pod reports that it is in the channel, and else why it is not.
func leaderJoined(in statusInput, pod *corev1.Pod, joined *metav1.Condition) *metav1.Condition {
	report, missing := reportOf(in, pod, manifests.Bot)
	if missing != nil {
		return missing
	}
	if check, _ := findCheck(report, status.ChannelCheck); check.Reason == status.ReasonStandby {
		return conditionFalse(string(status.ReasonNoLeader), "no bot is known to be in the channel")
	}
	return checkOf(in, report, status.ChannelCheck, joined)
}

// keepJoined returns what is found about the leader in a pod, or what was known before if that says more: ChannelJoined
// neither becomes False because the leader changes, nor anything but False before a leader is in the channel. Otherwise
// it would change each time that a bot gives up and another one tries.
func keepJoined(in statusInput, pod *corev1.Pod, found *metav1.Condition) *metav1.Condition {
	last := meta.FindStatusCondition(in.bot.Status.Conditions, v1alpha1.ConditionChannelJoined)
	isUnknown := found.Status == metav1.ConditionUnknown
	if last == nil || !isUnknown && !hasSeverity(found.Reason, transient) {
		return found
	}
	isSame := in.bot.Status.Leader == pod.Name
	switch {
	case last.Status == metav1.ConditionTrue && podReady(pod) && (!isUnknown || isSame):
		return conditionTrue(last.Reason, "in "+channelName(in.bot))
	case last.Status == metav1.ConditionFalse && last.ObservedGeneration == in.bot.Generation &&
		!hasSeverity(last.Reason, transient, requested) && last.Reason != v1alpha1.ReasonForeignLeader:
		return conditionFalse(last.Reason, last.Message)
	}
	return found
}

// leaderPod returns the pod of the bot that is in the channel or should be: that of the leader while it runs, or else
// the newest. It returns nil if there is none.
func leaderPod(in statusInput) *corev1.Pod {
	if manifests.HasStandbys(in.bot) {
		if leading := in.observed.runningPod(manifests.Bot, leaderName(in)); leading != nil {
			return leading
		}
	}
	return in.observed.newestPod(manifests.Bot)
}

// foreignLeader returns the leader for which a bot waits if that was never a pod of the RoseyBot, or else "". A standby
// is ready while it waits, and the only bot is not. pod may be nil.
func foreignLeader(in statusInput, pod *corev1.Pod) string {
	standbys := manifests.HasStandbys(in.bot)
	if pod == nil || podReady(pod) != standbys {
		return ""
	}
	reported := in.reports[pod.Name].report.Leader
	// The only bot waits for a moment for the pod that it replaces, which may be gone already.
	isFormer := !standbys && strings.HasPrefix(reported, in.bot.Name+"-")
	if reported == leaderName(in) || isFormer || in.observed.hasPod(manifests.Bot, reported) {
		return ""
	}
	return reported
}

// leaderName returns the name of the bot pod that is in the channel, or "". With several bots it is the one that a bot
// reports, or else the one that was reported last. What is reported must be a pod of the RoseyBot: users delete the pod
// that the status names.
func leaderName(in statusInput) string {
	pod := in.observed.newestPod(manifests.Bot)
	switch {
	case pod == nil:
		return ""
	case manifests.HasStandbys(in.bot): // without a result the report is empty
		for _, name := range []string{in.reports[pod.Name].report.Leader, in.bot.Status.Leader} {
			if in.observed.hasPod(manifests.Bot, name) {
				return name
			}
		}
		// The last leader may have been deleted. Anything else in the status is not a pod of this RoseyBot.
		if last := in.bot.Status.Leader; strings.HasPrefix(last, in.bot.Name+"-") {
			return last
		}
		return ""
	case podReady(pod):
		return pod.Name
	}
	return ""
}

// channelName describes the channel and the name under which the bot is in it.
func channelName(bot *v1alpha1.RoseyBot) string {
	who := "anonymously"
	if bot.Spec.Account != nil {
		who = "as " + bot.Spec.Account.Username
	}
	return fmt.Sprintf("channel %s on %s, %s", bot.Spec.Channel.Name, bot.Spec.Channel.Server, who)
}

// durableCondition returns Durable: whether events are kept until they are stored, which the bot in the channel
// reports.
func durableCondition(in statusInput) *metav1.Condition {
	if condition := stoppedCondition(in.bot, manifests.Bot); condition != nil {
		return condition
	}
	if in.bot.Spec.Mode == v1alpha1.ModeDirect {
		return conditionTrue(string(status.ReasonDirect), "the bot stores events itself")
	}
	pod := leaderPod(in)
	if running, _ := podRunning(pod); !running {
		return conditionFalse(v1alpha1.ReasonBotNotRunning, "no bot is running")
	}
	report, missing := reportOf(in, pod, manifests.Bot)
	if missing != nil {
		return cmp.Or(keepUnasked(in, pod, v1alpha1.ConditionDurable),
			keepFailure(in, v1alpha1.ConditionDurable, missing))
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

// keepUnasked returns a condition as it was last if a ready pod has not been asked yet, or nil. An operator that has
// just started asks the pods of a namespace one after another, which takes minutes for a thousand: until then, nothing
// new is known of them.
func keepUnasked(in statusInput, pod *corev1.Pod, conditionType string) *metav1.Condition {
	last := meta.FindStatusCondition(in.bot.Status.Conditions, conditionType)
	if _, asked := in.reports[pod.Name]; asked || !podReady(pod) || last == nil ||
		hasSeverity(last.Reason, requested, transient) {
		return nil
	}
	return &metav1.Condition{Status: last.Status, Reason: last.Reason, Message: last.Message}
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
