package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

func TestReadyIsTheMostTellingReason(t *testing.T) {
	fine, rolledOut := yes("Fine", ""), no("RolledOut", "")
	starting := no(string(status.ReasonStarting), "")
	tests := map[string]struct {
		database, bot, channel, progressing verdict
		status                              metav1.ConditionStatus
		reason                              string
	}{
		"all well":            {fine, fine, fine, rolledOut, "True", "Ready"},
		"rolling out":         {fine, fine, fine, yes("Progressing", ""), "False", "Progressing"},
		"foreign first":       {no("CrashLoop", ""), fine, fine, yes("ForeignObject", ""), "False", "ForeignObject"},
		"database first":      {no("StoreUnavailable", ""), no("Kicked", ""), fine, rolledOut, "False", "StoreUnavailable"},
		"cause over waiting":  {starting, no("ImagePullFailed", ""), fine, rolledOut, "False", "ImagePullFailed"},
		"cause over result":   {starting, no("ServiceAbsent", ""), fine, rolledOut, "False", "Starting"},
		"cause over silence":  {unknown(""), no("NATSUnreachable", ""), fine, rolledOut, "False", "NATSUnreachable"},
		"silence":             {unknown(""), starting, fine, rolledOut, "Unknown", "StatusUnknown"},
		"write failed":        {fine, fine, fine, yes("WriteFailed", ""), "False", "WriteFailed"},
		"service alone":       {fine, no("ServiceAbsent", ""), fine, rolledOut, "False", "ServiceAbsent"},
		"bot before channel":  {fine, no("CrashLoop", ""), no("BotNotRunning", ""), rolledOut, "False", "CrashLoop"},
		"channel alone":       {fine, fine, no("Kicked", ""), rolledOut, "False", "Kicked"},
		"old pods still fine": {fine, fine, fine, yes("Progressing", ""), "False", "Progressing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := ready(situation{bot: newBot("fun")}, map[string]verdict{
				v1alpha1.ConditionDatabaseAvailable: test.database, v1alpha1.ConditionBotAvailable: test.bot,
				v1alpha1.ConditionChannelJoined: test.channel, v1alpha1.ConditionProgressing: test.progressing,
			})
			if got.Status != test.status || got.Reason != test.reason {
				t.Errorf("Ready is %s with %s, want %s with %s", got.Status, got.Reason, test.status, test.reason)
			}
		})
	}
}

func TestNextLookBacksOffAndStops(t *testing.T) {
	now := time.Now()
	type conditions = []metav1.Condition
	ready := func(status metav1.ConditionStatus, reason string, age time.Duration) metav1.Condition {
		since := metav1.NewTime(now.Add(-age))
		return metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, LastTransitionTime: since}
	}
	asleep := ready("False", v1alpha1.ReasonScaledToZero, time.Hour)
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
		"asleep":           {conditions{asleep, database("True"), progressing("False")}, 0},
		"asleep, no rows":  {conditions{asleep, database("False"), progressing("False")}, 30 * time.Second},
		"falling asleep":   {conditions{asleep, database("True"), progressing("True")}, 30 * time.Second},
		"suspended":        {conditions{suspended, databaseOff, progressing("False")}, 0},
		"being suspended":  {conditions{suspended, databaseOff, progressing("True")}, 30 * time.Second},
		"clock went ahead": {conditions{ready("False", "Starting", -time.Hour), database("False")}, 2 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := nextLook(newBot("fun"), v1alpha1.RoseyBotStatus{Conditions: test.conditions}, now); got != test.want {
				t.Errorf("next look in %s, want %s", got, test.want)
			}
		})
	}
}
