package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// expected is an expected condition, whose message contains a text.
type expected struct {
	kind, status, reason, message string
}

func waitExpected(t *testing.T, bot *v1alpha1.RoseyBot, want ...expected) {
	t.Helper()
	for _, one := range want {
		what := fmt.Sprintf("%s=%s with %s and one line with %q", one.kind, one.status, one.reason, one.message)
		eventually(t, what, func(ctx context.Context) error {
			now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
			if err != nil {
				return err
			}
			got := meta.FindStatusCondition(now.Status.Conditions, one.kind)
			if got == nil || string(got.Status) != one.status || got.Reason != one.reason ||
				!strings.Contains(got.Message, one.message) || strings.Contains(got.Message, "\n") ||
				got.ObservedGeneration != now.Generation {
				return errors.New(describe(now))
			}
			return nil
		})
	}
}

func waitingPod(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "bot", Image: testImage,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}}}
}

func crashedPod(exitCode int32, reason, message string) corev1.PodStatus {
	status := waitingPod("CrashLoopBackOff", "back-off 5m0s restarting failed container")
	status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
		ExitCode: exitCode, Reason: reason, Message: message,
	}
	return status
}

func restartedPod(exitCode int32, message string) corev1.PodStatus {
	status := crashedPod(exitCode, "Error", message)
	status.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	status.ContainerStatuses[0].Started = new(false)
	return status
}

func unscheduledPod(message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message,
	}}}
}

// sidecarPod returns the status of a pod whose process is ready, and that has a container from admission.
func sidecarPod(sidecar corev1.ContainerStatus) corev1.PodStatus {
	status := runningPod("127.0.0.1", false)
	sidecar.Name, sidecar.Image = "proxy", testImage
	status.ContainerStatuses = append(status.ContainerStatuses, sidecar)
	return status
}

// initPod returns the status of a pod that waits for an init container from admission.
func initPod(initializer corev1.ContainerStatus) corev1.PodStatus {
	status := waitingPod(podInitializing, "")
	initializer.Name = "proxy"
	status.InitContainerStatuses = []corev1.ContainerStatus{initializer}
	return status
}

// gatedPod returns the status of a pod that waits for a readiness gate.
func gatedPod(message string) corev1.PodStatus {
	status := runningPod("127.0.0.1", false)
	status.Conditions[0].Message = message
	ready := corev1.PodCondition{Type: corev1.ContainersReady, Status: corev1.ConditionTrue}
	status.Conditions = append(status.Conditions, ready)
	return status
}

// The status explains from the pod's status why a bot is not ready. The database service is ready.
func TestConditionsExplainPods(t *testing.T) {
	tests := map[string]struct {
		status          corev1.PodStatus
		reason, message string
	}{
		"image pull": {
			waitingPod("ErrImagePull", "not found"),
			"ImagePullFailed", "image " + testImage + " of the bot: not found",
		},
		"image back-off": {
			waitingPod("ImagePullBackOff", `Back-off pulling image "x": ErrImagePull: not found`),
			"ImagePullFailed", "bot: not found",
		},
		"image name": {waitingPod("InvalidImageName", "bad name"), "ImagePullFailed", "bad name"},
		"rejected by the node": {
			waitingPod("CreateContainerConfigError", "image will run as root"),
			"ContainerRefused", "the container of the bot cannot start: CreateContainerConfigError: image will run as root",
		},
		"creating": {waitingPod("ContainerCreating", ""), "Starting", "the bot is starting"},
		"crash loop": {
			crashedPod(1, "Error", "one\nrosey: wrong key\n"),
			"CrashLoop", "the bot exited with code 1: rosey: wrong key",
		},
		"crash, log line": {
			crashedPod(1, "Error", `{"time":"2026","level":"ERROR","msg":"ended","error":"no disk"}`),
			"CrashLoop", "exited with code 1: ended: no disk",
		},
		"out of memory":       {crashedPod(137, "OOMKilled", ""), "CrashLoop", "OOMKilled: its memory limit is too low"},
		"between two crashes": {restartedPod(2, "again"), "CrashLoop", "exited with code 2: again"},
		"sidecar": {
			sidecarPod(crashedPod(0, "Completed", "bye").ContainerStatuses[0]),
			"CrashLoop", "container proxy in the pod of the bot exited with code 0: bye",
		},
		"sidecar is not ready": {
			sidecarPod(corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}),
			"NotReady", "the container proxy in the pod of the bot is not ready",
		},
		"sidecar's image": {
			sidecarPod(waitingPod("ErrImagePull", "no proxy").ContainerStatuses[0]),
			"ImagePullFailed", "of the container proxy in the pod of the bot: no proxy",
		},
		"init container": {
			initPod(crashedPod(3, "Error", "no network").ContainerStatuses[0]),
			"CrashLoop", "container proxy in the pod of the bot exited with code 3: no network",
		},
		"init container has ended": {
			initPod(corev1.ContainerStatus{
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}},
			}),
			"Starting", "the bot is starting",
		},
		"readiness gate": {
			gatedPod(`corresponding condition of pod readiness gate "a/b" does not exist.`),
			"NotReady", `the pod of the bot is not ready: corresponding condition of pod readiness gate "a/b"`,
		},
		"unschedulable": {
			unscheduledPod("0/1 nodes are available: 1 Insufficient memory."),
			"Unschedulable", "the pod of the bot cannot be scheduled: 0/1 nodes",
		},
		"evicted": {
			corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory"},
			"PodFailed", "Evicted low on memory",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bot := newBot(newNamespace(t))
			create(t, bot)
			rollOut(t, bot)
			newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
			newPod(t, bot, manifests.Bot, test.status)
			waitExpected(t, bot,
				expected{v1alpha1.ConditionDatabaseAvailable, "True", v1alpha1.ReasonAvailable, ""},
				expected{v1alpha1.ConditionBotAvailable, "False", test.reason, test.message},
				expected{v1alpha1.ConditionReady, "False", test.reason, test.message},
			)
			waitNoCondition(t, bot, v1alpha1.ConditionReconciling)
		})
	}
}

func TestConditionsExplainClaims(t *testing.T) {
	tests := map[string]struct {
		phase           corev1.PersistentVolumeClaimPhase
		pod             corev1.PodStatus
		reason, message string
	}{
		"no class": {
			corev1.ClaimPending, unscheduledPod(`storageclass.storage.k8s.io "fast" not found`),
			"ClaimPending", `movienight-db is waiting for a volume: storageclass.storage.k8s.io "fast" not found`,
		},
		"unbound": {
			corev1.ClaimPending, unscheduledPod("pod has unbound immediate PersistentVolumeClaims"),
			"ClaimPending", "unbound",
		},
		"being provisioned": {
			corev1.ClaimPending, corev1.PodStatus{},
			"ClaimPending", "PersistentVolumeClaim movienight-db is waiting for a volume",
		},
		"pending for the pod": {
			corev1.ClaimPending, unscheduledPod("Insufficient cpu"), "Unschedulable", "Insufficient cpu",
		},
		"lost": {corev1.ClaimLost, corev1.PodStatus{}, "ClaimLost", "movienight-db has lost its volume"},
		"bound, pod not yet run": {
			corev1.ClaimBound, waitingPod("ContainerCreating", ""), "Starting", "the database service is starting",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bot := newBot(newNamespace(t))
			create(t, bot)
			rollOut(t, bot)
			claim := getClaim(t, bot)
			claim.Status.Phase = test.phase
			if err := rig.admin.Status().Update(t.Context(), claim); err != nil {
				t.Fatal(err)
			}
			newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", true))
			newPod(t, bot, manifests.Database, test.pod)
			waitExpected(t, bot,
				expected{v1alpha1.ConditionDatabaseAvailable, "False", test.reason, test.message},
				expected{v1alpha1.ConditionReady, "False", test.reason, test.message},
			)
		})
	}
}

func TestConditionsExplainRejectedPods(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, bot)
	rollOut(t, bot)
	deployment, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-bot")
	if err != nil {
		t.Fatal(err)
	}
	deployment.Status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue,
		Reason: "FailedCreate", Message: `pods "x" is forbidden: exceeded quota`,
	}}
	if err := rig.admin.Status().Update(t.Context(), deployment); err != nil {
		t.Fatal(err)
	}
	waitExpected(t, bot, expected{v1alpha1.ConditionBotAvailable, "False", "PodsRefused", "exceeded quota"})
}

// Reasons that only a process knows are those of its report.
func TestConditionsHaveTheReasonsOfReports(t *testing.T) {
	bot := func(name status.CheckName, reason status.Reason, message string) *status.Report {
		return new(notReady(status.BotComponent, name, reason, message))
	}
	database := func(name status.CheckName, reason status.Reason, message string) *status.Report {
		return new(notReady(status.DatabaseComponent, name, reason, message))
	}
	tests := map[string]struct {
		bot, database *status.Report // nil: ready
		want          []expected
	}{
		"login refused": {
			bot: bot(status.ChannelCheck, status.ReasonLoginRefused, "wrong password"),
			want: []expected{
				{v1alpha1.ConditionReady, "False", "LoginRefused", "wrong password"},
				{v1alpha1.ConditionBotAvailable, "False", "LoginRefused", "wrong password"},
				{v1alpha1.ConditionChannelJoined, "False", "LoginRefused", "wrong password"},
				{v1alpha1.ConditionDatabaseAvailable, "True", "Available", ""},
			},
		},
		"NATS unavailable": {
			bot:      bot(status.NATSCheck, status.ReasonNATSUnreachable, "n:4222: refused"),
			database: database(status.NATSCheck, status.ReasonNATSUnreachable, "n:4222: refused"),
			want: []expected{
				{v1alpha1.ConditionReady, "False", "NATSUnreachable", "n:4222: refused"},
				{v1alpha1.ConditionBotAvailable, "False", "NATSUnreachable", "n:4222: refused"},
				{v1alpha1.ConditionDatabaseAvailable, "False", "NATSUnreachable", "n:4222: refused"},
				{v1alpha1.ConditionChannelJoined, "True", "Joined", "channel movienight on https://cytu.be, as Rosey"},
			},
		},
		"store closed": { // Ready has the cause and not what follows from it
			bot:      bot(status.ServiceCheck, status.ReasonServiceAbsent, "no service answers"),
			database: database(status.StoreCheck, status.ReasonStoreUnavailable, "disk full"),
			want: []expected{
				{v1alpha1.ConditionReady, "False", "StoreUnavailable", "disk full"},
				{v1alpha1.ConditionBotAvailable, "False", "ServiceAbsent", "no service answers"},
			},
		},
		"account password absent": { // the process knows the file, the operator the Secret
			bot: bot(status.ChannelCheck, status.ReasonAccountPasswordAbsent, "file absent"),
			want: []expected{
				{v1alpha1.ConditionReady, "False", "AccountPasswordAbsent", "Secret rosey-account, key password: absent"},
				{v1alpha1.ConditionChannelJoined, "False", "AccountPasswordAbsent", "Secret rosey-account, key password"},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bot := newBot(newNamespace(t))
			create(t, bot)
			rollOut(t, bot)
			for component, report := range map[manifests.Component]*status.Report{
				manifests.Bot: test.bot, manifests.Database: test.database,
			} {
				if report == nil {
					newPod(t, bot, component, runningPod("127.0.0.1", true))
					continue
				}
				newPod(t, bot, component, runningPod(startProcess(t, *report).ip, false))
			}
			waitExpected(t, bot, test.want...)
		})
	}
}

func TestProcessWithoutReportMakesConditionsUnknown(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, bot)
	rollOut(t, bot)
	newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
	newPod(t, bot, manifests.Bot, runningPod(newAddress(), false))
	waitExpected(t, bot,
		expected{v1alpha1.ConditionBotAvailable, "Unknown", "StatusUnknown", "not report its status: connection refused"},
		expected{v1alpha1.ConditionChannelJoined, "Unknown", "StatusUnknown", "report its status: connection refused"},
		expected{v1alpha1.ConditionReady, "Unknown", "StatusUnknown", "connection refused"},
	)
}

// The status follows the report of a process while its pod is not ready. A ready pod is not asked.
func TestStatusFollowsReports(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, bot)
	rollOut(t, bot)
	newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
	chat := startProcess(t, notReady(status.BotComponent, status.ChannelCheck, status.ReasonStarting, "connecting"))
	pod := newPod(t, bot, manifests.Bot, runningPod(chat.ip, false))
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "False", "Starting", "connecting"})
	kicked := notReady(status.BotComponent, status.ChannelCheck, status.ReasonKicked, "kicked by mod")
	chat.report.Store(&kicked)
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "False", "Kicked", "kicked by mod"})
	setPodStatus(t, pod, runningPod(chat.ip, true))
	waitExpected(t, bot,
		expected{v1alpha1.ConditionReady, "True", "Ready", "channel movienight on https://cytu.be, as Rosey"},
		expected{v1alpha1.ConditionChannelJoined, "True", "Joined", "channel movienight"},
	)
	waitReconciled(t, bot)
	asked := chat.asked.Load()
	reconcileOnce(t, bot)
	if now := chat.asked.Load(); now != asked {
		t.Errorf("a ready process was asked %d times", now-asked)
	}
}

// From the first reconcile on, the status has all counts and all conditions, for the latest generation.
func TestStatusIsCompleteFromTheFirstReconcileOn(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, bot)
	waitExpected(t, bot,
		expected{v1alpha1.ConditionReady, "False", "Progressing", "a pod of the database service is being created"},
		expected{v1alpha1.ConditionBotAvailable, "False", "Progressing", "a pod of the bot is being created"},
		expected{v1alpha1.ConditionDatabaseAvailable, "False", "Progressing", ""},
		expected{v1alpha1.ConditionChannelJoined, "False", "BotNotRunning", ""},
		expected{v1alpha1.ConditionDurable, "False", "BotNotRunning", ""},
		expected{v1alpha1.ConditionReconciling, "True", "Progressing", "the database service is being rolled out"},
		expected{v1alpha1.ConditionUpdateAvailable, "False", "UpToDate", ""},
	)
	now, err := get(t.Context(), &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
	if err != nil {
		t.Fatal(err)
	}
	if now.Status.ObservedGeneration != now.Generation || now.Status.Bot.Summary != "0/1" ||
		now.Status.Database.Summary != "0/1" || now.Status.Selector == "" {
		t.Errorf("status is %+v", now.Status)
	}
	if len(now.Status.Conditions) != 7 {
		t.Errorf("there are %d conditions, want 7", len(now.Status.Conditions))
	}
}

func TestTransitionsEmitEvents(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	eventually(t, "the event of becoming ready", func(ctx context.Context) error {
		events := &eventsv1.EventList{}
		if err := rig.admin.List(ctx, events, client.InNamespace(bot.Namespace)); err != nil {
			return err
		}
		reasons := map[string]int{}
		for _, event := range events.Items {
			reasons[event.Reason]++
		}
		if reasons[v1alpha1.ReasonReady] != 1 {
			return fmt.Errorf("events are %v", reasons)
		}
		return nil
	})
}
