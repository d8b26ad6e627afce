package controllers

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// A volume that cannot be mounted was reported as a database service that starts.
func TestConditionsExplainMounts(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, bot)
	rollOut(t, bot)
	creating := waitingPod(containerCreating, "")
	pod := newPod(t, bot, manifests.Bot, creating)
	bind(t, pod)
	setPodStatus(t, pod, creating)
	warn(t, pod, "Unhealthy", "readiness probe failed", 3)
	warn(t, pod, "FailedMount", `MountVolume.MountDevice failed for volume "pvc-1": no such device`, 1)
	warn(t, pod, "FailedMount", "Unable to attach or mount volumes: timed out waiting for the condition", 2)
	waitExpected(t, bot, expected{
		v1alpha1.ConditionBotAvailable, "False", v1alpha1.ReasonMountFailed,
		`the pod of the bot cannot start: MountVolume.MountDevice failed for volume "pvc-1": no such device`,
	})
	setPodStatus(t, pod, runningPod("127.0.0.1", true))
	waitCondition(t, bot, v1alpha1.ConditionBotAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable)
}

// Events of 1 MB about a pod, which who may create events can create, are neither read at once nor kept.
func TestLargeEventsOfAPodAreReadInPages(t *testing.T) {
	namespace := newNamespace(t)
	pod := podOf("bot", 1, waitingPod(containerCreating, ""))
	pod.Namespace, pod.UID = namespace, "3fb9"
	long := strings.Repeat("x", 1<<20)
	for i := range maxEvents + 1 {
		if i >= 2*eventsPerPage {
			long = "short"
		}
		warn(t, &pod, "FailedMount", long, i)
	}
	before := rig.requests.events(namespace)
	events, err := rig.operator.readEvents(t.Context(), &pod)
	if err != nil || len(events) != maxEvents {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, event := range events {
		if len(event.Message) > 4*maxConditionMessage {
			t.Errorf("a message of %d bytes is kept", len(event.Message))
		}
	}
	if pages := rig.requests.events(namespace) - before; pages != maxEvents/eventsPerPage {
		t.Errorf("read in %d pages", pages)
	}
}

// bind gives a pod a node, as the scheduler does.
func bind(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	binding := &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: "node"}}
	binding.Namespace, binding.Name = pod.Namespace, pod.Name
	if err := rig.admin.SubResource("binding").Create(t.Context(), pod, binding); err != nil {
		t.Fatal(err)
	}
	now, err := get(t.Context(), &corev1.Pod{}, pod.Namespace, pod.Name)
	if err != nil {
		t.Fatal(err)
	}
	*pod = *now
}

// warn creates an event about a pod, as the kubelet does.
func warn(t *testing.T, pod *corev1.Pod, reason, message string, minute int) {
	t.Helper()
	event := &corev1.Event{
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
		},
		Type: corev1.EventTypeWarning, Reason: reason, Message: message,
		LastTimestamp: metav1.NewTime(time.Date(2026, time.January, 1, 0, minute, 0, 0, time.UTC)),
	}
	event.GenerateName, event.Namespace = "event-", pod.Namespace
	create(t, event)
}

// The trouble of the newest pod was hidden by older ones that are ready: "the bot is being rolled out" for ever.
func TestRolloutNamesWhatTheNewPodLacks(t *testing.T) {
	old := podOf("old", 1, runningPod("10.0.0.1", true))
	quota := appsv1.DeploymentCondition{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota: small",
	}
	closed := notReady(status.BotComponent, status.StoreCheck, status.ReasonStoreRefused, "wrong password")
	for name, test := range map[string]struct {
		next       []corev1.Pod
		conditions []appsv1.DeploymentCondition
		report     status.Report
		reason     string
		message    string
	}{
		"quota": {nil, []appsv1.DeploymentCondition{quota}, status.Report{}, "PodsRefused", "exceeded quota: small"},
		"image": {
			[]corev1.Pod{podOf("next", 2, waitingPod("ErrImagePull", "not found"))}, nil, status.Report{},
			"ImagePullFailed", "not found",
		},
		"node": {
			[]corev1.Pod{podOf("next", 2, unscheduledPod("0/1 nodes are available"))}, nil, status.Report{},
			"Unschedulable", "0/1 nodes are available",
		},
		"report": {
			[]corev1.Pod{podOf("next", 2, runningPod("10.0.0.2", false))}, nil, closed, "StoreRefused", "wrong password",
		},
		"nothing": {
			[]corev1.Pod{podOf("next", 2, waitingPod(containerCreating, ""))}, nil, status.Report{},
			"Progressing", "the database service is being rolled out",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bot := newBot("fun")
			in := kstatusInput(bot, kstatusCase{bot: []corev1.Pod{podOf("bot", 0, runningPod("10.0.0.3", true))}})
			in.observed.pods[manifests.Database] = append([]corev1.Pod{old}, test.next...)
			if test.report.Component != "" {
				in.reports["next"] = probeResult{report: test.report}
			}
			deployment := in.deployment(manifests.Database)
			deployment.Status.UpdatedReplicas, deployment.Status.Conditions = 0, test.conditions
			got := meta.FindStatusCondition(computeStatus(in, time.Now()).Conditions, v1alpha1.ConditionReady)
			if got.Status != metav1.ConditionFalse || got.Reason != test.reason ||
				!strings.Contains(got.Message, test.message) {
				t.Errorf("Ready is %s with %s: %s", got.Status, got.Reason, got.Message)
			}
		})
	}
}

// A standby that stays pending was a RoseyBot that is ready: less than asked for, and nothing said so.
func TestMissingStandbyIsReported(t *testing.T) {
	created := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	leading := healthyReport(status.BotComponent)
	leading.Leader = "bot"
	pending := podOf("standby", 0, unscheduledPod("0/1 nodes are available: 1 Insufficient cpu."))
	for name, test := range map[string]struct {
		component manifests.Component
		pods      []corev1.Pod
		refused   bool
		after     time.Duration
		status    metav1.ConditionStatus
		reason    string
		message   string
	}{
		"soon": {
			manifests.Bot, []corev1.Pod{pending}, false, time.Minute, "True", "Ready", "1 of 2 pods of the bot are ready",
		},
		"late": {
			manifests.Bot, []corev1.Pod{pending}, false, 11 * time.Minute, "False", "StandbyMissing",
			"1 of 2 pods of the bot are ready: the pod of the bot cannot be scheduled: 0/1 nodes are available",
		},
		"refused": {
			manifests.Bot, nil, true, 11 * time.Minute, "False", "StandbyMissing",
			"1 of 2 pods of the bot are ready: no pod of the bot can be created: exceeded quota",
		},
		"deleted a moment ago": {manifests.Bot, nil, false, time.Hour, "True", "Ready", "1 of 2 pods of the bot are ready"},
		"database service": {
			manifests.Database, []corev1.Pod{pending}, false, 11 * time.Minute, "False", "ReplicaMissing",
			"1 of 2 pods of the database service are ready: the pod of the database service cannot be scheduled",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bot := newBot("fun")
			bot.Spec.Replicas = new(int32(2))
			bot.Spec.Database = &v1alpha1.Database{Postgres: &v1alpha1.Postgres{}, Replicas: new(int32(2))}
			first := podOf("bot", 0, runningPod("10.0.0.1", true))
			in := kstatusInput(bot, kstatusCase{bot: []corev1.Pod{first}, report: leading})
			complete := map[manifests.Component]manifests.Component{
				manifests.Bot: manifests.Database, manifests.Database: manifests.Bot,
			}[test.component]
			in.observed.pods[complete] = append(in.observed.pods[complete], podOf("2nd", 1, runningPod("10.0.0.2", true)))
			in.reports["2nd"] = in.reports["bot"]
			in.observed.pods[test.component] = append(in.observed.pods[test.component], test.pods...)
			if test.refused {
				in.deployment(test.component).Status.Conditions = []appsv1.DeploymentCondition{{
					Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota",
					LastTransitionTime: metav1.NewTime(created),
				}}
			}
			computed := computeStatus(in, created.Add(test.after))
			got := meta.FindStatusCondition(computed.Conditions, v1alpha1.ConditionReady)
			if got.Status != test.status || got.Reason != test.reason {
				t.Errorf("Ready is %s with %s (%s), want %s with %s", got.Status, got.Reason, got.Message, test.status, test.reason)
			}
			kind := map[manifests.Component]string{
				manifests.Bot: v1alpha1.ConditionBotAvailable, manifests.Database: v1alpha1.ConditionDatabaseAvailable,
			}[test.component]
			available := meta.FindStatusCondition(computed.Conditions, kind)
			if available.Status != metav1.ConditionTrue || !strings.HasPrefix(available.Message, test.message) {
				t.Errorf("%s is %s: %s", kind, available.Status, available.Message)
			}
		})
	}
}
