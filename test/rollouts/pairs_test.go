package rollouts

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/test/apiservertest"
)

// Environment variables of the long form.
const (
	seedVariable  = "ROSEY_ROLLOUTS_SEED"
	pairsVariable = "ROSEY_ROLLOUTS_PAIRS" // how many pairs; 0: each at every distance
)

const (
	parallel   = 24
	endsWithin = 90 * time.Second // a busy machine; what is stuck is stuck for ever
)

var distances = []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second}

// pair is two changes, one after the other.
type pair struct {
	base, first, second change
	distance            time.Duration
}

func (p pair) String() string {
	return fmt.Sprintf("%s: %s, %s later %s", p.base.name, p.first.name, p.distance, p.second.name)
}

// always are pairs that are in every choice: mistakes that do not stop anything else than what they are about.
var always = []pair{
	{bases[0], absentBackupClaim, change{"nothing", func(*v1alpha1.RoseyBotSpec) {}}, distances[0]},
}

// choosePairs returns every ordered pair at every distance, or some of them by seed. The bases take turns.
func choosePairs(seed uint64, count int) (pairs []pair) {
	random := rand.New(rand.NewPCG(seed, 0))
	for i, first := range changes {
		for j, second := range changes {
			for k, distance := range distances {
				if i != j {
					pairs = append(pairs, pair{bases[(i+j+k)%len(bases)], first, second, distance})
				}
			}
		}
	}
	random.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	pairs = append(slices.Clone(always), pairs...)
	if count > 0 {
		pairs = pairs[:min(count, len(pairs))]
	}
	return pairs
}

// number returns the value of an environment variable.
func number(t *testing.T, variable string, unset uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return unset
	}
	value, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatalf("%s: expected a number: %v", variable, err)
	}
	return value
}

// Whatever two changes follow each other at whatever distance, the RoseyBot ends as the last spec asks; and it recovers
// when they are taken back.
func TestTwoChangesEndAsTheLastOneAsks(t *testing.T) {
	if missing := apiservertest.Missing(); missing != "" {
		t.Skip(missing)
	}
	seed := number(t, seedVariable, rand.Uint64N(1_000_000))
	pairs := choosePairs(seed, int(number(t, pairsVariable, 20)))
	t.Logf("%s=%d, %d pairs", seedVariable, seed, len(pairs))
	// Not as parallel subtests, of which only as many run as there are processors: here nearly all is waiting.
	turns := make(chan struct{}, parallel)
	var running sync.WaitGroup
	for _, next := range pairs {
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			if err := runPair(t.Context(), next); err != nil {
				t.Errorf("%s=%d: %s: %v", seedVariable, seed, next, err)
			}
		})
	}
	running.Wait()
}

func runPair(ctx context.Context, next pair) error {
	bot, err := createBot(ctx, next.base)
	if err != nil {
		return err
	}
	if err := awaitEnd(ctx, bot); err != nil {
		return fmt.Errorf("before the changes: %w", err)
	}
	guard, err := watchPods(ctx, bot)
	if err != nil {
		return err
	}
	err = makeChanges(ctx, bot, next, guard)
	return errors.Join(err, guard.stop(), rig.admin.Delete(ctx, bot))
}

func makeChanges(ctx context.Context, bot *v1alpha1.RoseyBot, next pair, guard *guard) error {
	if err := edit(ctx, bot, next.first, guard); err != nil {
		return err
	}
	if !backoff.Sleep(ctx, next.distance) {
		return ctx.Err()
	}
	if err := errors.Join(edit(ctx, bot, next.second, guard), awaitEnd(ctx, bot)); err != nil {
		return err
	}
	if len(faults(&bot.Spec)) == 0 {
		return nil
	}
	back := change{"back", func(spec *v1alpha1.RoseyBotSpec) { *spec = newBot(bot.Namespace, next.base).Spec }}
	if err := errors.Join(edit(ctx, bot, back, guard), awaitEnd(ctx, bot)); err != nil {
		return fmt.Errorf("after the changes were taken back: %w", err)
	}
	return nil
}

func createBot(ctx context.Context, base change) (*v1alpha1.RoseyBot, error) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "rollouts-"}}
	if err := rig.admin.Create(ctx, namespace); err != nil {
		return nil, err
	}
	bot := newBot(namespace.Name, base)
	return bot, rig.admin.Create(ctx, bot)
}

// edit makes one change. It retries only conflicts.
func edit(ctx context.Context, bot *v1alpha1.RoseyBot, next change, guard *guard) error {
	return until(ctx, func() error {
		if err := rig.admin.Get(ctx, client.ObjectKeyFromObject(bot), bot); err != nil {
			return err
		}
		next.edit(&bot.Spec)
		guard.permit(&bot.Spec)
		return rig.admin.Update(ctx, bot)
	})
}

// until tries a check until it succeeds or endsWithin is over.
func until(ctx context.Context, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, endsWithin)
	defer cancel()
	last := errors.New("never checked")
	for {
		err := check()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		if !backoff.Sleep(ctx, 5*tick) {
			return last
		}
	}
}

// awaitEnd waits until the RoseyBot runs what its spec asks for, or says why it cannot.
func awaitEnd(ctx context.Context, bot *v1alpha1.RoseyBot) error {
	return until(ctx, func() error {
		if err := rig.admin.Get(ctx, client.ObjectKeyFromObject(bot), bot); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(bot.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.ObservedGeneration != bot.Generation {
			return errors.New("no status of the last spec")
		}
		wanted := metav1.ConditionTrue
		if len(faults(&bot.Spec)) > 0 {
			wanted = metav1.ConditionFalse
		}
		if ready.Status != wanted {
			return fmt.Errorf("Ready is %s, want %s: %s: %s", ready.Status, wanted, ready.Reason, ready.Message)
		}
		if wanted == metav1.ConditionFalse {
			return checkCause(&bot.Spec, ready)
		}
		return checkComponents(ctx, bot)
	})
}

// checkCause returns an error if a condition does not name what is wrong with the spec.
func checkCause(spec *v1alpha1.RoseyBotSpec, ready *metav1.Condition) error {
	names := faults(spec)
	if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(ready.Message, name) }) {
		return fmt.Errorf("the message names none of %q: %s: %s", names, ready.Reason, ready.Message)
	}
	return nil
}

// checkComponents returns an error unless the Deployments and pods are what the spec asks for.
func checkComponents(ctx context.Context, bot *v1alpha1.RoseyBot) error {
	for _, component := range manifests.Components(bot) {
		deployment := &appsv1.Deployment{}
		key := client.ObjectKey{Namespace: bot.Namespace, Name: manifests.Name(bot, component)}
		if err := rig.admin.Get(ctx, key, deployment); err != nil {
			return err
		}
		count := manifests.Replicas(bot, component)
		if manifests.Autoscaled(bot, component) {
			count = ptr.Deref(deployment.Spec.Replicas, 1)
		}
		wantRolling := component == manifests.Bot && ptr.Deref(bot.Spec.Replicas, 1) > 1 ||
			component == manifests.Database && !manifests.MountsClaim(bot, component)
		strategy := deployment.Spec.Strategy.Type
		if isRolling := strategy == appsv1.RollingUpdateDeploymentStrategyType; isRolling != wantRolling {
			return fmt.Errorf("the strategy of %s is %s", deployment.Name, strategy)
		}
		if err := checkPods(ctx, bot, component, count); err != nil {
			return err
		}
	}
	return nil
}

func checkPods(ctx context.Context, bot *v1alpha1.RoseyBot, component manifests.Component, want int32) error {
	pods := &corev1.PodList{}
	err := rig.admin.List(ctx, pods, client.InNamespace(bot.Namespace),
		client.MatchingLabels(manifests.Selector(bot, component)))
	if err != nil {
		return err
	}
	image, count := bot.Spec.Image, int32(0)
	if image == "" {
		image = operatorImage
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil {
			continue
		}
		if count++; pod.Spec.Containers[0].Image != image || !isReady(pod) {
			return fmt.Errorf("pod %s runs %s, ready %t", pod.Name, pod.Spec.Containers[0].Image, isReady(pod))
		}
	}
	if count != want {
		return fmt.Errorf("%d pods of the %s, want %d", count, component, want)
	}
	return nil
}
