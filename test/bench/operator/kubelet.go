package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/backoff"
)

const nodeName = "node"

// kubelet acts as scheduler and kubelet for all pods: it binds them, reports their states, and removes those that are
// being deleted.
type kubelet struct {
	client client.Client
	// behave returns how a pod behaves.
	behave func(*corev1.Pod) behaviour
	queue  workqueue.TypedInterface[client.ObjectKey]
	work   sync.WaitGroup
	stop   context.CancelFunc

	mu   sync.Mutex
	pods map[client.ObjectKey]*corev1.Pod // as they were last seen
}

// behaviour is what becomes of a pod.
type behaviour struct {
	ip      string
	isBound bool
	// status completes the status of the pod in a round. Rounds of a pod that changes all the time are numbered.
	status func(pod *corev1.Pod, round int)
	// flaps is set if the status is another one in each round.
	flaps bool
}

// healthy is the behaviour of a pod that becomes ready.
func healthy(ip string) behaviour {
	return behaviour{ip: ip, isBound: true, status: func(pod *corev1.Pod, _ int) { setReady(pod, true) }}
}

func newKubelet(on client.Client, behave func(*corev1.Pod) behaviour) *kubelet {
	return &kubelet{
		client: on, behave: behave, pods: map[client.ObjectKey]*corev1.Pod{},
		queue: workqueue.NewTyped[client.ObjectKey](),
	}
}

// see takes note of a pod's new state. The observer calls it.
func (k *kubelet) see(pod *corev1.Pod) {
	k.mu.Lock()
	k.pods[client.ObjectKeyFromObject(pod)] = pod
	k.mu.Unlock()
	if pod.DeletionTimestamp != nil || pod.Status.PodIP == "" && len(pod.Status.Conditions) == 0 {
		k.queue.Add(client.ObjectKeyFromObject(pod))
	}
}

// start starts the workers, and changes the states of pods that flap after each pause. close ends them.
func (k *kubelet) start(ctx context.Context, pause time.Duration) {
	ctx, k.stop = context.WithCancel(ctx)
	for range workers {
		k.work.Go(func() {
			for key, shutdown := k.queue.Get(); !shutdown; key, shutdown = k.queue.Get() {
				k.report(ctx, k.handle(ctx, key, 0))
				k.queue.Done(key)
			}
		})
	}
	k.work.Go(func() {
		for round := 1; backoff.Sleep(ctx, pause); round++ {
			k.flap(ctx, round)
		}
	})
}

func (k *kubelet) close() {
	k.stop()
	k.queue.ShutDown()
	k.work.Wait()
}

func (k *kubelet) flap(ctx context.Context, round int) {
	k.mu.Lock()
	var keys []client.ObjectKey
	for key, pod := range k.pods {
		if k.behave(pod).flaps && pod.Spec.NodeName != "" && pod.DeletionTimestamp == nil {
			keys = append(keys, key)
		}
	}
	k.mu.Unlock()
	for _, key := range keys {
		k.report(ctx, k.handle(ctx, key, round))
	}
}

// report prints an error, unless the pod has just changed or is gone: its new state is handled next.
func (k *kubelet) report(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// handle brings a pod one step further.
func (k *kubelet) handle(ctx context.Context, key client.ObjectKey, round int) error {
	k.mu.Lock()
	seen := k.pods[key]
	if seen != nil && seen.DeletionTimestamp != nil {
		delete(k.pods, key)
	}
	k.mu.Unlock()
	if seen == nil {
		return nil // removed since the key was queued
	}
	pod := seen.DeepCopy()
	if pod.DeletionTimestamp != nil {
		return client.IgnoreNotFound(k.client.Delete(ctx, pod, client.GracePeriodSeconds(0)))
	}
	behaves := k.behave(pod)
	if behaves.isBound && pod.Spec.NodeName == "" {
		binding := &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
			Target:     corev1.ObjectReference{Kind: "Node", Name: nodeName},
		}
		if err := k.client.SubResource("binding").Create(ctx, pod, binding); err != nil && !apierrors.IsConflict(err) {
			return fmt.Errorf("binding pod %s: %w", pod.Name, err)
		}
		pod.ResourceVersion = "" // the binding has changed it
	}
	setStarted(pod, behaves.ip)
	behaves.status(pod, round)
	if err := k.client.Status().Update(ctx, pod); err != nil {
		return fmt.Errorf("writing the status of pod %s: %w", pod.Name, err)
	}
	return nil
}

// setStarted writes the status of a pod whose container runs and is not ready, as a kubelet writes it.
func setStarted(pod *corev1.Pod, ip string) {
	now := metav1.Now()
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, QOSClass: pod.Status.QOSClass, StartTime: &now,
		HostIP: "127.0.0.1", HostIPs: []corev1.HostIP{{IP: "127.0.0.1"}}, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
	}
	for _, kind := range []corev1.PodConditionType{
		corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodScheduled, corev1.ContainersReady, corev1.PodReady,
	} {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now, ObservedGeneration: pod.Generation,
		})
	}
	container := pod.Spec.Containers[0]
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: container.Name, Image: container.Image, ImageID: container.Image + "@sha256:" + string(pod.UID),
		ContainerID: "containerd://" + string(pod.UID), Started: new(true),
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
	}}
	setReady(pod, false)
}

// setReady sets whether a pod is ready.
func setReady(pod *corev1.Pod, ready bool) {
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Type == corev1.PodReady || condition.Type == corev1.ContainersReady {
			condition.Status = corev1.ConditionFalse
			if ready {
				condition.Status = corev1.ConditionTrue
			}
		}
	}
	for i := range pod.Status.ContainerStatuses {
		pod.Status.ContainerStatuses[i].Ready = ready
	}
}

// isBot reports whether a pod is that of a bot, and not of a database service.
func isBot(pod *corev1.Pod) bool {
	return pod.Labels[manifests.LabelComponent] == string(manifests.Bot)
}
