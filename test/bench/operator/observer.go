package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// observer watches pods and RoseyBots. Polling lists of a thousand objects would keep the API server busy, and with it
// what is measured.
type observer struct {
	stop    context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex
	pods map[client.ObjectKey]seenPod
	bots map[client.ObjectKey]seenBot
	// deleted is the number of pods that were deleted.
	deleted int
	// changed is closed and replaced when something has changed.
	changed chan struct{}
}

// seenPod is what is known of a pod.
type seenPod struct {
	uid      types.UID
	bot      string // the label with the name of its RoseyBot
	restarts int32
	ready    time.Time // when it was first seen ready; zero: it is not
}

// seenBot is what is known of a RoseyBot.
type seenBot struct {
	reason string    // of the condition Ready
	ready  time.Time // when it was first seen ready; zero: it is not
	// serves is set if bot and database service are available.
	serves bool
}

// startObserver starts to watch, and returns when everything that exists is known. onPod is called with each new state
// of a pod, and may be nil.
func startObserver(
	ctx context.Context, config *rest.Config, scheme *runtime.Scheme, onPod func(*corev1.Pod),
) (*observer, error) {
	objects, err := cache.New(config, cache.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("creating a cache: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	o := &observer{
		stop: stop, pods: map[client.ObjectKey]seenPod{}, bots: map[client.ObjectKey]seenBot{}, changed: make(chan struct{}),
	}
	handle := func(object any, exists bool) {
		switch object := object.(type) {
		case *corev1.Pod:
			o.seePod(object, exists)
			if exists && onPod != nil {
				onPod(object)
			}
		case *v1alpha1.RoseyBot:
			o.seeBot(object, exists)
		}
	}
	o.running.Go(func() { _ = objects.Start(ctx) }) // it ends with the context
	for _, object := range []client.Object{&corev1.Pod{}, &v1alpha1.RoseyBot{}} {
		informer, err := objects.GetInformer(ctx, object)
		if err == nil {
			_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
				AddFunc:    func(object any) { handle(object, true) },
				UpdateFunc: func(_, object any) { handle(object, true) },
				DeleteFunc: func(object any) { handle(object, false) },
			})
		}
		if err != nil {
			o.close()
			return nil, fmt.Errorf("watching %T: %w", object, err)
		}
	}
	return o, nil
}

func (o *observer) close() {
	o.stop()
	o.running.Wait()
}

func (o *observer) seePod(pod *corev1.Pod, exists bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := client.ObjectKeyFromObject(pod)
	if !exists {
		delete(o.pods, key)
		o.deleted++
		o.wake()
		return
	}
	now := seenPod{uid: pod.UID, bot: pod.Labels[manifests.LabelRoseyBot]}
	for i := range pod.Status.ContainerStatuses {
		now.restarts += pod.Status.ContainerStatuses[i].RestartCount
	}
	if slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	}) {
		now.ready = sinceBefore(o.pods[key].ready)
	}
	if o.pods[key] != now {
		o.pods[key] = now
		o.wake()
	}
}

func (o *observer) seeBot(bot *v1alpha1.RoseyBot, exists bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := client.ObjectKeyFromObject(bot)
	if !exists {
		delete(o.bots, key)
		o.wake()
		return
	}
	var now seenBot
	if ready := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		now.reason = ready.Reason
		if ready.Status == metav1.ConditionTrue {
			now.ready = sinceBefore(o.bots[key].ready)
		}
	}
	now.serves = meta.IsStatusConditionTrue(bot.Status.Conditions, v1alpha1.ConditionBotAvailable) &&
		meta.IsStatusConditionTrue(bot.Status.Conditions, v1alpha1.ConditionDatabaseAvailable)
	if o.bots[key] != now {
		o.bots[key] = now
		o.wake()
	}
}

// sinceBefore returns since when something is the case: when that was first seen, or now.
func sinceBefore(before time.Time) time.Time {
	if before.IsZero() {
		return time.Now()
	}
	return before
}

// wake tells those that wait. The caller holds the lock.
func (o *observer) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// wait waits until a condition holds. It is called with the lock held, after each change.
func (o *observer) wait(ctx context.Context, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, longestWait)
	defer cancel()
	for {
		o.mu.Lock()
		done, changed := holds(), o.changed
		o.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
}

// waitPods waits until a namespace has count ready pods.
func (o *observer) waitPods(ctx context.Context, namespace string, count int) error {
	return o.wait(ctx, fmt.Sprintf("%d pods are ready", count), func() bool {
		return o.countPods(namespace, func(pod seenPod) bool { return !pod.ready.IsZero() }) == count
	})
}

// waitPodsExist waits until a namespace has count pods.
func (o *observer) waitPodsExist(ctx context.Context, namespace string, count int) error {
	return o.wait(ctx, fmt.Sprintf("there are %d pods in namespace %s", count, namespace), func() bool {
		return o.countPods(namespace, func(seenPod) bool { return true }) == count
	})
}

// waitBots waits until count RoseyBots of a namespace are ready.
func (o *observer) waitBots(ctx context.Context, namespace string, count int) error {
	return o.wait(ctx, fmt.Sprintf("%d RoseyBots are ready", count), func() bool {
		return o.countBots(namespace, func(bot seenBot) bool { return !bot.ready.IsZero() }) == count
	})
}

// waitServing waits until bot and database service of count RoseyBots are available. Pods on simulated nodes report
// nothing, so their RoseyBots do not become ready.
func (o *observer) waitServing(ctx context.Context, namespace string, count int) error {
	return o.wait(ctx, fmt.Sprintf("%d RoseyBots serve", count), func() bool {
		return o.countBots(namespace, func(bot seenBot) bool { return bot.serves }) == count
	})
}

// waitStatuses waits until count RoseyBots of a namespace have a status.
func (o *observer) waitStatuses(ctx context.Context, namespace string, count int) error {
	return o.wait(ctx, fmt.Sprintf("%d RoseyBots have a status", count), func() bool {
		return o.countBots(namespace, func(bot seenBot) bool { return bot.reason != "" }) == count
	})
}

// countPods counts pods of a namespace. The caller holds the lock.
func (o *observer) countPods(namespace string, wanted func(seenPod) bool) (count int) {
	for key, pod := range o.pods {
		if key.Namespace == namespace && wanted(pod) {
			count++
		}
	}
	return count
}

// countBots counts RoseyBots of a namespace. The caller holds the lock.
func (o *observer) countBots(namespace string, wanted func(seenBot) bool) (count int) {
	for key, bot := range o.bots {
		if key.Namespace == namespace && wanted(bot) {
			count++
		}
	}
	return count
}

// readiness returns when the last pod of a RoseyBot was seen ready, and when the RoseyBot was.
func (o *observer) readiness(ctx context.Context, bot client.ObjectKey) (pods, ready time.Time, err error) {
	err = o.wait(ctx, bot.Name+" is ready", func() bool {
		ready = o.bots[bot].ready
		return !ready.IsZero()
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, pod := range o.pods {
		if key.Namespace == bot.Namespace && pod.bot == bot.Name && pod.ready.After(pods) {
			pods = pod.ready
		}
	}
	return pods, ready, err
}

// podsOf returns the restarts of the pods of a namespace, by UID.
func (o *observer) podsOf(namespace string) map[types.UID]int32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	restarts := map[types.UID]int32{}
	for key, pod := range o.pods {
		if key.Namespace == namespace {
			restarts[pod.uid] = pod.restarts
		}
	}
	return restarts
}

// countMoved returns how many pods were replaced or restarted, or are too many.
func countMoved(before, after map[types.UID]int32) (moved int) {
	for uid, restarts := range before {
		if now, exists := after[uid]; !exists || now != restarts {
			moved++
		}
	}
	return moved + max(0, len(after)-len(before))
}

// deletions returns how many pods were deleted.
func (o *observer) deletions() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.deleted
}
