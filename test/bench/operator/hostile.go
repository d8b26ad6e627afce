package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/backoff"
)

// pollPause is how exact the times of strangers are.
const pollPause = 10 * time.Millisecond

// hostileNamespace is the namespace whose pods harm the operator as much as they can.
const hostileNamespace = "hostile"

// firstOfHostile is the number of the first process of a hostile pod: a fleet may run beside them.
const firstOfHostile = 10_000

// hostile measures what the operator does for a RoseyBot of another namespace, a stranger, and how many requests it
// sends, while the pods of many RoseyBots hang, lie or flood. It measures in the order of its methods.
type hostile struct {
	*loopback
	table

	count     int           // of hostile RoseyBots
	strangers int           // that are created one after another
	window    time.Duration // of a count of requests
	flipPause time.Duration // between two changes of readiness

	perBot    int // objects of a RoseyBot; 0: not known yet
	began     time.Time
	bots      []*hostileBot
	processes int // started until now

	stop      context.CancelFunc
	harassing sync.WaitGroup
	flips     atomic.Int64 // changes of readiness
}

// hostileBot is a RoseyBot with hostile pods.
type hostileBot struct {
	name      string
	pods      []*corev1.Pod
	processes []*podProcess
	flaps     bool // its pods' readiness and restarts change all the time
}

func (b *hostileBot) asked() (total int) {
	for _, process := range b.processes {
		total += int(process.asked.Load())
	}
	return total
}

func measureHostile(ctx context.Context, options options) (_ table, err error) {
	h := &hostile{count: options.hostile, strangers: 20, window: time.Minute, flipPause: time.Second}
	h.title = fmt.Sprintf("beside %d hostile RoseyBots", h.count)
	defer func() { err = errors.Join(err, h.close()) }()
	err = doSteps(ctx, []step{
		{"API server and operator start", h.start},
		{"RoseyBots are created alone", h.measureAlone},
		{"hostile RoseyBots are created", h.attack},
		{"RoseyBots are created beside them", h.measureBeside},
	})
	return h.table, err
}

func (h *hostile) start(ctx context.Context) (err error) {
	h.loopback, err = startLoopback(ctx, false)
	return err
}

func (h *hostile) close() (err error) {
	if h.stop != nil {
		h.stop()
	}
	h.harassing.Wait()
	for _, bot := range h.bots {
		for _, process := range bot.processes {
			err = errors.Join(err, process.close())
		}
	}
	if h.loopback != nil {
		err = errors.Join(err, h.loopback.close())
	}
	return err
}

// measureAlone creates strangers while there is nothing else.
func (h *hostile) measureAlone(ctx context.Context) error {
	there, explained, err := h.createStrangers(ctx, "alone", 0)
	if err != nil {
		return err
	}
	h.report(fmt.Sprintf("alone: a RoseyBot has its %d objects, median of %d", h.perBot, h.strangers), "%s",
		medianAndLongest(there))
	h.report("alone: its status says why its new pod is not ready", "%s", medianAndLongest(explained))
	return nil
}

// attack creates the hostile RoseyBots and their pods, and returns when all objects are there and some of each kind
// have been asked. Each need not be: where others hang, a pod that changes every second is asked by chance.
func (h *hostile) attack(ctx context.Context) error {
	if err := createNamespace(ctx, h.admin, hostileNamespace); err != nil {
		return err
	}
	h.began = time.Now()
	for i := range h.count {
		if err := h.createHostile(ctx, i); err != nil {
			return err
		}
	}
	harassing, stop := context.WithCancel(ctx)
	h.stop = stop
	h.harassing.Go(func() { h.harass(harassing) })
	return until(ctx, "the hostile RoseyBots have their objects and each kind was asked", func() (bool, error) {
		created := h.requests.count(func(c call) bool { return c.isIn(hostileNamespace) && c.isCreation() })
		asked := map[int]bool{} // by the index of the kind
		for i, bot := range h.bots {
			if bot.asked() > 0 {
				asked[i%len(hostileAnswers)] = true
			}
		}
		return created >= h.count*h.perBot && len(asked) == min(h.count, len(hostileAnswers)), nil
	})
}

func (h *hostile) createHostile(ctx context.Context, number int) error {
	kind := hostileAnswers[number%len(hostileAnswers)]
	bot := newBot(hostileNamespace, fmt.Sprintf("%s-%d", kind.name, number))
	made := &hostileBot{name: bot.Name, flaps: kind.flaps}
	h.bots = append(h.bots, made)
	if err := h.admin.Create(ctx, bot); err != nil {
		return fmt.Errorf("creating %s: %w", bot.Name, err)
	}
	for _, component := range []manifests.Component{manifests.Bot, manifests.Database} {
		process, err := h.newProcess(ctx, kind.answer)
		if err != nil {
			return err
		}
		made.processes = append(made.processes, process)
		pod, err := h.createPod(ctx, bot, component, process.ip)
		if err != nil {
			return err
		}
		made.pods = append(made.pods, pod)
	}
	return nil
}

func (h *hostile) newProcess(ctx context.Context, answer podAnswer) (*podProcess, error) {
	h.processes++
	return startPodProcess(ctx, firstOfHostile+h.processes, answer)
}

// harass changes readiness and restarts of pods, as a kubelet does whose probe finds another answer each time and whose
// container crashes again and again, until ctx is done.
func (h *hostile) harass(ctx context.Context) {
	for round := 1; backoff.Sleep(ctx, h.flipPause); round++ {
		for _, bot := range h.bots {
			if !bot.flaps {
				continue
			}
			for _, pod := range bot.pods {
				setRunning(pod, pod.Status.PodIP, round%2 == 0)
				pod.Status.ContainerStatuses[0].RestartCount = int32(round / 4)
				if round%4 == 3 {
					setWaiting(pod, &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"})
				}
				if h.admin.Status().Update(ctx, pod) == nil {
					h.flips.Add(1)
				}
			}
		}
	}
}

// measureBeside creates strangers while the pods are hostile, and counts requests: those from the first hostile
// RoseyBot on, and those while the strangers are created, for which the bursts that the limits allow are used up.
func (h *hostile) measureBeside(ctx context.Context) error {
	backoff.Sleep(ctx, h.window-time.Since(h.began))
	h.reportRequests("the first minute", h.began, h.window)
	before, err := h.scrape(ctx)
	if err != nil {
		return err
	}
	start, asked, flips := time.Now(), h.asked(), h.flips.Load()
	there, explained, err := h.createStrangers(ctx, "stranger", h.window/time.Duration(h.strangers))
	if err != nil {
		return err
	}
	after, err := h.scrape(ctx)
	if err != nil {
		return err
	}
	took := time.Since(start)
	h.report("a RoseyBot of another namespace has its objects", "%s", medianAndLongest(there))
	h.report("its status says why its new pod is not ready", "%s", medianAndLongest(explained))
	h.reportRequests("a later minute", start, took)
	h.report("changes of the hostile pods' readiness per minute", "%.0f", float64(h.flips.Load()-flips)/took.Minutes())
	h.report("requests to hostile pods per minute", "%.0f", float64(h.asked()-asked)/took.Minutes())
	h.report("reconciles per minute", "%.0f", (after.reconciles-before.reconciles)/took.Minutes())
	h.report("processor time of the operator per minute", "%.1f s", (after.processor-before.processor)/took.Minutes())
	h.report("resident memory of the operator", "%.1f MiB", after.resident/mebibyte)
	return nil
}

func (h *hostile) asked() (total int) {
	for _, bot := range h.bots {
		total += bot.asked()
	}
	return total
}

// reportRequests reports the requests per minute that the API server has got from the operator.
func (h *hostile) reportRequests(when string, start time.Time, length time.Duration) {
	perMinute := func(wanted func(call) bool) float64 {
		return float64(h.requests.count(func(c call) bool {
			return !c.at.Before(start) && c.at.Before(start.Add(length)) && wanted(c)
		})) / length.Minutes()
	}
	isHostile := func(wanted func(call) bool) func(call) bool {
		return func(c call) bool { return c.isIn(hostileNamespace) && wanted(c) }
	}
	h.report(when+": requests of the operator", "%.0f", perMinute(func(call) bool { return true }))
	h.report(when+": of these, objects of hostile RoseyBots", "%.0f", perMinute(isHostile(call.isCreation)))
	h.report(when+": of these, statuses of hostile RoseyBots", "%.0f", perMinute(isHostile(call.isStatus)))
	h.report(when+": of these, Events of hostile RoseyBots", "%.0f", perMinute(isHostile(call.isEvent)))
}

// createStrangers creates RoseyBots one after another, each in a namespace of its own and at least pause apart. It
// returns the time until the objects of each were there, and until its status had what its pod reports.
func (h *hostile) createStrangers(ctx context.Context, name string, pause time.Duration,
) (there, explained []time.Duration, err error) {
	for i := range h.strangers {
		began := time.Now()
		bot := newBot(fmt.Sprintf("%s-%d", name, i), "stranger")
		objects, err := h.createStranger(ctx, bot)
		if err != nil {
			return nil, nil, err
		}
		words, err := h.explain(ctx, bot)
		if err != nil {
			return nil, nil, err
		}
		there, explained = append(there, objects), append(explained, words)
		backoff.Sleep(ctx, pause-time.Since(began))
	}
	return there, explained, nil
}

// createStranger creates a RoseyBot, and returns the time until its objects are there.
func (h *hostile) createStranger(ctx context.Context, bot *v1alpha1.RoseyBot) (time.Duration, error) {
	if err := createNamespace(ctx, h.admin, bot.Namespace); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := h.admin.Create(ctx, bot); err != nil {
		return 0, fmt.Errorf("creating %s: %w", bot.Name, err)
	}
	if h.perBot > 0 {
		// Only what the proxy counts is polled: reading the objects would load the API server.
		err := untilEvery(ctx, pollPause, "the objects of the stranger are there", func() (bool, error) {
			return h.requests.count(func(c call) bool { return c.isIn(bot.Namespace) && c.isCreation() }) >= h.perBot, nil
		})
		return time.Since(began), err
	}
	// The operator writes the status after the objects.
	err := untilEvery(ctx, pollPause, "the first RoseyBot has a status", func() (bool, error) {
		return h.hasCondition(ctx, bot, v1alpha1.ConditionReady, "")
	})
	took := time.Since(began)
	if err == nil {
		h.perBot, err = countOwned(ctx, h.admin, bot.Namespace)
	}
	return took, err
}
