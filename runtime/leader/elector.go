package leader

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
)

// defaultTTL is how long the leader key outlives its last renewal.
const defaultTTL = 3 * time.Second

// fastPoll is the time between two polls when the key may become free at any moment.
const fastPoll = 100 * time.Millisecond

// Options configure an Elector. Conn, Subjects, Server, Channel and Log are required.
type Options struct {
	Conn     *bus.Conn
	Subjects bus.Subjects
	// Server and Channel are what the candidates want to be in. Those of another channel elect another leader.
	Server, Channel string
	Log             *slog.Logger
	// Pod is the name of this candidate for people.
	Pod string
	// UID is shared by processes that may take over from each other at once, because only one of them runs at a time:
	// the UID of their pod. Empty: no other process has this one's UID.
	UID string
	// Replicas is the number of NATS servers that store the bucket. 0 means 1.
	Replicas int
	// Manual: an administrator creates the bucket. Then the key is only polled, and not watched as well: a watch creates
	// a consumer, which could also deliver to the subjects of others.
	Manual bool
	// Alone reports whether this is the only candidate now. The only one leads also while it cannot reach the key, until
	// it sees that another holds it. It is called often, by one goroutine at a time. Nil: there may always be others.
	Alone func() bool
	// TTL is how long the key lives without a renewal. 0 means 3 s. All candidates must use the same.
	TTL time.Duration
}

// Elector is one candidate's side of the election. It is used for one leadership after the other: Acquire must not be
// called again before the last Leadership has been lost or released.
type Elector struct {
	key   *leaderKey
	log   *slog.Logger
	ttl   time.Duration
	alone func() bool // Options.Alone, never nil
	self  holder
	// heldValue and releasedValue are the two values of the key that this candidate writes.
	heldValue, releasedValue []byte
}

// New returns an Elector. It sends nothing before Acquire.
func New(o Options) *Elector {
	if o.TTL == 0 {
		o.TTL = defaultTTL
	}
	self := holder{Pod: o.Pod, UID: o.UID, Process: rand.Text()}
	if self.UID == "" {
		self.UID = self.Process
	}
	if o.Alone == nil {
		o.Alone = func() bool { return false }
	}
	return &Elector{
		key: newLeaderKey(o), log: o.Log, ttl: o.TTL, alone: o.Alone, self: self,
		heldValue: encode(record{holder: self}), releasedValue: encode(record{holder: self, Released: true}),
	}
}

func encode(r record) []byte {
	value, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and a bool cannot fail
	}
	return value
}

// Alone reports whether this is the only candidate.
func (e *Elector) Alone() bool { return e.alone() }

// Pod returns the name of this candidate for people.
func (e *Elector) Pod() string { return e.self.Pod }

// margin is how much earlier than the server a leader counts its key as expired.
func (e *Elector) margin() time.Duration { return e.ttl / 6 }

// interval is the time between two renewals, and between two polls of a candidate.
func (e *Elector) interval() time.Duration { return e.ttl / 4 }

// deadline returns until when the key is certainly this process's after a successful write that was sent at sent.
func (e *Elector) deadline(sent time.Time) time.Time { return sent.Add(e.ttl - e.margin()) }

// Observation is what a candidate has seen of the election.
type Observation struct {
	// Holder is the pod that holds the key. Empty: nobody does.
	Holder string
	// Err is why the key could not be read or written. Its text is for people and does not change while the cause does
	// not.
	Err error
}

// AcquireReason is how a candidate came to lead. Its text is a label of metrics.
type AcquireReason string

// The reasons why a candidate could take the key.
const (
	AcquiredFree     AcquireReason = "free"     // it has seen no holder
	AcquiredExpired  AcquireReason = "expired"  // the holder did not renew the key
	AcquiredReleased AcquireReason = "released" // the holder released it
	AcquiredRestart  AcquireReason = "restart"  // the holder was a former process of the same pod
	AcquiredAlone    AcquireReason = "alone"    // it is the only candidate, and cannot reach the key
)

// AcquireReasons are all reasons.
var AcquireReasons = []AcquireReason{
	AcquiredFree, AcquiredExpired, AcquiredReleased, AcquiredRestart, AcquiredAlone,
}

// Acquire waits until this candidate leads. It calls onObserve after every poll that did not make it the leader. An
// error means that ctx has ended. The Leadership outlives ctx: end it with Release.
func (e *Elector) Acquire(ctx context.Context, onObserve func(Observation)) (*Leadership, error) {
	c := &candidate{
		Elector: e, onObserve: onObserve, stopWatch: func() {},
		watchRetry: backoff.Backoff{Min: e.ttl, Max: 10 * e.ttl},
	}
	defer func() { c.stopWatch() }()
	for ctx.Err() == nil {
		leadership, pause := c.attempt(ctx)
		if leadership != nil {
			return leadership, nil
		}
		c.wait(ctx, pause)
	}
	return nil, fmt.Errorf("waiting for the leadership: %w", context.Cause(ctx))
}

// candidate is the state of one Acquire. It belongs to the goroutine that called Acquire.
type candidate struct {
	*Elector
	onObserve func(Observation)

	// holder is the pod that was last seen to hold the key, revision the key's, and renewedAt when it was first seen.
	holder    string
	revision  uint64
	renewedAt time.Time
	// vacated is what the watch has reported of a key that became free, and not yet been tried.
	vacated *record

	// unreachable: the last poll failed. After it, an absent key counts as free only from settledAt on: when NATS
	// comes back, a holder that is still in the channel must have the time to renew its key.
	unreachable bool
	settledAt   time.Time

	// updates are the key's changes in the bucket watched. Both are nil while there is no watch.
	updates    <-chan jetstream.KeyValueEntry
	watched    jetstream.KeyValue
	stopWatch  context.CancelFunc
	watchRetry backoff.Backoff
	watchDue   time.Time
}

// attempt polls the key and takes it if it is free. Without a Leadership it returns the pause before the next attempt.
func (c *candidate) attempt(ctx context.Context) (*Leadership, time.Duration) {
	bucket, err := c.key.open(ctx)
	if err != nil {
		return c.failed(ctx, err)
	}
	c.watch(ctx, bucket)
	current, err := c.current(ctx)
	if err != nil {
		return c.failed(ctx, err)
	}
	if c.unreachable {
		c.unreachable, c.settledAt = false, time.Now().Add(c.ttl)
	}
	reason := c.reason(current)
	switch {
	case current.Released:
	case current.Process == c.self.Process: // already taken by a write whose reply was lost
	case current.UID == c.self.UID:
		reason = AcquiredRestart
	case current.UID != "":
		return nil, c.observe(current)
	case time.Now().Before(c.settledAt):
		c.onObserve(Observation{})
		return nil, min(c.interval(), time.Until(c.settledAt))
	}
	revision, sent, err := c.key.write(ctx, c.heldValue, current.revision)
	switch {
	case err == nil:
		return newLeadership(ctx, c.Elector, revision, sent, reason), 0
	case errors.Is(err, errRevision):
		return nil, fastPoll // another candidate was faster; the next poll tells which
	}
	return c.failed(ctx, err)
}

// current returns what the watch has reported of a key that became free, and otherwise reads the key. A read may be
// answered by a server that has not yet stored what the watch reports.
func (c *candidate) current(ctx context.Context) (record, error) {
	if vacated := c.vacated; vacated != nil {
		c.vacated = nil
		return *vacated, nil
	}
	return c.key.read(ctx)
}

func (c *candidate) reason(current record) AcquireReason {
	switch {
	case current.Released:
		return AcquiredReleased
	case c.holder != "":
		return AcquiredExpired
	}
	return AcquiredFree
}

// failed records that the key cannot be read or written. The only candidate leads without the key; another one gets the
// pause before the next attempt.
func (c *candidate) failed(ctx context.Context, err error) (*Leadership, time.Duration) {
	c.unreachable = true
	if ctx.Err() != nil {
		return nil, c.interval()
	}
	if c.alone() {
		return newLeadership(ctx, c.Elector, 0, time.Time{}, AcquiredAlone), 0
	}
	c.onObserve(Observation{Err: err})
	return nil, c.interval()
}

// observe records that another process holds the key, and returns the pause before the next attempt: short only when
// the key is about to expire.
func (c *candidate) observe(current record) time.Duration {
	c.renewed(current.revision)
	c.holder = current.Pod
	c.onObserve(Observation{Holder: current.Pod})
	expires := time.Until(c.renewedAt.Add(c.ttl))
	switch {
	case expires < -c.ttl:
		return c.interval() // the server does not let it expire, so polling faster would not help
	case expires <= 0:
		return fastPoll
	}
	return min(c.interval(), expires)
}

// renewed records a revision of the key.
func (c *candidate) renewed(revision uint64) {
	if revision != c.revision {
		c.revision, c.renewedAt = revision, time.Now()
	}
}

// wait returns after pause, when the watch reports that the key became free, or when ctx ends.
func (c *candidate) wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause + backoff.Jitter(pause/8)) // so that candidates do not poll in step
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case entry, open := <-c.updates:
			if !open {
				c.updates, c.watched = nil, nil
				continue
			}
			if c.noteUpdate(entry) {
				return
			}
		}
	}
}

// noteUpdate records what the watch reports, and returns true when the next attempt should follow at once.
func (c *candidate) noteUpdate(entry jetstream.KeyValueEntry) bool {
	current, err := decode(entry)
	if err == nil && current.UID != "" && !current.Released {
		c.renewed(current.revision)
		return false
	}
	if err == nil { // else the next poll reports the value that cannot be decoded
		c.vacated = &record{Released: true, revision: entry.Revision()}
	}
	return true
}

// watch starts to watch the key, unless the bucket is watched already. A bucket that was opened again may be another
// one of the same name, so it needs a new watch.
func (c *candidate) watch(ctx context.Context, bucket jetstream.KeyValue) {
	if c.key.manual || bucket == c.watched || time.Now().Before(c.watchDue) {
		return
	}
	c.stopWatch()
	c.updates, c.watched, c.vacated = nil, nil, nil
	// The context of a watch bounds its whole life, so its creation needs a timer.
	watching, stop := context.WithCancel(ctx)
	timeout := time.AfterFunc(c.key.requestTimeout(), stop)
	allowed, endAllowed := c.key.conn.UntilDenied(watching, c.key.bucketName)
	defer endAllowed()
	defer context.AfterFunc(allowed, stop)()
	watcher, err := bucket.Watch(watching, c.key.name, jetstream.UpdatesOnly())
	if !timeout.Stop() || err != nil {
		stop()
		c.watchDue = time.Now().Add(c.watchRetry.Next())
		c.log.DebugContext(ctx, "cannot watch the leader key, only polling it", "error", err)
		return
	}
	c.updates, c.watched, c.stopWatch = watcher.Updates(), bucket, stop
	c.watchRetry.Reset()
}
