package controllers

import (
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
)

// allowance allows burst actions at once, and then one each interval.
type allowance struct {
	interval time.Duration
	burst    int
}

// What pods can cause is limited, because they may report something else each time. The bursts are so large that
// neither a new RoseyBot nor a hundred of them at once are slowed.
var (
	probesOfBot             = allowance{2 * time.Second, 10}
	probesOfNamespace       = allowance{100 * time.Millisecond, 200}
	firstProbesOfNamespace  = allowance{200 * time.Millisecond, 200} // half of what is refilled
	statusWritesOfBot       = allowance{5 * time.Second, 20}
	statusWritesOfNamespace = allowance{100 * time.Millisecond, 500}
	eventReadsOfBot         = allowance{10 * time.Second, 3}
	eventReadsOfNamespace   = allowance{time.Second, 20}
	eventsOfBot             = allowance{30 * time.Second, 10}
	eventsOfNamespace       = allowance{time.Second, 200}
	// Reconciles that write objects of a generation that the status is about already: repairs, and attempts that fail
	// each time, such as one for which a quota is used up.
	objectWritesOfBot       = allowance{2 * time.Second, 100}
	objectWritesOfNamespace = allowance{500 * time.Millisecond, 500}
)

// limiter limits how often something is done for a RoseyBot, and for all RoseyBots of a namespace together. It is safe
// for concurrent use.
type limiter struct {
	perBot, perNamespace allowance

	mu sync.Mutex
	// buckets are those of RoseyBots, and under an empty name those of namespaces. A full bucket need not be kept: it
	// is the same as none. So creating a RoseyBot again does not refill its bucket.
	buckets map[types.NamespacedName]*rate.Limiter
	// reserved is when those may do it for which it was put off.
	reserved map[types.NamespacedName]time.Time
	// sweepAt is the number of buckets at which full ones are removed.
	sweepAt int
}

func newLimiter(perBot, perNamespace allowance) *limiter {
	return &limiter{
		perBot: perBot, perNamespace: perNamespace,
		buckets: map[types.NamespacedName]*rate.Limiter{}, reserved: map[types.NamespacedName]time.Time{},
	}
}

// allow reports whether something may be done for a RoseyBot now, and counts it. If not, it returns the time after
// which it may.
func (l *limiter) allow(bot types.NamespacedName, now time.Time) (wait time.Duration, allowed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own, shared := l.bucketsOf(bot, now)
	if wait = max(waitFor(own, now), waitFor(shared, now)); wait > 0 {
		return wait, false
	}
	return 0, own.AllowN(now, 1) && shared.AllowN(now, 1)
}

// reserve returns 0 if something may be done for a RoseyBot now, and counts it. If not, it returns the time after which
// it may: each RoseyBot has a time of its own. With allow, all that wait would try again for each that may.
func (l *limiter) reserve(bot types.NamespacedName, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, waits := l.reserved[bot]
	if !waits {
		own, shared := l.bucketsOf(bot, now)
		at = now.Add(max(own.ReserveN(now, 1).DelayFrom(now), shared.ReserveN(now, 1).DelayFrom(now)))
	}
	if at.After(now) {
		l.reserved[bot] = at
		return at.Sub(now)
	}
	delete(l.reserved, bot)
	return 0
}

// allows reports whether something may be done for a RoseyBot now, and does not count it. It makes no bucket: it is
// called in each reconcile, and only allow sweeps.
func (l *limiter) allows(bot types.NamespacedName, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	own, shared := l.buckets[bot], l.buckets[types.NamespacedName{Namespace: bot.Namespace}]
	return (own == nil || waitFor(own, now) == 0) && (shared == nil || waitFor(shared, now) == 0)
}

// isShort reports whether a namespace has used up half of what it may do at once.
func (l *limiter) isShort(bot types.NamespacedName, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	shared := l.buckets[types.NamespacedName{Namespace: bot.Namespace}]
	return shared != nil && shared.TokensAt(now) < float64(shared.Burst())/2
}

func (l *limiter) bucketsOf(bot types.NamespacedName, now time.Time) (own, shared *rate.Limiter) {
	if len(l.buckets) >= l.sweepAt {
		l.sweep(now)
	}
	return l.bucket(bot, l.perBot), l.bucket(types.NamespacedName{Namespace: bot.Namespace}, l.perNamespace)
}

func (l *limiter) bucket(key types.NamespacedName, allowed allowance) *rate.Limiter {
	found := l.buckets[key]
	if found == nil {
		found = rate.NewLimiter(rate.Every(allowed.interval), allowed.burst)
		l.buckets[key] = found
	}
	return found
}

func (l *limiter) sweep(now time.Time) {
	maps.DeleteFunc(l.reserved, func(_ types.NamespacedName, at time.Time) bool { return now.Sub(at) > time.Minute })
	for key, bucket := range l.buckets {
		if bucket.TokensAt(now) >= float64(bucket.Burst()) {
			delete(l.buckets, key)
		}
	}
	l.sweepAt = 2*len(l.buckets) + 100
}

// waitFor returns the time after which a bucket has a token.
func waitFor(bucket *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - bucket.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/float64(bucket.Limit())*float64(time.Second)) + time.Millisecond
}
