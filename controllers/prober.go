package controllers

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/status"
)

const (
	// maxQuestions and maxQuestionsOfNamespace bound the questions to pods at a time: a pod can keep each of them
	// waiting until it times out.
	maxQuestions            = 64
	maxQuestionsOfNamespace = 4
	// maxPending is the longest time for which the status waits for the first answer of a pod.
	maxPending = 5 * time.Second
)

// probeClient has no proxy: one cannot reach pods.
var probeClient = status.NewClient(nil)

// probeResult is the report of a process, or the reason why there is none.
type probeResult struct {
	report status.Report
	err    error
}

// question is one request for the report of the process in a pod.
type question struct {
	bot       types.NamespacedName // which is reconciled when the answer is news
	address   string
	component manifests.Component
	answer    *answer
}

// answer is what a pod answered last.
type answer struct {
	result   probeResult
	answered bool
	unread   bool      // no reconcile has seen the result
	absent   bool      // the last reconcile that wanted it did not get one
	asking   bool      // a question is waiting or being asked
	asked    time.Time // when the last question was
	wanted   bool      // in the current reconcile
}

// podState identifies what an answer is about: neither one from before a restart, nor one from before the pod's
// readiness changed, explains the present state.
type podState struct {
	uid      types.UID
	ready    bool
	restarts int32
}

// prober asks pods for the reports of their processes. It does so outside of reconciles, which use what is known and do
// not wait: pods that accept a connection and never answer must not keep other RoseyBots from being reconciled. An
// answer starts a reconcile only if it differs from the last one, and that reconcile asks the pod nothing: otherwise a
// pod that answers differently each time would be asked without end.
type prober struct {
	// fetch asks a pod. It is fetchReport, unless a test controls when pods answer.
	fetch func(context.Context, question) (status.Report, error)
	port  int
	limit *limiter
	now   func() time.Time
	// news has the RoseyBots for which an answer changed.
	news chan event.GenericEvent
	// wake tells Start that there may be a question that can be asked.
	wake chan struct{}

	mu      sync.Mutex
	answers map[types.NamespacedName]map[podState]*answer
	waiting []question     // of known answers only, so that their number is that of pods
	asking  map[string]int // number of questions being asked, by namespace, and under "" in all
}

func newProber(port int) *prober {
	return &prober{
		fetch:   fetchReport,
		port:    port,
		limit:   newLimiter(questionsOfBot, questionsOfNamespace),
		now:     time.Now,
		news:    make(chan event.GenericEvent),
		wake:    make(chan struct{}, 1),
		answers: map[types.NamespacedName]map[podState]*answer{},
		asking:  map[string]int{},
	}
}

// ask returns what a pod answered last, and whether it has answered. It arranges for the pod to be asked again, unless
// the last question is not older than fresh, the answer is news or the RoseyBot's questions exceed the limit.
func (p *prober) ask(
	bot types.NamespacedName, pod *corev1.Pod, component manifests.Component, fresh time.Duration,
) (probeResult, bool) {
	address, err := statusURL(pod.Status.PodIP, p.port)
	if err != nil {
		return probeResult{err: err}, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.answers[bot]
	if known == nil {
		known = map[podState]*answer{}
		p.answers[bot] = known
	}
	state := podState{uid: pod.UID, ready: podReady(pod)}
	for i := range pod.Status.ContainerStatuses {
		state.restarts += pod.Status.ContainerStatuses[i].RestartCount
	}
	last := known[state]
	if last == nil {
		last = &answer{}
		known[state] = last
	}
	isFresh := last.unread || last.answered && p.now().Sub(last.asked) < fresh
	if !isFresh && !last.asking && !last.wanted {
		if _, allowed := p.limit.allow(bot, p.now()); allowed {
			last.asking, last.asked = true, p.now()
			p.waiting = append(p.waiting, question{bot, address, component, last})
			p.wakeUp()
		}
	}
	last.unread, last.wanted, last.absent = false, true, !last.answered
	return last.result, last.answered
}

// statusURL returns the address at which a pod is asked. It returns an error for an address that no pod has: neither
// the metadata of a cloud's machine nor the operator's own host may be asked, whoever wrote the status of the pod.
func statusURL(podIP string, port int) (string, error) {
	ip, err := netip.ParseAddr(podIP)
	if ip = ip.Unmap(); err != nil || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
		return "", errors.New("its pod has no address that can be asked")
	}
	host := net.JoinHostPort(podIP, strconv.Itoa(port))
	return (&url.URL{Scheme: "http", Host: host, Path: status.StatusPath}).String(), nil
}

// endReconcile forgets the pods that a reconcile did not ask, and the questions to them that wait: those to a pod that
// restarts all the time would add up. It reports whether one that it asked is about to give its first answer, or has
// just given it: that answer starts the next reconcile, and this one does not have it.
func (p *prober) endReconcile(bot types.NamespacedName) (pending bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for state, last := range p.answers[bot] {
		if !last.wanted {
			delete(p.answers[bot], state)
			if last.asking {
				p.waiting = slices.DeleteFunc(p.waiting, func(waits question) bool { return waits.answer == last })
			}
			continue
		}
		last.wanted = false
		pending = pending || last.absent && (last.answered || last.asking && p.now().Sub(last.asked) < maxPending)
	}
	if len(p.answers[bot]) == 0 {
		delete(p.answers, bot)
	}
	return pending
}

// Start asks the questions until ctx is done, and waits for those that are being asked.
func (p *prober) Start(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		for next, found := p.next(); found; next, found = p.next() {
			group.Go(func() {
				report, err := p.fetch(ctx, next)
				if !p.record(next, probeResult{report: withKnownReasons(report), err: err}) {
					return
				}
				bot := &v1alpha1.RoseyBot{ObjectMeta: metav1.ObjectMeta{Namespace: next.bot.Namespace, Name: next.bot.Name}}
				select {
				case p.news <- event.GenericEvent{Object: bot}:
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

// next returns the question that is asked next, if one may be asked now: the oldest of the namespace with the fewest
// that are being asked. Those of a namespace, or of several, whose pods do not answer do not keep others waiting.
func (p *prober) next() (next question, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asking[""] >= maxQuestions {
		return question{}, false
	}
	best, fewest := -1, maxQuestionsOfNamespace
	for i, waits := range p.waiting {
		if count := p.asking[waits.bot.Namespace]; count < fewest {
			best, fewest = i, count
		}
	}
	if best < 0 {
		return question{}, false
	}
	next = p.waiting[best]
	p.waiting = slices.Delete(p.waiting, best, best+1)
	p.asking[next.bot.Namespace]++
	p.asking[""]++
	return next, true
}

// record keeps an answer, and reports whether it is news.
func (p *prober) record(asked question, result probeResult) (isNews bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.wakeUp()
	p.asking[""]--
	if p.asking[asked.bot.Namespace]--; p.asking[asked.bot.Namespace] == 0 {
		delete(p.asking, asked.bot.Namespace)
	}
	last := asked.answer
	isNews = !last.answered || !reflect.DeepEqual(last.result.report, result.report) ||
		errorText(last.result.err) != errorText(result.err)
	last.result, last.answered, last.asking, last.unread = result, true, false, isNews
	return isNews
}

func (p *prober) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// fetchReport asks a pod for the report of its process.
func fetchReport(ctx context.Context, asked question) (status.Report, error) {
	return status.FetchReport(ctx, probeClient, asked.address, asked.component)
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
	return report
}

func knownReason(reason status.Reason, message string) (status.Reason, string) {
	if reason == "" || reason.Known() {
		return reason, message
	}
	return v1alpha1.ReasonNotReady, string(reason) + ": " + message
}
