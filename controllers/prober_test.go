package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

// newUnlimitedProber returns a prober without limits of probes per time. It is not started.
func newUnlimitedProber() *prober {
	p := newProber(8080)
	p.limit = newLimiter(allowance{time.Nanosecond, 1000}, allowance{time.Nanosecond, 1000})
	p.firstLimit = p.limit
	return p
}

func namedPod(namespace, name, ip string) (types.NamespacedName, *corev1.Pod) {
	return types.NamespacedName{Namespace: namespace, Name: name}, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + name)},
		Status:     runningPod(ip, false),
	}
}

// all returns all probes that may begin now.
func (p *prober) all() (begun []probe) {
	for next, found := p.next(); found; next, found = p.next() {
		begun = append(begun, next)
	}
	return begun
}

// The pods of many namespaces that accept connections and never respond are not probed in any number, and do not keep
// those of another namespace from being probed as soon as one of them is given up.
func TestProbesAreBoundedAndFair(t *testing.T) {
	p := newUnlimitedProber()
	for number := range 1000 {
		bot, pod := namedPod(fmt.Sprint("hostile-", number%20), fmt.Sprint("bot-", number), "10.0.0.1")
		p.latest(t.Context(), bot, pod, manifests.Bot, 0)
	}
	begun := p.all()
	if len(begun) != maxProbes {
		t.Fatalf("%d probes are under way at a time, want %d", len(begun), maxProbes)
	}
	perNamespace := map[string]int{}
	for _, one := range begun {
		perNamespace[one.bot.Namespace]++
	}
	for namespace, count := range perNamespace {
		if count > maxProbesOfNamespace {
			t.Errorf("%d probes are under way in %s, want at most %d", count, namespace, maxProbesOfNamespace)
		}
	}
	other, pod := namedPod("other", "bot", "10.0.0.2")
	p.latest(t.Context(), other, pod, manifests.Bot, 0)
	p.record(begun[0], probeResult{err: context.DeadlineExceeded})
	if next := p.all(); len(next) != 1 || next[0].bot != other {
		t.Errorf("the next probe is %v, want that of %v", next, other)
	}
}

// The probes of a namespace begin in the order in which they were requested.
func TestProbesOfANamespaceBeginInTurn(t *testing.T) {
	p := newUnlimitedProber()
	for number := range 10 {
		bot, pod := namedPod("fun", fmt.Sprint("bot-", number), "10.0.0.1")
		p.latest(t.Context(), bot, pod, manifests.Bot, 0)
	}
	for number := 0; number < 10; {
		begun := p.all()
		if len(begun) == 0 {
			t.Fatalf("only %d began", number)
		}
		for _, one := range begun {
			if want := fmt.Sprint("bot-", number); one.bot.Name != want {
				t.Errorf("probe %d is of %s, want %s", number, one.bot.Name, want)
			}
			p.record(one, probeResult{err: context.DeadlineExceeded})
			number++
		}
	}
}

// A pod whose readiness changes or that restarts all the time, and that was not probed yet, waits once.
func TestProbesOfPodsOfThePastDoNotAddUp(t *testing.T) {
	p := newUnlimitedProber()
	var bot types.NamespacedName
	for number := range 1000 {
		var pod *corev1.Pod
		bot, pod = namedPod("hostile", "bot", "10.0.0.1")
		pod.Status.ContainerStatuses[0].RestartCount = int32(number)
		p.latest(t.Context(), bot, pod, manifests.Bot, 0)
		p.endReconcile(bot)
	}
	if len(p.waiting) != 1 || len(p.results[bot]) != 1 {
		t.Errorf("%d probes wait, and %d results are kept", len(p.waiting), len(p.results[bot]))
	}
	p.endReconcile(bot) // as for a RoseyBot that was deleted
	if len(p.waiting) != 0 || len(p.results) != 0 {
		t.Errorf("of a deleted RoseyBot, %d probes wait, and %d results are kept", len(p.waiting), len(p.results))
	}
}

// A first result that arrives while the reconcile computes the status must not let that status be written: it would say
// that a bot is starting which has been ready all the time, as often as the operator restarts.
func TestAFirstResultThatTheReconcileDoesNotHaveIsAwaited(t *testing.T) {
	p := newUnlimitedProber()
	bot, pod := namedPod("fun", "bot", "10.0.0.1")
	if _, found := p.latest(t.Context(), bot, pod, manifests.Bot, 0); found {
		t.Fatal("there is a result before the pod was probed")
	}
	p.record(p.all()[0], probeResult{})
	if !p.endReconcile(bot) {
		t.Error("the status without the result is written")
	}
	if _, found := p.latest(t.Context(), bot, pod, manifests.Bot, 0); !found || p.endReconcile(bot) {
		t.Error("the status with the result is not written")
	}
}

// The reconcile that a result started requests nothing: a pod that reports something else each time would be probed
// without end.
func TestReconcileForAResultRequestsNothing(t *testing.T) {
	p := newUnlimitedProber()
	bot, pod := namedPod("hostile", "bot", "10.0.0.1")
	reconcile := func() (probeResult, bool) {
		result, found := p.latest(t.Context(), bot, pod, manifests.Bot, 0)
		p.endReconcile(bot)
		return result, found
	}
	reconcile()
	for number := range 3 {
		begun := p.all()
		if len(begun) != 1 {
			t.Fatalf("%d probes wait, want 1", len(begun))
		}
		message := fmt.Sprint("report ", number)
		if !p.record(begun[0], probeResult{report: status.Report{Message: message}}) {
			t.Error("another report is no change")
		}
		if result, found := reconcile(); !found || result.report.Message != message {
			t.Errorf("the result is %+v, %v", result, found)
		}
		if begun := p.all(); len(begun) > 0 {
			t.Errorf("the result led to %d probes", len(begun))
		}
		reconcile()
	}
}

// What the operator does not use, and reasons that it does not know, are replaced before a report is compared and used:
// the one would make each report differ, the other would become a label of metrics.
func TestReportsAreNormalizedWhereTheyComeIn(t *testing.T) {
	p := newUnlimitedProber()
	var numbers atomic.Int32
	p.fetch = func(context.Context, probe) (status.Report, error) {
		number := numbers.Add(1)
		at := time.Unix(int64(number), 0)
		return status.Report{
			Component: status.BotComponent, Reason: "Forged", Message: "same", Version: fmt.Sprint(number), Started: at,
			Checks: []status.Check{{Name: status.ChannelCheck, Reason: "Forged", Message: "same", Since: at}},
		}, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- p.Start(ctx) }()
	defer func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}()
	want := status.Report{
		Component: status.BotComponent, Reason: v1alpha1.ReasonNotReady, Message: "Forged: same",
		Checks: []status.Check{{Name: status.ChannelCheck, Reason: v1alpha1.ReasonNotReady, Message: "Forged: same"}},
	}
	for number := range 3 {
		// Another pod each time, because the change of the first need not be read.
		bot, pod := namedPod("hostile", fmt.Sprint("bot-", number), "10.0.0.1")
		eventually(t, "a result", func(context.Context) error {
			result, found := p.latest(t.Context(), bot, pod, manifests.Bot, time.Hour)
			p.endReconcile(bot)
			if !found {
				return errors.New("there is none")
			}
			if diff := cmp.Diff(want, result.report); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			return nil
		})
	}
}

// No pod has such an address. The status of a pod is not always written by a kubelet.
func TestNoRequestsToAddressesThatNoPodHas(t *testing.T) {
	for _, ip := range []string{
		"169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "metadata.internal", "10.0.0.1:80", "",
		"::ffff:169.254.169.254",
	} {
		p := newUnlimitedProber()
		bot, pod := namedPod("hostile", "bot", ip)
		result, found := p.latest(t.Context(), bot, pod, manifests.Bot, 0)
		if begun := p.all(); len(begun) > 0 || !found || result.err == nil {
			t.Errorf("%q: probes %v, result %v", ip, begun, result)
		}
	}
	for _, ip := range []string{"10.0.0.1", "fd00::1", "192.168.1.1"} {
		p := newUnlimitedProber()
		bot, pod := namedPod("fun", "bot", ip)
		if p.latest(t.Context(), bot, pod, manifests.Bot, 0); len(p.all()) != 1 {
			t.Errorf("%q is not probed", ip)
		}
	}
}

// The operator's own writes of a status start no reconcile, nor do those of anybody else: they would be without end if
// a pod reports something else each time.
func TestStatusWritesStartNoReconcile(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	waitReconciled(t, bot)
	const message = "changed by hand"
	eventually(t, "a status written by hand", func(ctx context.Context) error {
		if _, err := get(ctx, bot, bot.Namespace, bot.Name); err != nil {
			return err
		}
		bot.Status.Conditions[0].Message = message
		return rig.admin.Status().Update(ctx, bot)
	})
	eventually(t, "the status in the operator's cache", func(ctx context.Context) error {
		known := &v1alpha1.RoseyBot{}
		if err := rig.operator.Client.Get(ctx, client.ObjectKeyFromObject(bot), known); err != nil {
			return err
		}
		if known.ResourceVersion != bot.ResourceVersion {
			return fmt.Errorf("it has version %s of %s", known.ResourceVersion, bot.ResourceVersion)
		}
		return nil
	})
	// Requests are handled in turn: one for the status would be done before this RoseyBot is.
	other := newBot(bot.Namespace)
	other.Name = "later"
	create(t, other)
	waitCondition(t, other, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	now, err := get(t.Context(), &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
	if err != nil || now.Status.Conditions[0].Message != message {
		t.Errorf("the status was written again: %v, %v", now.Status.Conditions[0], err)
	}
}

// The reports of a thousand RoseyBots that are ready, one a minute each, are more than a namespace may have. A new one
// was not ready before it got its turn.
func TestKnownPodsLeaveProbesToNewOnes(t *testing.T) {
	prober := newProber(1)
	start := time.Now()
	prober.now = func() time.Time { return start }
	prober.limit = newLimiter(probesOfBot, allowance{time.Second, 10})
	probed := func(state probeState) (count int) {
		for number := range 20 {
			known := &knownResult{state: state}
			bot := types.NamespacedName{Namespace: "fun", Name: fmt.Sprint("bot-", state, "-", number)}
			prober.request(t.Context(), probe{bot: bot, known: known})
			if known.state.isProbing() {
				count++
			}
		}
		return count
	}
	if count := probed(readResult); count != 6 {
		t.Errorf("%d pods of which something is known are probed, want 6 of 10", count)
	}
	if count := probed(unknown); count != 4 {
		t.Errorf("%d new pods are probed, want the 4 that are left", count)
	}
}

// Where pods come all the time, such as during a rollout of many RoseyBots, nobody saw any more that a bot of another
// RoseyBot had lost its channel.
func TestNewPodsLeaveProbesToKnownOnes(t *testing.T) {
	prober := newProber(1)
	now := time.Now()
	prober.now = func() time.Time { return now }
	knownProbes := 0
	for tick := range 600 { // a minute, with twice as many new pods as may be probed
		now = now.Add(100 * time.Millisecond)
		for number := range 2 {
			bot := types.NamespacedName{Namespace: "fun", Name: fmt.Sprint("bot-", tick, "-", number)}
			prober.request(t.Context(), probe{bot: bot, known: &knownResult{}})
		}
		known := &knownResult{state: readResult}
		prober.request(t.Context(), probe{bot: types.NamespacedName{Namespace: "fun", Name: "known"}, known: known})
		if tick > 300 && known.state.isProbing() {
			knownProbes++
		}
	}
	if knownProbes == 0 {
		t.Error("a pod of which something is known was not probed for half a minute")
	}
}
