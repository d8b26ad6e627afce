package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// podOf returns a pod with a status, created at a second of a minute.
func podOf(name string, second int, podStatus corev1.PodStatus) corev1.Pod {
	created := metav1.NewTime(time.Date(2026, time.January, 1, 0, 0, second, 0, time.UTC))
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: created}, Status: podStatus}
}

// leaderCase is what is known of a leader, of a standby that is ready, and from before.
type leaderCase struct {
	pods    []corev1.Pod
	reports map[string]probeResult
	leader  string            // of the last reconcile
	last    *metav1.Condition // ChannelJoined of the last reconcile
	status  metav1.ConditionStatus
	reason  string
}

// A leader whose login is refused stays the leader. A standby that waits for it is ready, but nobody is in the channel.
// A bot that gives up when CyTube is down becomes a standby, and the standby the leader, again and again: both are
// ready for a while, and ChannelJoined changed each time.
func TestReadyStandbyDoesNotHideALeaderOutsideTheChannel(t *testing.T) {
	for name, test := range leaderCases() {
		t.Run(name, func(t *testing.T) {
			bot := newBot("fun")
			bot.Spec.Replicas, bot.Status.Leader = new(int32(2)), test.leader
			if test.last != nil {
				test.last.Type = v1alpha1.ConditionChannelJoined
				bot.Status.Conditions = []metav1.Condition{*test.last}
			}
			in := statusInput{bot: bot, observed: newObserved(), reports: test.reports}
			in.observed.pods[manifests.Bot] = test.pods
			computed := computeStatus(in, time.Now())
			if name := computed.Leader; name != "" && name != formerLeader && !in.observed.hasPod(manifests.Bot, name) {
				t.Errorf("the leader %q is not a pod of the RoseyBot", name)
			}
			conditions := computed.Conditions
			got := meta.FindStatusCondition(conditions, v1alpha1.ConditionChannelJoined)
			if got.Status != test.status || got.Reason != test.reason {
				t.Errorf("ChannelJoined is %s with %s (%s), want %s with %s",
					got.Status, got.Reason, got.Message, test.status, test.reason)
			}
		})
	}
}

const formerLeader = "movienight-former"

func leaderCases() map[string]leaderCase {
	ready, waiting := runningPod("10.0.0.1", true), runningPod("10.0.0.1", false)
	restarting := runningPod("10.0.0.1", false)
	restarting.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	deleted := podOf("leader", 1, waiting)
	deleted.DeletionTimestamp = new(metav1.Now())
	standby := podOf("standby", 2, ready)
	both := []corev1.Pod{podOf("leader", 1, ready), standby}
	outside := []corev1.Pod{podOf("leader", 1, waiting), standby}
	report := func(leader string, ok bool, reason status.Reason) probeResult {
		check := status.Check{Name: status.ChannelCheck, OK: ok, Reason: reason}
		return probeResult{report: status.Report{Leader: leader, Reason: reason, Checks: []status.Check{check}}}
	}
	standingBy := report("leader", true, status.ReasonStandby)
	standsByForFormer := report(formerLeader, true, status.ReasonStandby)
	refused, joined := report("leader", false, status.ReasonLoginRefused), report("leader", true, status.ReasonJoined)
	joining := report("leader", false, status.ReasonStarting)
	noLeader := report("", false, status.ReasonNoLeader)
	silent := probeResult{err: context.DeadlineExceeded}
	wasIn := conditionTrue(string(status.ReasonJoined), "")
	down := conditionFalse(string(status.ReasonServerUnreachable), "")
	type reports = map[string]probeResult
	return map[string]leaderCase{
		"in the channel": {both, reports{"standby": standingBy, "leader": joined}, "", nil, "True", "Joined"},
		"in the channel again": {
			both, reports{"standby": standingBy, "leader": joined}, "leader", down, "True", "Joined",
		},
		"refused": {
			outside, reports{"standby": standingBy, "leader": refused}, "", nil, "False", "LoginRefused",
		},
		"refused, still ready from its time as standby": {
			both, reports{"standby": standingBy, "leader": refused}, "leader", wasIn, "False", "LoginRefused",
		},
		"not ready for another reason": {
			outside, reports{"standby": standingBy, "leader": joined}, "", nil, "True", "Joined",
		},
		"not yet probed":      {outside, reports{"standby": standingBy}, "", nil, "False", "Starting"},
		"ready, not probed":   {both, reports{"standby": standingBy}, "", nil, "False", "Starting"},
		"operator restarted":  {both, nil, "leader", wasIn, "True", "Joined"},
		"restarted while ill": {both, nil, "leader", down, "False", "ServerUnreachable"},
		"gives up": {
			both, reports{"leader": noLeader, "standby": noLeader}, "leader", down, "False", "ServerUnreachable",
		},
		"tries": {
			both, reports{"leader": joining, "standby": standingBy}, "standby", down, "False", "ServerUnreachable",
		},
		"takes over": {
			both, reports{"leader": joining, "standby": standingBy}, "standby", wasIn, "True", "Joined",
		},
		"takes over, but does not get in": {
			outside, reports{"leader": joining, "standby": standingBy}, "leader", wasIn, "False", "Starting",
		},
		"leader does not answer": {
			outside, reports{"standby": standingBy, "leader": silent}, "", nil, "Unknown", "StatusUnknown",
		},
		"ill leader does not answer": {
			outside, reports{"standby": standingBy, "leader": silent}, "", down, "False", "ServerUnreachable",
		},
		"ready leader does not answer": {
			both, reports{"standby": standingBy, "leader": silent}, "leader", wasIn, "True", "Joined",
		},
		"standby does not answer": {
			outside, reports{"standby": silent, "leader": refused}, "leader", nil, "False", "LoginRefused",
		},
		"no pod answers yet": {[]corev1.Pod{standby}, nil, "", nil, "False", "Starting"},
		// The standby takes over within seconds. If it does not, it is not ready.
		"leader gone": {
			[]corev1.Pod{standby}, reports{"standby": standsByForFormer}, formerLeader, wasIn, "True", "Joined",
		},
		"none of the pods": {[]corev1.Pod{standby}, reports{"standby": standingBy}, "", wasIn, "False", "ForeignLeader"},
		"none of the pods, and taken over before": {
			[]corev1.Pod{standby}, reports{"standby": standingBy}, "leader", wasIn, "False", "ForeignLeader",
		},
		"leader deleted": {[]corev1.Pod{deleted, standby}, reports{"standby": standingBy}, "", wasIn, "True", "Joined"},
		"leader restarting": {
			[]corev1.Pod{podOf("leader", 1, restarting), standby}, reports{"standby": standingBy}, "", wasIn, "True", "Joined",
		},
		"nobody takes over": {
			[]corev1.Pod{deleted, podOf("standby", 2, waiting)}, reports{"standby": noLeader}, "leader", wasIn,
			"False", "NoLeader",
		},
	}
}

// The operator finds out by itself why the leader is not in the channel, and what keeps another bot from being ready.
func TestLeaderOutsideTheChannelIsReported(t *testing.T) {
	bot := newBot(newNamespace(t))
	bot.Spec.Replicas = new(int32(3))
	create(t, bot)
	rollOut(t, bot)
	newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
	leading := startProcess(t, notReady(status.BotComponent, status.ChannelCheck, status.ReasonBanned, "banned"))
	leaderPod := newPod(t, bot, manifests.Bot, runningPod(leading.ip, false))
	standingBy := startProcess(t, status.Report{
		Component: status.BotComponent, Ready: true, Reason: status.ReasonReady, Leader: leaderPod.Name,
		Checks: []status.Check{{Name: status.ChannelCheck, OK: true, Reason: status.ReasonStandby}},
	})
	newPod(t, bot, manifests.Bot, runningPod(standingBy.ip, true))
	starting := startProcess(t, notReady(status.BotComponent, status.NATSCheck, status.ReasonNATSUnreachable, ""))
	eventually(t, "a second in which the youngest pod is younger than the leader", func(context.Context) error {
		if !time.Now().Truncate(time.Second).After(leaderPod.CreationTimestamp.Time) {
			return errors.New("it is the same")
		}
		return nil
	})
	newPod(t, bot, manifests.Bot, runningPod(starting.ip, false))
	for condition, reason := range map[string]string{
		v1alpha1.ConditionChannelJoined: string(status.ReasonBanned), v1alpha1.ConditionReady: string(status.ReasonBanned),
	} {
		if got := waitCondition(t, bot, condition, metav1.ConditionFalse, reason); got.Message != "banned" {
			t.Errorf("%s has the message %q", condition, got.Message)
		}
	}
	waitCondition(t, bot, v1alpha1.ConditionBotAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable)

	waitReconciled(t, bot)
	eventually(t, "all three are asked", func(context.Context) error {
		if starting.asked.Load() == 0 || standingBy.asked.Load() == 0 || leading.asked.Load() == 0 {
			return fmt.Errorf("asked were the starting bot %d times, the standby %d times and the leader %d times",
				starting.asked.Load(), standingBy.asked.Load(), leading.asked.Load())
		}
		return nil
	})

	joined := healthyReport(status.BotComponent)
	joined.Leader = leaderPod.Name
	leading.report.Store(&joined)
	setPodStatus(t, leaderPod, runningPod(leading.ip, true))
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	waitReconciled(t, bot)
}

// An evicted pod stays for a while. It does not explain the state of a component that has other pods.
func TestEndedPodDoesNotExplainARunningComponent(t *testing.T) {
	evicted := podOf("evicted", 3, corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"})
	waiting := podOf("waiting", 2, runningPod("10.0.0.1", false))
	ready := podOf("ready", 1, runningPod("10.0.0.1", true))
	for name, test := range map[string]struct {
		pods []corev1.Pod
		want string
	}{
		"only ended": {[]corev1.Pod{evicted}, "evicted"},
		"not ready":  {[]corev1.Pod{evicted, waiting}, "waiting"},
		"ready":      {[]corev1.Pod{evicted, waiting, ready}, "ready"},
	} {
		t.Run(name, func(t *testing.T) {
			seen := newObserved()
			seen.pods[manifests.Bot] = test.pods
			if got := seen.newestPod(manifests.Bot); got == nil || got.Name != test.want {
				t.Errorf("the pod is %s, want %s", got.GetName(), test.want)
			}
		})
	}
}

// The only bot takes part in the election too. It waits outside the channel for whoever holds the key.
func TestTheOnlyBotThatWaitsForAForeignLeaderIsReported(t *testing.T) {
	pod := podOf("movienight-bot", 1, runningPod("10.0.0.1", false))
	for leader, reason := range map[string]string{
		"evil": v1alpha1.ReasonForeignLeader, pod.Name: string(status.ReasonKicked), "": string(status.ReasonKicked),
		formerLeader: string(status.ReasonKicked),
	} {
		report := notReady(status.BotComponent, status.ChannelCheck, status.ReasonKicked, "kicked")
		report.Leader = leader
		in := statusInput{bot: newBot("fun"), observed: newObserved(), reports: map[string]probeResult{
			pod.Name: {report: report},
		}}
		in.observed.pods[manifests.Bot] = []corev1.Pod{pod}
		computed := computeStatus(in, time.Now())
		got := meta.FindStatusCondition(computed.Conditions, v1alpha1.ConditionChannelJoined)
		if got.Status != metav1.ConditionFalse || got.Reason != reason || computed.Leader != "" {
			t.Errorf("leader %q: ChannelJoined is %s with %s, and the leader %q; want False with %s",
				leader, got.Status, got.Reason, computed.Leader, reason)
		}
	}
}
