package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

// Each first start with a new claim emitted a warning.
func TestOnlyWhatSomebodyMustMendIsAWarning(t *testing.T) {
	ready := func(status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: reason}
	}
	not := func(reason string) []metav1.Condition { return []metav1.Condition{ready("False", reason)} }
	stalled := func(reason string) []metav1.Condition {
		return append(not(reason), metav1.Condition{Type: v1alpha1.ConditionStalled, Status: "True", Reason: reason})
	}
	fine := func(reason string) []metav1.Condition { return []metav1.Condition{ready("True", reason)} }
	for name, test := range map[string]struct {
		states [][]metav1.Condition
		want   string
	}{
		"first start": {
			[][]metav1.Condition{
				not(v1alpha1.ReasonProgressing), not(v1alpha1.ReasonClaimPending), not(string(status.ReasonStarting)),
				not(string(status.ReasonServiceAbsent)), fine(v1alpha1.ReasonReady),
			},
			"Normal Progressing, Normal ClaimPending, Normal Ready",
		},
		"no volume": {
			[][]metav1.Condition{not(v1alpha1.ReasonClaimPending), stalled(v1alpha1.ReasonClaimPending)},
			"Normal ClaimPending, Warning ClaimPending",
		},
		"suspended": {
			[][]metav1.Condition{not(v1alpha1.ReasonProgressing), fine(v1alpha1.ReasonSuspended)},
			"Normal Progressing, Normal Suspended",
		},
		"limited":        {[][]metav1.Condition{not(string(status.ReasonLoginLimited))}, "Normal LoginLimited"},
		"owner suspends": {[][]metav1.Condition{not(v1alpha1.ReasonSharedOwnerSuspended)}, "Normal SharedOwnerSuspended"},
		"wrong password": {
			[][]metav1.Condition{
				fine(v1alpha1.ReasonReady), not(string(status.ReasonLoginRefused)), stalled(string(status.ReasonLoginRefused)),
			},
			"Normal Ready, Warning LoginRefused",
		},
		"not durable": {[][]metav1.Condition{not(string(status.ReasonStreamRefused))}, "Warning StreamRefused"},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := events.NewFakeRecorder(10)
			operator := &Reconciler{Events: recorder, eventLimit: newLimiter(eventsOfBot, eventsOfNamespace), now: time.Now}
			bot := newBot("fun")
			for _, conditions := range test.states {
				operator.emitEvents(bot, conditions)
				bot.Status.Conditions = conditions
			}
			close(recorder.Events)
			var got []string
			for event := range recorder.Events {
				got = append(got, strings.TrimSpace(event))
			}
			if strings.Join(got, ", ") != test.want {
				t.Errorf("events are %q, want %q", got, test.want)
			}
		})
	}
}
