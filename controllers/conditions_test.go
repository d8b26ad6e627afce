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
	fine, rolledOut := *conditionTrue("Fine", ""), *conditionFalse("RolledOut", "")
	starting := *conditionFalse(string(status.ReasonStarting), "")
	failed := func(reason string) metav1.Condition { return *conditionFalse(reason, "") }
	rollout := func(reason string) metav1.Condition { return *conditionTrue(reason, "") }
	unknown, rolling := *conditionUnknown(""), rollout("Progressing")
	tests := map[string]struct {
		database, bot, channel, progressing metav1.Condition
		status                              metav1.ConditionStatus
		reason                              string
	}{
		"all good":            {fine, fine, fine, rolledOut, "True", "Ready"},
		"rolling out":         {fine, fine, fine, rolling, "False", "Progressing"},
		"foreign first":       {failed("CrashLoop"), fine, fine, rollout("ForeignObject"), "False", "ForeignObject"},
		"database first":      {failed("StoreUnavailable"), failed("Kicked"), fine, rolledOut, "False", "StoreUnavailable"},
		"cause over waiting":  {starting, failed("ImagePullFailed"), fine, rolledOut, "False", "ImagePullFailed"},
		"cause over result":   {starting, failed("ServiceAbsent"), fine, rolledOut, "False", "Starting"},
		"cause over silence":  {unknown, failed("NATSUnreachable"), fine, rolledOut, "False", "NATSUnreachable"},
		"silence":             {unknown, starting, fine, rolledOut, "Unknown", "StatusUnknown"},
		"write failed":        {fine, fine, fine, rollout("WriteFailed"), "False", "WriteFailed"},
		"service alone":       {fine, failed("ServiceAbsent"), fine, rolledOut, "False", "ServiceAbsent"},
		"bot before channel":  {fine, failed("CrashLoop"), failed("BotNotRunning"), rolledOut, "False", "CrashLoop"},
		"channel alone":       {fine, fine, failed("Kicked"), rolledOut, "False", "Kicked"},
		"old pods still fine": {fine, fine, fine, rolling, "False", "Progressing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.progressing.Type = v1alpha1.ConditionProgressing
			got := ready(statusInput{bot: newBot("fun")},
				[]metav1.Condition{test.database, test.bot, test.channel, test.progressing})
			if got.Status != test.status || got.Reason != test.reason {
				t.Errorf("Ready is %s with %s, want %s with %s", got.Status, got.Reason, test.status, test.reason)
			}
		})
	}
}

func TestPollInterval(t *testing.T) {
	now := time.Now()
	type conditions = []metav1.Condition
	ready := func(status metav1.ConditionStatus, reason string, age time.Duration) metav1.Condition {
		since := metav1.NewTime(now.Add(-age))
		return metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, LastTransitionTime: since}
	}
	scaledToZero := ready("False", v1alpha1.ReasonScaledToZero, time.Hour)
	suspended := ready("False", v1alpha1.ReasonSuspended, time.Hour)
	database := func(status metav1.ConditionStatus) metav1.Condition {
		return metav1.Condition{Type: v1alpha1.ConditionDatabaseAvailable, Status: status}
	}
	databaseOff := database("False")
	databaseOff.Reason = v1alpha1.ReasonSuspended
	progressing := func(status metav1.ConditionStatus) metav1.Condition {
		return metav1.Condition{Type: v1alpha1.ConditionProgressing, Status: status}
	}
	tests := map[string]struct {
		conditions conditions
		want       time.Duration
	}{
		"ready":            {conditions{ready("True", "Ready", time.Hour), database("True")}, 0},
		"just now":         {conditions{ready("False", "Starting", 0), database("False")}, 2 * time.Second},
		"20 s":             {conditions{ready("False", "Starting", 20*time.Second), database("False")}, 10 * time.Second},
		"an hour":          {conditions{ready("Unknown", "StatusUnknown", time.Hour), database("False")}, 30 * time.Second},
		"scaled to zero":   {conditions{scaledToZero, database("True"), progressing("False")}, 0},
		"no database":      {conditions{scaledToZero, database("False"), progressing("False")}, 30 * time.Second},
		"scaling to zero":  {conditions{scaledToZero, database("True"), progressing("True")}, 30 * time.Second},
		"suspended":        {conditions{suspended, databaseOff, progressing("False")}, 0},
		"being suspended":  {conditions{suspended, databaseOff, progressing("True")}, 30 * time.Second},
		"clock went ahead": {conditions{ready("False", "Starting", -time.Hour), database("False")}, 2 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := pollInterval(newBot("fun"), v1alpha1.RoseyBotStatus{Conditions: test.conditions}, now); got != test.want {
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
			operator.emitEvent(bot, nil, available)
			texts := []string{<-recorder.Events}
			for _, condition := range computed.Conditions {
				texts = append(texts, condition.Message)
			}
			for _, text := range texts {
				isHostile := func(r rune) bool { return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }
				if strings.ContainsFunc(text, isHostile) || !utf8.ValidString(text) || len([]rune(text)) > 400 {
					t.Errorf("not one printable line: %q", text)
				}
			}
		})
	}
}
