package controllers

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/telemetry"
)

const (
	// maxProbes and maxProbesOfNamespace bound the probes under way: a pod can keep each of them waiting until it times
	// out.
	maxProbes            = 64
	maxProbesOfNamespace = 4
	// maxPending is the longest time for which the status waits for the first report of a pod.
	maxPending = 5 * time.Second
)

// probeClient has no proxy: one cannot reach pods.
var probeClient = func() *http.Client {
	asked := status.NewClient(nil)
	asked.Transport = telemetry.NewTransport(asked.Transport, func(path string) string { return path })
	return asked
}()

// probeResult is the report of a process, or the reason why there is none.
type probeResult struct {
	report status.Report
	err    error
}

// probe is one request for the report of the process in a pod.
type probe struct {
	bot       types.NamespacedName // which is reconciled when the result has changed
	address   string
	component manifests.Component
	known     *knownResult
	span      trace.SpanContext // of the reconcile that has requested it
}

// knownResult is the last result of probing a pod.
type knownResult struct {
	result probeResult
	state  probeState
	probed time.Time // when the last probe was requested
	use    resultUse
}

// probeState is what is known of a pod, and whether a probe waits or is under way.
type probeState int

const (
	unknown       probeState = iota // no result and no probe
	firstProbe                      // no result, a probe
	changedResult                   // a result that no reconcile has read, no probe
	readResult                      // a result that a reconcile has read, no probe
	probingAgain                    // a result that a reconcile has read, and a probe
)

func (s probeState) hasResult() bool { return s >= changedResult }

func (s probeState) isProbing() bool { return s == firstProbe || s == probingAgain }

// resultUse is how the current reconcile uses a result.
type resultUse int

const (
	notWanted resultUse = iota
	wasAbsent           // it wanted the result, and there was none
	wasRead
)

// podState identifies what a result is about: neither one from before a restart, nor one from before the pod's
// readiness changed, explains the present state.
type podState struct {
	uid      types.UID
	ready    bool
	restarts int32
}

// prober requests the reports of the processes in pods. It does so outside of reconciles, which use what is known and
// do not wait: pods that accept a connection and never respond must not keep other RoseyBots from being reconciled. A
// result starts a reconcile only if it differs from the last one, and that reconcile requests nothing of the pod:
// otherwise a pod that reports something else each time would be probed without end.
type prober struct {
	// fetch sends a request. It is fetchReport, unless a test controls when pods respond.
	fetch func(context.Context, probe) (status.Report, error)
	port  int
	limit *limiter
	// firstLimit is the part of limit that pods may use up of which nothing is known.
	firstLimit *limiter
	now        func() time.Time
	// changed has the RoseyBots for which a result changed.
	changed chan event.GenericEvent
	// wake tells Start that there may be a probe to begin.
	wake chan struct{}

	mu       sync.Mutex
	results  map[types.NamespacedName]map[podState]*knownResult
	waiting  []probe        // of known results only, so that their number is that of pods
	underWay map[string]int // number of probes under way, by namespace, and under "" in all
}

func newProber(port int) *prober {
	return &prober{
		fetch:      fetchReport,
		port:       port,
		limit:      newLimiter(probesOfBot, probesOfNamespace),
		firstLimit: newLimiter(probesOfBot, firstProbesOfNamespace),
		now:        time.Now,
		changed:    make(chan event.GenericEvent),
		wake:       make(chan struct{}, 1),
		results:    map[types.NamespacedName]map[podState]*knownResult{},
		underWay:   map[string]int{},
	}
}

// latest returns the last result of probing a pod, and whether there is one. It requests another probe, unless the last
// one is not older than fresh, no reconcile has read its result, or the RoseyBot's probes exceed the limit.
func (p *prober) latest(
	ctx context.Context, bot types.NamespacedName, pod *corev1.Pod, component manifests.Component, fresh time.Duration,
) (probeResult, bool) {
	address, err := statusURL(pod.Status.PodIP, p.port)
	if err != nil {
		return probeResult{err: err}, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.resultOf(bot, pod)
	isFresh := known.state == changedResult || known.state.hasResult() && p.now().Sub(known.probed) < fresh
	if known.state == changedResult {
		known.state = readResult
	}
	if !isFresh && !known.state.isProbing() && known.use == notWanted {
		p.request(ctx, probe{bot: bot, address: address, component: component, known: known})
	}
	known.use = wasAbsent
	if known.state.hasResult() {
		known.use = wasRead
	}
	return known.result, known.state.hasResult()
}

// resultOf returns what is known of a pod in its present state.
func (p *prober) resultOf(bot types.NamespacedName, pod *corev1.Pod) *knownResult {
	ofBot := p.results[bot]
	if ofBot == nil {
		ofBot = map[podState]*knownResult{}
		p.results[bot] = ofBot
	}
	state := podState{uid: pod.UID, ready: podReady(pod)}
	for i := range pod.Status.ContainerStatuses {
		state.restarts += pod.Status.ContainerStatuses[i].RestartCount
	}
	known := ofBot[state]
	if known == nil {
		known = &knownResult{}
		ofBot[state] = known
	}
	return known
}

// request has a pod probed as soon as its turn comes, unless the limit is exceeded. Pods of which something is known
// leave a part of the limit to new ones: a new RoseyBot must not wait for the reports of a thousand. New ones leave a
// part too: where pods come and go all the time, it must still be seen what becomes of the others.
func (p *prober) request(ctx context.Context, next probe) {
	isFirst, now := next.known.state == unknown, p.now()
	if isFirst && !p.firstLimit.allows(next.bot, now) || !isFirst && p.limit.isShort(next.bot, now) {
		return
	}
	if _, allowed := p.limit.allow(next.bot, now); !allowed {
		return
	}
	next.known.probed, next.span = now, telemetry.Begin(ctx)
	if isFirst {
		_, _ = p.firstLimit.allow(next.bot, now)
		next.known.state = firstProbe
	} else {
		next.known.state = probingAgain
	}
	p.waiting = append(p.waiting, next)
	p.wakeUp()
}

// statusURL returns the address of a pod's report. It returns an error for an address that no pod has, such as that of
// the metadata of a cloud's machine: the status of a pod is not always written by a kubelet. A loopback address is the
// operator's own pod, whose ports serve nothing at that path; tests use such addresses.
func statusURL(podIP string, port int) (string, error) {
	ip, err := netip.ParseAddr(podIP)
	if ip = ip.Unmap(); err != nil || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
		return "", errors.New("its pod has no address to which a request can be sent")
	}
	host := net.JoinHostPort(podIP, strconv.Itoa(port))
	return (&url.URL{Scheme: "http", Host: host, Path: status.StatusPath}).String(), nil
}

// endReconcile forgets the pods whose results a reconcile did not want, and the probes of them that wait: those of a
// pod that restarts all the time would add up. It reports whether the first result of a pod is about to arrive, or has
// just arrived: it starts the next reconcile, and this one does not have it.
func (p *prober) endReconcile(bot types.NamespacedName) (pending bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for state, known := range p.results[bot] {
		use := known.use
		known.use = notWanted
		switch use {
		case notWanted:
			delete(p.results[bot], state)
			p.waiting = slices.DeleteFunc(p.waiting, func(waits probe) bool { return waits.known == known })
		case wasAbsent:
			isNear := known.state == firstProbe && p.now().Sub(known.probed) < maxPending
			pending = pending || known.state.hasResult() || isNear
		case wasRead:
		}
	}
	if len(p.results[bot]) == 0 {
		delete(p.results, bot)
	}
	return pending
}

// Start probes pods until ctx is done, and waits for the probes under way.
func (p *prober) Start(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		for next, found := p.next(); found; next, found = p.next() {
			group.Go(func() {
				report, err := p.fetch(trace.ContextWithSpanContext(ctx, next.span), next)
				if !p.record(next, probeResult{report: withKnownReasons(report), err: err}) {
					return
				}
				bot := &v1alpha1.RoseyBot{ObjectMeta: metav1.ObjectMeta{Namespace: next.bot.Namespace, Name: next.bot.Name}}
				select {
				case p.changed <- event.GenericEvent{Object: bot}:
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		}
	}
}

// next returns the probe that begins next, if one may begin now: the oldest of the namespace with the fewest under way.
// Those of a namespace, or of several, whose pods do not respond do not keep others waiting.
func (p *prober) next() (next probe, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.underWay[""] >= maxProbes {
		return probe{}, false
	}
	best, fewest := -1, maxProbesOfNamespace
	for i, waits := range p.waiting {
		if count := p.underWay[waits.bot.Namespace]; count < fewest {
			best, fewest = i, count
		}
	}
	if best < 0 {
		return probe{}, false
	}
	next = p.waiting[best]
	p.waiting = slices.Delete(p.waiting, best, best+1)
	p.underWay[next.bot.Namespace]++
	p.underWay[""]++
	return next, true
}

// record keeps the result of a probe, and reports whether it differs from the one before.
func (p *prober) record(ended probe, result probeResult) (hasChanged bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.wakeUp()
	p.underWay[""]--
	if p.underWay[ended.bot.Namespace]--; p.underWay[ended.bot.Namespace] == 0 {
		delete(p.underWay, ended.bot.Namespace)
	}
	known := ended.known
	hasChanged = known.state == firstProbe || !reflect.DeepEqual(known.result.report, result.report) ||
		errorText(known.result.err) != errorText(result.err)
	known.result, known.state = result, readResult
	if hasChanged {
		known.state = changedResult
	}
	return hasChanged
}

func (p *prober) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// probe adds to in.reports the reports of the newest pod of each component, and of the newest that is not ready. Those
// of ready pods of the database service are not needed, because the kubelet probes them, unless they make backups. A
// ready bot reports how it publishes events, and with several bots which of them is the leader, whose report is then
// needed too. A ready web page reports whether it reaches NATS, and whose tokens it has, and the host of the built-in
// plugins which of them it runs.
func (r *Reconciler) probe(ctx context.Context, in statusInput) {
	add := func(component manifests.Component, pod *corev1.Pod) {
		if _, started := podRunning(pod); !started || pod.Status.PodIP == "" {
			return
		}
		wanted, fresh := wantsReport(in.bot, component, podReady(pod))
		if !wanted {
			return
		}
		if result, found := r.probes.latest(ctx, client.ObjectKeyFromObject(in.bot), pod, component, fresh); found {
			in.reports[pod.Name] = result
		}
	}
	for _, component := range manifests.Components(in.bot) {
		add(component, in.observed.newestPod(component))
		add(component, in.observed.waitingPod(component))
	}
	if manifests.HasStandbys(in.bot) {
		add(manifests.Bot, in.observed.runningPod(manifests.Bot, leaderName(in)))
	}
}

// wantsReport reports whether the report of a pod is needed, and how old it may be.
func wantsReport(bot *v1alpha1.RoseyBot, component manifests.Component, ready bool) (wanted bool, fresh time.Duration) {
	backsUp := manifests.BacksUp(bot, component)
	switch {
	case !manifests.ServesHTTP(bot, component):
		return false, 0
	case !ready:
		return true, 0
	case manifests.RunsPlugins(component):
		return component == manifests.Plugins, readyInterval(bot)
	case component == manifests.Web:
		return true, webInterval(bot)
	case !backsUp && (component != manifests.Bot || bot.Spec.Mode == v1alpha1.ModeDirect && bot.Spec.Telemetry == nil):
		return false, 0
	case !backsUp && manifests.HasStandbys(bot):
		return true, 0
	case isReady(bot):
		return true, readyInterval(bot)
	}
	return true, 0
}

// readyInterval returns how old the report of a ready pod may be.
func readyInterval(bot *v1alpha1.RoseyBot) time.Duration {
	if awaitsPlugins(bot, bot.Status.Conditions) {
		return 0
	}
	return readyPollInterval
}

// webInterval returns how old the report of a ready web page may be.
func webInterval(bot *v1alpha1.RoseyBot) time.Duration {
	if isReady(bot) && meta.IsStatusConditionTrue(bot.Status.Conditions, v1alpha1.ConditionWebAvailable) {
		return readyPollInterval
	}
	return 0
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// fetchReport sends the request of a probe. A plugin with an image does not know the name of its component.
func fetchReport(ctx context.Context, next probe) (status.Report, error) {
	component := next.component
	if manifests.PluginName(component) != "" {
		component = status.PluginComponent
	}
	return status.FetchReport(ctx, probeClient, next.address, component)
}

// withKnownReasons returns a report without what the operator does not use, which may change all the time, and with
// known reasons only: a reason becomes a label of metrics, of which there must not be any number.
func withKnownReasons(report status.Report) status.Report {
	report.Version, report.Started = "", time.Time{}
	report.Reason, report.Message = knownReason(report.Reason, report.Message)
	for i := range report.Checks {
		check := &report.Checks[i]
		check.Reason, check.Message = knownReason(check.Reason, check.Message)
		check.Since = time.Time{}
	}
	for i := range report.Plugins {
		plugin := &report.Plugins[i]
		plugin.Reason, plugin.Message = knownReason(plugin.Reason, plugin.Message)
	}
	return report
}

func knownReason(reason status.Reason, message string) (status.Reason, string) {
	if reason == "" || reason.Known() {
		return reason, message
	}
	return v1alpha1.ReasonNotReady, string(reason) + ": " + message
}
