package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// These namespaces are not watched by the operator of the other tests, which has no limits.
const floodNamespace, refusedNamespace, starvedNamespace = "flood", "refused", "starved"

// fakeClock is a clock that stands still until a test moves it.
type fakeClock struct{ seconds atomic.Int64 }

func (c *fakeClock) now() time.Time { return time.Unix(1e9+c.seconds.Load(), 0) }

// A pod that reports something else each time causes no more probes, writes of the status and events than the limits
// allow, whatever else it does.
func TestPodThatReportsSomethingElseEachTimeIsLimited(t *testing.T) {
	newNamespace(t) // skips the test without an API server
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: floodNamespace}})
	clock := &fakeClock{}
	stop := runOperator(t, floodNamespace, func(operator *Reconciler) {
		operator.now, operator.probes.now, operator.settleTime = clock.now, clock.now, 0
	})
	defer stop()
	bot := newBot(floodNamespace)
	create(t, bot)
	rollOut(t, bot)
	newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
	var requests atomic.Int32
	ip := newAddress()
	serve(t, ip, func(response http.ResponseWriter, _ *http.Request) {
		reasons := reasonsOf[status.ChannelCheck]
		number := int(requests.Add(1))
		_ = json.NewEncoder(response).Encode(notReady(status.BotComponent, status.ChannelCheck,
			reasons[number%len(reasons)], fmt.Sprint("report ", number)))
	})
	pod := newPod(t, bot, manifests.Bot, runningPod(ip, false))
	counts := func() (probes, writes, events int) {
		rig.requests.mutex.Lock()
		defer rig.requests.mutex.Unlock()
		for _, one := range rig.requests.calls {
			switch {
			case !strings.Contains(one.path, "/namespaces/"+floodNamespace+"/"):
			case strings.HasSuffix(one.path, "/roseybots/"+bot.Name+"/status") && one.method == http.MethodPut:
				writes++
			case strings.Contains(one.path, "/events"):
				events++
			}
		}
		return int(requests.Load()), writes, events
	}
	round := 0
	disturb := func() { // as a pod does whose readiness probe flips
		round++
		pod.Labels["round"] = fmt.Sprint(round)
		if err := rig.admin.Update(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		setPodStatus(t, pod, runningPod(ip, round%2 == 0))
	}
	for _, seconds := range []int{0, 60} {
		clock.seconds.Store(int64(seconds))
		allowed := func(limit allowance) int {
			// A bucket holds no more than the burst.
			return limit.burst + min(limit.burst, seconds/int(limit.interval/time.Second))
		}
		eventually(t, fmt.Sprint("as many writes as the limits allow, and probes, after ", seconds, " seconds"),
			func(context.Context) error {
				disturb()
				// Some probes are dropped, because the pod has changed before its turn came.
				probes, writes, _ := counts()
				if probes < allowed(probesOfBot)/2 || writes < allowed(statusWritesOfBot) {
					return fmt.Errorf("there were %d and %d", probes, writes)
				}
				return nil
			})
		for range 20 {
			disturb()
		}
		// The status of the first generation is written without the limit.
		probes, writes, events := counts()
		if probes > allowed(probesOfBot) || writes > allowed(statusWritesOfBot)+1 || events > allowed(eventsOfBot) {
			t.Errorf("after %d seconds: %d probes of %d, %d writes of %d, %d events of %d", seconds, probes,
				allowed(probesOfBot), writes, allowed(statusWritesOfBot)+1, events, allowed(eventsOfBot))
		}
	}
	// A new generation is not limited.
	change(t, bot, func() { bot.Spec.Channel.Name = "changed" })
	eventually(t, "the status of the new generation", func(ctx context.Context) error {
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if err == nil && now.Status.ObservedGeneration != now.Generation {
			err = fmt.Errorf("it is of generation %d", now.Status.ObservedGeneration)
		}
		return err
	})
}

// An object that cannot be written, because a quota is used up or another has its name, is not tried again without end
// when a pod changes all the time. A new generation is not limited.
func TestObjectsThatAreRefusedAreNotTriedWithoutEnd(t *testing.T) {
	newNamespace(t) // skips the test without an API server
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: refusedNamespace}})
	create(t, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none", Namespace: refusedNamespace},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
			"count/deployments.apps": resource.MustParse("0"), "services": resource.MustParse("0"),
		}},
	})
	create(t, foreignObject(t, "ConfigMap", refusedNamespace, "movienight-config"))
	clock := &fakeClock{}
	stop := runOperator(t, refusedNamespace, func(operator *Reconciler) {
		operator.now, operator.probes.now = clock.now, clock.now
	})
	defer stop()
	bot := newBot(refusedNamespace)
	create(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
	pod := newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", false))
	round := 0
	disturb := func() {
		round++
		setPodStatus(t, pod, runningPod("127.0.0.1", round%2 == 0))
	}
	attempts := func() (count int) {
		for _, one := range rig.requests.of(t, refusedNamespace) {
			if !strings.HasSuffix(one.path, "/status") {
				count++
			}
		}
		return count
	}
	limit := objectWritesOfBot.burst
	eventually(t, "as many attempts as are allowed", func(context.Context) error {
		disturb()
		if got := attempts(); got < limit {
			return fmt.Errorf("there were %d", got)
		}
		return nil
	})
	for range 3 * limit {
		disturb()
	}
	perAttempt := 10 // requests of a reconcile, at most, and those of the first
	if got := attempts(); got > perAttempt*(limit+1) {
		t.Errorf("there were %d requests in %d rounds", got, round)
	}
	settled := attempts()
	eventually(t, "no further attempts", func(context.Context) error {
		before := settled
		for range 20 {
			disturb()
		}
		if settled = attempts(); settled > before {
			return fmt.Errorf("there were %d", settled-before)
		}
		return nil
	})
	change(t, bot, func() { bot.Spec.Channel.Name = "changed" })
	eventually(t, "attempts for the new generation", func(context.Context) error {
		if got := attempts(); got <= settled {
			return errors.New("there were none")
		}
		return nil
	})
}

// RoseyBots that use up what their namespace may write, because each attempt is refused, delay no healthy one beside
// them.
func TestRefusedObjectsDelayNoOtherRoseyBot(t *testing.T) {
	newNamespace(t) // skips the test without an API server
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: starvedNamespace}})
	clock := &fakeClock{}
	stop := runOperator(t, starvedNamespace, func(operator *Reconciler) {
		operator.now, operator.probes.now, operator.settleTime = clock.now, clock.now, 0
		operator.objectWrites = newLimiter(objectWritesOfBot, allowance{time.Hour, 1})
		operator.objectWrites.allow(types.NamespacedName{Namespace: starvedNamespace, Name: "ill"}, clock.now())
	})
	defer stop()
	bot := newBot(starvedNamespace)
	create(t, bot)
	rollOut(t, bot)
	newPod(t, bot, manifests.Database, runningPod("127.0.0.1", true))
	newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", true))
	waitReady(t, bot, metav1.ConditionTrue)
}

// While the pods of a namespace accept connections and never respond, the RoseyBots of others get their objects, and
// their pods are probed.
func TestHangingPodsDelayNoOtherNamespace(t *testing.T) {
	hostile, other := newNamespace(t), "beside-hanging-pods"
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other}})
	release := make(chan struct{})
	var hanging atomic.Int32
	held.Store(hostile, func(ctx context.Context) {
		hanging.Add(1)
		defer hanging.Add(-1)
		select {
		case <-release:
		case <-ctx.Done():
		}
	})
	defer close(release)
	for number := range 40 {
		bot := newBot(hostile)
		bot.Name = fmt.Sprint("hostile-", number)
		create(t, bot)
		newPod(t, bot, manifests.Bot, runningPod("127.0.0.1", false))
		newPod(t, bot, manifests.Database, runningPod("127.0.0.1", false))
	}
	awaitHanging := func() { // when one is given up, there are fewer for a moment
		eventually(t, "probes that hang", func(context.Context) error {
			if got := hanging.Load(); got != maxProbesOfNamespace {
				return fmt.Errorf("there are %d, want %d", got, maxProbesOfNamespace)
			}
			return nil
		})
	}
	awaitHanging()
	bot := newBot(other)
	create(t, bot)
	eventually(t, "the objects of the other RoseyBot", func(ctx context.Context) error {
		_, err := get(ctx, &appsv1.Deployment{}, other, manifests.Name(bot, manifests.Bot))
		return err
	})
	kicked := startProcess(t, notReady(status.BotComponent, status.ChannelCheck, status.ReasonKicked, "kicked"))
	newPod(t, bot, manifests.Bot, runningPod(kicked.ip, false))
	waitCondition(t, bot, v1alpha1.ConditionChannelJoined, metav1.ConditionFalse, string(status.ReasonKicked))
	awaitHanging() // otherwise this test showed nothing
}

// A process may report any word as its reason. It must not become a label of metrics.
func TestUnknownReasonsAreReplaced(t *testing.T) {
	report := notReady(status.BotComponent, status.ChannelCheck, "Forged", "the words")
	got := withKnownReasons(report)
	for _, reason := range []status.Reason{got.Reason, got.Checks[0].Reason} {
		if reason != v1alpha1.ReasonNotReady {
			t.Errorf("the reason is %s, want %s", reason, v1alpha1.ReasonNotReady)
		}
	}
	if want := "Forged: the words"; got.Message != want || got.Checks[0].Message != want {
		t.Errorf("the messages are %q and %q, want %q", got.Message, got.Checks[0].Message, want)
	}
}

// The bucket of a namespace bounds all of its RoseyBots together, and creating one again does not refill its own.
func TestLimiterBoundsNamespaces(t *testing.T) {
	start := time.Unix(1e9, 0)
	limit := newLimiter(allowance{time.Second, 3}, allowance{time.Second, 10})
	count := 0
	for round := range 100 {
		bot := types.NamespacedName{Namespace: "fun", Name: fmt.Sprint("bot-", round%20)}
		if _, allowed := limit.allow(bot, start); allowed {
			count++
		}
	}
	if count != 10 {
		t.Errorf("%d were allowed in the namespace, want 10", count)
	}
	other := types.NamespacedName{Namespace: "other", Name: "bot"}
	for range 3 {
		if _, allowed := limit.allow(other, start); !allowed {
			t.Error("another namespace is limited too")
		}
	}
	wait, allowed := limit.allow(other, start)
	if allowed || wait < time.Second {
		t.Errorf("a fourth was allowed: %v, in %s", allowed, wait)
	}
	if _, allowed = limit.allow(other, start.Add(wait)); !allowed {
		t.Errorf("it was not allowed after %s", wait)
	}
	// Buckets that are full again are not kept.
	for number := range 10_000 {
		limit.allow(types.NamespacedName{Namespace: fmt.Sprint(number)}, start.Add(time.Duration(number)*time.Minute))
	}
	if len(limit.buckets) > 500 {
		t.Errorf("%d buckets are kept", len(limit.buckets))
	}
}

// Each RoseyBot that has to wait is told when its turn is. Five hundred that all tried again for each turn kept the
// operator busy.
func TestEachThatWaitsHasATurnOfItsOwn(t *testing.T) {
	start := time.Unix(1e9, 0)
	limit := newLimiter(allowance{time.Second, 3}, allowance{100 * time.Millisecond, 10})
	turns := map[time.Duration]bool{}
	for number := range 500 {
		bot := types.NamespacedName{Namespace: "fun", Name: fmt.Sprint("bot-", number)}
		wait := limit.reserve(bot, start)
		if number < 10 {
			if wait != 0 {
				t.Fatalf("number %d of the burst has to wait for %s", number, wait)
			}
			continue
		}
		if turns[wait.Round(time.Millisecond)] || wait > 51*time.Second {
			t.Fatalf("number %d has to wait for %s, as another does or for too long", number, wait)
		}
		turns[wait.Round(time.Millisecond)] = true
		if again := limit.reserve(bot, start.Add(wait/2)); (again - wait/2).Abs() > time.Microsecond {
			t.Fatalf("number %d is told %s, and after half of that %s", number, wait, again)
		}
		if again := limit.reserve(bot, start.Add(wait)); again != 0 {
			t.Fatalf("number %d has to wait for another %s when its turn has come", number, again)
		}
	}
	// What was reserved for those that do not come is not kept.
	for number := range 10_000 {
		bot := types.NamespacedName{Namespace: fmt.Sprint(number), Name: "bot"}
		for range 5 {
			limit.reserve(bot, start.Add(time.Duration(number)*time.Minute))
		}
	}
	if len(limit.reserved) > 500 {
		t.Errorf("%d turns are kept", len(limit.reserved))
	}
}
