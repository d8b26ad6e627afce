package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

// illness is a way in which a RoseyBot is ill.
type illness struct {
	name   string
	reason string // of its condition Ready
	// ofBot and ofDatabase are what the processes of the components report, if they run and are not ready.
	ofBot, ofDatabase status.Reason
	// pod is how a pod behaves whose process does not run; nil: it runs.
	pod func(pod *corev1.Pod, round int)
	// notScheduled is set if the scheduler finds no node for its pods.
	notScheduled bool
	flaps        bool
	// prepare creates what makes the RoseyBot ill, in its namespace.
	prepare func(ctx context.Context, on client.Client, bot *v1alpha1.RoseyBot) error
	// quota is set if its namespace has a quota that admits no Deployment.
	quota bool
}

// illnesses are what RoseyBots suffer from, in turn.
var illnesses = []illness{
	{name: "secret", reason: string(status.ReasonNATSCredentialsAbsent), ofBot: status.ReasonNATSCredentialsAbsent,
		ofDatabase: status.ReasonNATSCredentialsAbsent},
	{name: "image", reason: v1alpha1.ReasonImagePullFailed, pod: cannotPull, flaps: true},
	{name: "nats", reason: string(status.ReasonNATSUnreachable), ofBot: status.ReasonNATSUnreachable,
		ofDatabase: status.ReasonNATSUnreachable},
	{name: "password", reason: string(status.ReasonLoginRefused), ofBot: status.ReasonLoginRefused},
	{name: "claim", reason: v1alpha1.ReasonClaimPending, pod: cannotSchedule, notScheduled: true},
	{name: "crash", reason: v1alpha1.ReasonCrashLoop, pod: crashes, flaps: true},
	{name: "quota", reason: v1alpha1.ReasonWriteFailed, quota: true},
	{name: "conflict", reason: string(status.ReasonSubjectConflict), ofDatabase: status.ReasonSubjectConflict},
	{name: "config", reason: v1alpha1.ReasonContainerRefused, pod: refuses},
	{name: "foreign", reason: v1alpha1.ReasonForeignObject, prepare: takeName},
}

// cannotPull alternates between the states of a container whose image is not found, as the kubelet does.
func cannotPull(pod *corev1.Pod, round int) {
	pod.Status.Phase = corev1.PodPending
	problem := fmt.Sprintf("failed to pull image %q: not found", pod.Spec.Containers[0].Image)
	waiting := &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: problem}
	if round%2 == 1 {
		waiting = &corev1.ContainerStateWaiting{
			Reason:  "ImagePullBackOff",
			Message: fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %s", pod.Spec.Containers[0].Image, problem),
		}
	}
	setWaiting(pod, waiting)
}

// crashes alternates between the states of a container that ends soon after its start, as the kubelet does.
func crashes(pod *corev1.Pod, round int) {
	round = max(round, 1) // it ends for the first time at once
	container := &pod.Status.ContainerStatuses[0]
	container.RestartCount = int32(round / 3) //nolint:gosec // rounds are few
	ended := &corev1.ContainerStateTerminated{
		ExitCode: 2, Reason: "Error", FinishedAt: metav1.Now(), Message: `{"msg":"the configuration is invalid"}`,
	}
	container.Started = new(false)
	container.LastTerminationState.Terminated = ended
	switch round % 3 {
	case 1:
		container.State = corev1.ContainerState{Terminated: ended}
	case 2:
		setWaiting(pod, &corev1.ContainerStateWaiting{
			Reason: "CrashLoopBackOff", Message: fmt.Sprintf("back-off %ds restarting failed container", 10*round),
		})
	default: // it runs again
	}
}

// refuses is the state of a container whose environment names what does not exist.
func refuses(pod *corev1.Pod, _ int) {
	pod.Status.Phase = corev1.PodPending
	setWaiting(pod, &corev1.ContainerStateWaiting{
		Reason: "CreateContainerConfigError", Message: `configmap "settings" not found`,
	})
}

func setWaiting(pod *corev1.Pod, waiting *corev1.ContainerStateWaiting) {
	container := &pod.Status.ContainerStatuses[0]
	container.State = corev1.ContainerState{Waiting: waiting}
	container.ContainerID, container.Started = "", new(false)
}

// cannotSchedule is the state of a pod whose claim has no volume.
func cannotSchedule(pod *corev1.Pod, _ int) {
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodPending, QOSClass: pod.Status.QOSClass,
		Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			Message: "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
		}},
	}
}

// takeName creates a ConfigMap of somebody else with a name that the RoseyBot needs.
func takeName(ctx context.Context, on client.Client, bot *v1alpha1.RoseyBot) error {
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: bot.Namespace, Name: bot.Name + "-config"}}
	if err := on.Create(ctx, foreign); err != nil {
		return fmt.Errorf("creating a ConfigMap of somebody else: %w", err)
	}
	return nil
}

// quotaName is the name of the quota in the namespace in which no Deployment can be created.
const quotaName = "none"

// createQuota creates a quota that is used up from the beginning, and waits until it is in force.
func createQuota(ctx context.Context, on client.Client, namespace string) error {
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: quotaName}}
	quota.Spec.Hard = corev1.ResourceList{"count/deployments.apps": resource.MustParse("0")}
	if err := on.Create(ctx, quota); err != nil {
		return fmt.Errorf("creating a quota: %w", err)
	}
	return until(ctx, "the quota is in force", func() (bool, error) {
		if err := on.Get(ctx, client.ObjectKeyFromObject(quota), quota); err != nil {
			return false, fmt.Errorf("reading the quota: %w", err)
		}
		return len(quota.Status.Hard) > 0, nil
	})
}
