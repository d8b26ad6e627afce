package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/apiservertest"
)

// kstatusOf returns how Flux, Helm and others that use kstatus read a RoseyBot.
func kstatusOf(t *testing.T, bot *v1alpha1.RoseyBot) kstatus.Status {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(bot)
	if err != nil {
		t.Fatal(err)
	}
	result, err := kstatus.Compute(&unstructured.Unstructured{Object: content})
	if err != nil {
		t.Fatal(err)
	}
	return result.Status
}

// waitKstatus waits until kstatus reads a RoseyBot of the API server as want.
func waitKstatus(t *testing.T, bot *v1alpha1.RoseyBot, want kstatus.Status) {
	t.Helper()
	eventually(t, "kstatus "+string(want), func(ctx context.Context) error {
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if err != nil {
			return err
		}
		if health, _ := healthOf(t, now); health != argoCDHealth[want] {
			return fmt.Errorf("the health is %s: %s", health, describe(now))
		}
		if got := kstatusOf(t, now); got != want {
			return fmt.Errorf("it is %s: generation %d of %d, %s",
				got, now.Status.ObservedGeneration, now.Generation, describe(now))
		}
		return nil
	})
}

// unseenNamespace is a namespace that the operator of the tests does not watch.
const unseenNamespace = "unseen"

// `helm install --wait` returned at once for a RoseyBot that no operator had seen.
func TestRoseyBotThatWasNeverReconciledIsNotReady(t *testing.T) {
	if missing := apiservertest.Missing(); missing != "" {
		t.Skip(missing)
	}
	t.Parallel()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unseenNamespace}}
	create(t, namespace)
	bot := newBot(unseenNamespace)
	create(t, bot)
	now, err := get(t.Context(), &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
	if err != nil {
		t.Fatal(err)
	}
	if now.Status.ObservedGeneration != -1 {
		t.Errorf("observedGeneration is %d, want -1", now.Status.ObservedGeneration)
	}
	waitKstatus(t, bot, kstatus.InProgressStatus)
	scale := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "autoscaling/v1", "kind": "Scale"}}
	if err := rig.admin.SubResource("scale").Get(t.Context(), bot, scale); err != nil {
		t.Errorf("the scale subresource cannot be read: %v", err)
	}
}

// A RoseyBot that is resumed is not ready in the first status of the new generation, and never was one of the old.
func TestKstatusFollowsSuspendAndResume(t *testing.T) {
	bot := newBot(newNamespace(t))
	pod := createReady(t, bot)
	waitKstatus(t, bot, kstatus.CurrentStatus)
	change(t, pod, func() { pod.Finalizers = []string{"rosey.dev/test"} }) // as long as it shuts down
	change(t, bot, func() { bot.Spec.Suspend = new(true) })
	for _, name := range []string{manifests.Name(bot, manifests.Bot), manifests.Name(bot, manifests.Database)} {
		waitReplicas(t, bot, name, 0)
	}
	err := rig.admin.DeleteAllOf(t.Context(), pod, client.InNamespace(bot.Namespace), client.GracePeriodSeconds(0))
	if err != nil {
		t.Fatal(err)
	}
	rollOut(t, bot)
	stopping := "pod " + pod.Name + " of the bot is being stopped"
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "False", v1alpha1.ReasonProgressing, stopping})
	waitKstatus(t, bot, kstatus.InProgressStatus)
	change(t, pod, func() { pod.Finalizers = nil })
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	waitKstatus(t, bot, kstatus.CurrentStatus)

	seen := watchStatus(t, bot)
	change(t, bot, func() { bot.Spec.Suspend = nil })
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	for _, now := range seen() {
		if now.Generation == bot.Generation && kstatusOf(t, now) == kstatus.CurrentStatus {
			t.Errorf("resumed and at once up to date: %s", describe(now))
		}
	}
}

// watchStatus watches a RoseyBot, and returns a function that stops the watch and returns every version.
func watchStatus(t *testing.T, bot *v1alpha1.RoseyBot) func() []*v1alpha1.RoseyBot {
	t.Helper()
	watcher, err := rig.admin.Watch(t.Context(), &v1alpha1.RoseyBotList{}, client.InNamespace(bot.Namespace))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan []*v1alpha1.RoseyBot, 1)
	go func() {
		var seen []*v1alpha1.RoseyBot
		for event := range watcher.ResultChan() {
			if now, isBot := event.Object.(*v1alpha1.RoseyBot); isBot {
				seen = append(seen, now)
			}
		}
		done <- seen
	}()
	return func() []*v1alpha1.RoseyBot {
		watcher.Stop()
		return <-done
	}
}

// kstatusCase is what a RoseyBot's status is computed from, a while after it turned unready.
type kstatusCase struct {
	change func(*v1alpha1.RoseyBot)
	bot    []corev1.Pod
	report status.Report
	left   *problem
	late   bool // the Deployments have exceeded their progress deadline
	after  time.Duration
	want   kstatus.Status
	reason string
}

func TestKstatusOfEachState(t *testing.T) {
	created := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	ready, waiting := podOf("bot", 0, runningPod("10.0.0.1", true)), podOf("bot", 0, runningPod("10.0.0.1", false))
	refused := notReady(status.BotComponent, status.ChannelCheck, status.ReasonLoginRefused, "wrong password")
	down := notReady(status.BotComponent, status.ChannelCheck, status.ReasonServerUnreachable, "connection refused")
	coreOnly := healthyReport(status.BotComponent)
	coreOnly.Checks[1].Reason = status.ReasonCoreOnly
	full := healthyReport(status.BotComponent)
	full.Checks[1].Reason = status.ReasonStreamRefused
	pull := podOf("bot", 0, waitingPod("ErrImagePull", "not found"))
	suspend := func(bot *v1alpha1.RoseyBot) { bot.Spec.Suspend = new(true) }
	zero := func(bot *v1alpha1.RoseyBot) { bot.Spec.Replicas = new(int32(0)) }
	healthy := healthyReport(status.BotComponent)
	foreign := &problem{reason: v1alpha1.ReasonForeignObject, message: "exists"}
	written := &problem{reason: v1alpha1.ReasonProgressing, message: "has just changed", usable: true}
	for name, test := range map[string]kstatusCase{
		"ready":             {bot: []corev1.Pod{ready}, report: healthy, want: "Current", reason: "Ready"},
		"without JetStream": {bot: []corev1.Pod{ready}, report: coreOnly, want: "Current", reason: "Ready"},
		"stream refused": {
			bot: []corev1.Pod{ready}, report: full, after: time.Hour, want: "Failed", reason: "StreamRefused",
		},
		"pod does not answer":  {bot: []corev1.Pod{ready}, want: "Current", reason: "Ready"},
		"suspended":            {change: suspend, want: "Current", reason: "Suspended"},
		"being suspended":      {change: suspend, bot: []corev1.Pod{ready}, want: "InProgress", reason: "Progressing"},
		"scaled to zero":       {change: zero, want: "Current", reason: "ScaledToZero"},
		"being scaled to zero": {change: zero, bot: []corev1.Pod{ready}, want: "InProgress", reason: "Progressing"},
		"being rolled out": {
			bot: []corev1.Pod{ready}, report: healthy, left: written, after: time.Hour, want: "InProgress",
			reason: "Progressing",
		},
		"login refused, Secret may follow": {
			bot: []corev1.Pod{waiting}, report: refused, after: time.Second, want: "InProgress", reason: "LoginRefused",
		},
		"login refused": {
			bot: []corev1.Pod{waiting}, report: refused, after: time.Hour, want: "Failed", reason: "LoginRefused",
		},
		"login refused, new pod": {
			bot: []corev1.Pod{podOf("bot", 3599, runningPod("10.0.0.1", false))}, report: refused, after: time.Hour,
			want: "InProgress", reason: "LoginRefused",
		},
		"CyTube is down": {
			bot: []corev1.Pod{waiting}, report: down, late: true, after: time.Hour, want: "InProgress",
			reason: "ServerUnreachable",
		},
		"image not yet there": {
			bot: []corev1.Pod{pull}, after: time.Minute, want: "InProgress", reason: "ImagePullFailed",
		},
		"image": {bot: []corev1.Pod{pull}, late: true, after: time.Hour, want: "Failed", reason: "ImagePullFailed"},
		"foreign object": {
			bot: []corev1.Pod{ready}, report: healthy, left: foreign, after: time.Hour, want: "Failed", reason: "ForeignObject",
		},
	} {
		t.Run(name, func(t *testing.T) {
			now := created.Add(test.after)
			bot := newBot("fun")
			bot.Generation = 3
			if test.change != nil {
				test.change(bot)
			}
			bot.Status.Conditions = []metav1.Condition{
				{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, LastTransitionTime: metav1.NewTime(created)},
				{Type: "Progressing", Status: metav1.ConditionTrue}, // not the operator's
				{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue},
				{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue},
			}
			bot.Status = computeStatus(kstatusInput(bot, test), now)
			if got := kstatusOf(t, bot); got != test.want {
				t.Errorf("kstatus is %s, want %s: %s", got, test.want, describe(bot))
			}
			health, message := healthOf(t, bot)
			if health != argoCDHealth[test.want] || !strings.HasPrefix(message, test.reason) {
				t.Errorf("the health is %s, %s; want %s with %s", health, message, argoCDHealth[test.want], test.reason)
			}
			if err := checkSummary(bot, test.reason); err != nil {
				t.Errorf("%v: %s", err, describe(bot))
			}
		})
	}
}

// kstatusInput returns an input with what a test case has and a database service that is ready.
func kstatusInput(bot *v1alpha1.RoseyBot, test kstatusCase) statusInput {
	in := statusInput{bot: bot, observed: newObserved(), reports: map[string]probeResult{}}
	in.observed.pods[manifests.Bot] = test.bot
	if bot.Spec.Suspend == nil {
		in.observed.pods[manifests.Database] = []corev1.Pod{podOf("db", 0, runningPod("10.0.0.2", true))}
	}
	in.reports["bot"] = probeResult{err: errors.New("timed out")}
	if test.report.Component != "" {
		in.reports["bot"] = probeResult{report: test.report}
	}
	in.applied.problems = map[manifests.Component]*problem{manifests.Bot: test.left}
	for _, component := range manifests.Components(bot) {
		replicas := manifests.Replicas(bot, component)
		deployment := &appsv1.Deployment{Status: appsv1.DeploymentStatus{Replicas: replicas, UpdatedReplicas: replicas}}
		deployment.Name = manifests.Name(bot, component)
		deployment.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
		if test.late {
			deployment.Status.Conditions = []appsv1.DeploymentCondition{{
				Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded",
			}}
		}
		in.observed.Objects[manifests.KeyOf(deployment)] = deployment
	}
	return in
}

// checkSummary checks that Ready has a reason, and that Reconciling and Stalled do not contradict it or each other.
func checkSummary(bot *v1alpha1.RoseyBot, reason string) error {
	found := map[string]metav1.Condition{}
	for _, condition := range bot.Status.Conditions {
		found[condition.Type] = condition
		if condition.ObservedGeneration != bot.Generation {
			return fmt.Errorf("%s is about generation %d", condition.Type, condition.ObservedGeneration)
		}
	}
	_, isReconciling := found[v1alpha1.ConditionReconciling]
	_, isStalled := found[v1alpha1.ConditionStalled]
	isReady := found[v1alpha1.ConditionReady].Status == metav1.ConditionTrue
	switch {
	case found[v1alpha1.ConditionReady].Reason != reason:
		return fmt.Errorf("want the reason %s", reason)
	case isReady && (isReconciling || isStalled) || isReconciling && isStalled:
		return errors.New("conditions that contradict each other")
	case found["Progressing"].Type != "":
		return errors.New("a condition that is not the operator's")
	}
	return nil
}
