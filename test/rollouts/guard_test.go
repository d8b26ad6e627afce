package rollouts

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// guard watches the pods of a RoseyBot for what must not happen at any moment.
type guard struct {
	stop func() error

	mu sync.Mutex
	// fewest is the number of bots that must be left all the time. It is 0 as soon as a spec asks for at most one: then
	// the strategy is Recreate.
	fewest int32
	pods   map[string]*corev1.Pod
	err    error
}

func watchPods(ctx context.Context, bot *v1alpha1.RoseyBot) (*guard, error) {
	g := &guard{fewest: ptr.Deref(bot.Spec.Replicas, 1), pods: map[string]*corev1.Pod{}}
	g.permit(&bot.Spec)
	ctx, cancel := context.WithCancel(ctx)
	watcher, err := rig.admin.Watch(ctx, &corev1.PodList{}, client.InNamespace(bot.Namespace))
	if err != nil {
		cancel()
		return nil, err
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		for event := range watcher.ResultChan() {
			if pod, isPod := event.Object.(*corev1.Pod); isPod {
				g.see(pod, event.Type == watch.Deleted)
			}
		}
	})
	g.stop = sync.OnceValue(func() error {
		cancel()
		watcher.Stop()
		watching.Wait()
		return g.err
	})
	return g, nil
}

// permit takes over what a new spec allows.
func (g *guard) permit(spec *v1alpha1.RoseyBotSpec) {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := ptr.Deref(spec.Replicas, 1)
	if ptr.Deref(spec.Suspend, false) || spec.Mode == v1alpha1.ModeDirect || asked < 2 {
		asked = 0
	}
	g.fewest = min(g.fewest, asked)
}

func (g *guard) see(pod *corev1.Pod, deleted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.count()
	g.pods[pod.Name] = pod
	if deleted {
		delete(g.pods, pod.Name)
	}
	left := g.count()
	if left < before && left < g.fewest {
		g.err = errors.Join(g.err, fmt.Errorf("pod %s is stopped, and %d good bots of %d are left", pod.Name, left, g.fewest))
	}
	if mounting := g.mounting(); mounting > 1 {
		g.err = errors.Join(g.err, fmt.Errorf("%d pods run that mount the claim", mounting))
	}
}

// count returns the number of bots that run and are not being stopped.
func (g *guard) count() (count int32) {
	for _, pod := range g.pods {
		if componentOf(pod) == manifests.Bot && pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning &&
			!usesSecret(pod, wrongPassword) {
			count++
		}
	}
	return count
}

// mounting returns the number of pods that mount the claim and run.
func (g *guard) mounting() (count int) {
	for _, pod := range g.pods {
		if mountsClaim(pod) && pod.Status.Phase == corev1.PodRunning {
			count++
		}
	}
	return count
}
