package controllers

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

func TestReadyHasTheMostImportantReason(t *testing.T) {
	fine := *conditionTrue("Fine", "")
	starting := *conditionFalse(string(status.ReasonStarting), "")
	failed := func(reason string) metav1.Condition { return *conditionFalse(reason, "") }
	rollout := func(reason string) *problem { return &problem{reason: reason} }
	unknown, rolling := *conditionUnknown(""), rollout("Progressing")
	tests := map[string]struct {
		database, bot, channel metav1.Condition
		left                   *problem
		status                 metav1.ConditionStatus
		reason                 string
	}{
		"all good":            {fine, fine, fine, nil, "True", "Ready"},
		"rolling out":         {fine, fine, fine, rolling, "False", "Progressing"},
		"foreign first":       {failed("CrashLoop"), fine, fine, rollout("ForeignObject"), "False", "ForeignObject"},
		"database first":      {failed("StoreUnavailable"), failed("Kicked"), fine, nil, "False", "StoreUnavailable"},
		"cause over waiting":  {starting, failed("ImagePullFailed"), fine, nil, "False", "ImagePullFailed"},
		"cause over result":   {starting, failed("ServiceAbsent"), fine, nil, "False", "Starting"},
		"cause over silence":  {unknown, failed("NATSUnreachable"), fine, nil, "False", "NATSUnreachable"},
		"silence":             {unknown, starting, fine, nil, "Unknown", "StatusUnknown"},
		"write failed":        {fine, fine, fine, rollout("WriteFailed"), "False", "WriteFailed"},
		"service alone":       {fine, failed("ServiceAbsent"), fine, nil, "False", "ServiceAbsent"},
		"bot before channel":  {fine, failed("CrashLoop"), failed("BotNotRunning"), nil, "False", "CrashLoop"},
		"channel alone":       {fine, fine, failed("Kicked"), nil, "False", "Kicked"},
		"old pods still fine": {fine, fine, fine, rolling, "False", "Progressing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			conditions := []metav1.Condition{test.database, test.bot, test.channel}
			got := readyCondition(statusInput{bot: newBot("fun")}, conditions, test.left)
			if got.Status != test.status || got.Reason != test.reason {
				t.Errorf("Ready is %s with %s, want %s with %s", got.Status, got.Reason, test.status, test.reason)
			}
		})
	}
}

func TestPollInterval(t *testing.T) {
	now := time.Now()
	ready := func(status metav1.ConditionStatus, reason string, age time.Duration) metav1.Condition {
		since := metav1.NewTime(now.Add(-age))
		return metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, LastTransitionTime: since}
	}
	nats, standbys, direct := newBot("fun"), newBot("fun"), newBot("fun")
	standbys.Spec.Replicas, direct.Spec.Mode = new(int32(2)), v1alpha1.ModeDirect
	tests := map[string]struct {
		bot   *v1alpha1.RoseyBot
		ready metav1.Condition
		want  time.Duration
	}{
		"ready":            {nats, ready("True", "Ready", time.Hour), time.Minute},
		"standbys":         {standbys, ready("True", "Ready", time.Hour), 30 * time.Second},
		"direct":           {direct, ready("True", "Ready", time.Hour), 0},
		"just now":         {nats, ready("False", "Starting", 0), 2 * time.Second},
		"20 s":             {nats, ready("False", "Starting", 20*time.Second), 10 * time.Second},
		"an hour":          {nats, ready("Unknown", "StatusUnknown", time.Hour), 30 * time.Second},
		"waits":            {nats, ready("False", v1alpha1.ReasonChannelNotServed, time.Hour), 15 * time.Second},
		"scaled to zero":   {nats, ready("True", v1alpha1.ReasonScaledToZero, time.Hour), 0},
		"suspended":        {standbys, ready("True", v1alpha1.ReasonSuspended, time.Hour), 0},
		"clock went ahead": {nats, ready("False", "Starting", -time.Hour), 2 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			conditions := []metav1.Condition{test.ready}
			if got := pollInterval(test.bot, v1alpha1.RoseyBotStatus{Conditions: conditions}, now); got != test.want {
				t.Errorf("poll interval is %s, want %s", got, test.want)
			}
		})
	}
}

// TestConditionsAndEventsAreOnePrintableLine checks every place in which a pod or its process chooses the words.
func TestConditionsAndEventsAreOnePrintableLine(t *testing.T) {
	hostile := "FORGED\r\nFORGED\x1b]52;c;QUJD\x07\u009b31m\u202e\u200b\u2028\U000e0041\x9b" +
		strings.Repeat("long ", 1000)
	report := notReady(status.BotComponent, status.ChannelCheck, status.ReasonKicked, hostile)
	for name, test := range map[string]struct {
		pod    corev1.PodStatus
		report probeResult
	}{
		"process":         {runningPod("10.0.0.1", false), probeResult{report: report}},
		"no report":       {runningPod("10.0.0.1", false), probeResult{err: errors.New(hostile)}},
		"waiting":         {pod: waitingPod(hostile, hostile)},
		"image":           {pod: waitingPod("ErrImagePull", hostile)},
		"crashed":         {pod: crashedPod(1, "Error", hostile)},
		"crashed in JSON": {pod: crashedPod(1, "Error", `{"msg":"FORGED\u001b[2J\u009b\u202e","error":"\u0007"}`)},
		"unscheduled":     {pod: unscheduledPod(hostile)},
		"failed":          {pod: corev1.PodStatus{Phase: corev1.PodFailed, Reason: hostile, Message: hostile}},
	} {
		t.Run(name, func(t *testing.T) {
			bot, recorder := newBot("fun"), events.NewFakeRecorder(1)
			in := statusInput{bot: bot, observed: newObserved(), reports: map[string]probeResult{"pod": test.report}}
			in.observed.pods[manifests.Bot] = []corev1.Pod{podOf("pod", 1, test.pod)}
			computed := computeStatus(in, time.Now())
			available := meta.FindStatusCondition(computed.Conditions, v1alpha1.ConditionBotAvailable)
			if !strings.Contains(available.Message, "FORGED") {
				t.Errorf("the condition does not have the words: %q", available.Message)
			}
			operator := &Reconciler{Events: recorder, eventLimit: newLimiter(eventsOfBot, eventsOfNamespace), now: time.Now}
			operator.emit(bot, corev1.EventTypeWarning, available)
			texts := []string{<-recorder.Events}
			if bytes := len(texts[0]); bytes > maxEventBytes+len("Warning CrashLoop ") {
				t.Errorf("an event of %d bytes", bytes)
			}
			for _, condition := range computed.Conditions {
				texts = append(texts, condition.Message)
			}
			for _, text := range texts {
				isHostile := func(r rune) bool { return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }
				if strings.ContainsFunc(text, isHostile) || !utf8.ValidString(text) || len([]rune(text)) > 850 {
					t.Errorf("not one printable line: %q", text)
				}
			}
		})
	}
}

// An operator that has just started has asked no pod yet. It must not write to a thousand RoseyBots that they are not
// durable, and later that they are.
func TestDurableStaysUntilAReadyPodWasAsked(t *testing.T) {
	bot := newBot("unasked")
	pod := corev1.Pod{Status: runningPod("127.0.0.1", true)}
	pod.Name = "bot-1"
	in := statusInput{bot: bot, observed: newObserved(), reports: map[string]probeResult{}}
	in.observed.pods[manifests.Bot] = []corev1.Pod{pod}
	check := func(what string, want metav1.ConditionStatus, reason status.Reason) {
		t.Helper()
		if got := durableCondition(in); got.Status != want || got.Reason != string(reason) {
			t.Errorf("%s: Durable=%s with %s, want %s with %s", what, got.Status, got.Reason, want, reason)
		}
	}
	check("never asked", metav1.ConditionFalse, status.ReasonStarting)
	for _, last := range []struct {
		status metav1.ConditionStatus
		reason status.Reason
	}{{metav1.ConditionTrue, status.ReasonStreamBound}, {metav1.ConditionFalse, status.ReasonCoreOnly}} {
		bot.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionDurable, Status: last.status, Reason: string(last.reason),
		}}
		check("not asked again", last.status, last.reason)
	}
	in.reports[pod.Name] = probeResult{err: errors.New("no answer")}
	last := &bot.Status.Conditions[0]
	last.Status, last.Reason = metav1.ConditionTrue, string(status.ReasonStreamBound)
	check("asked without an answer", metav1.ConditionUnknown, v1alpha1.ReasonStatusUnknown)
}
