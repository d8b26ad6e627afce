package leader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Leadership is the time in which a lock is ours. It renews the lock until it is released or lost.
type Leadership struct {
	lock *Elector
	how  AcquireReason
	// asked has an immediate renewal done; the channel in it is closed afterwards.
	asked chan chan struct{}
	lost  chan struct{}
	stop  context.CancelFunc
	ended chan struct{}

	// revision belongs to the goroutine that renews, and to Release after it.
	revision uint64

	mu        sync.Mutex
	deadline  time.Time
	problem   error
	newHolder string
}

// newLeadership begins with a lock that was just taken. Its goroutine ends with Release, not with ctx: who has to
// leave the channel first needs the lock for longer.
func newLeadership(ctx context.Context, l *Elector, revision uint64, sent time.Time, how AcquireReason) *Leadership {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	t := &Leadership{
		lock: l, how: how, asked: make(chan chan struct{}), lost: make(chan struct{}), stop: stop,
		ended: make(chan struct{}), revision: revision, deadline: l.deadline(sent),
	}
	go func() {
		defer close(t.ended)
		t.keep(ctx)
	}()
	return t
}

// deadline is until when a lock is ours for sure that was written by what was sent then: the server cannot
// have begun to count earlier. The time is monotonic, so a changed clock changes nothing.
func (l *Elector) deadline(sent time.Time) time.Time { return sent.Add(l.ttl - l.margin()) }

// Reason is how the lock became ours.
func (t *Leadership) Reason() AcquireReason { return t.how }

// Valid is true while nobody else can have the lock. It never blocks.
func (t *Leadership) Valid() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.deadline)
}

// Err returns why the lock could not be renewed last, and nil when it could.
func (t *Leadership) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.problem
}

// Lost is closed when somebody else has the lock. Until then it may become ours again after its deadline.
func (t *Leadership) Lost() <-chan struct{} { return t.lost }

// NewHolder is the pod that has the lock after Lost is closed.
func (t *Leadership) NewHolder() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.newHolder
}

// Confirm renews the lock now. True means that it is ours after the call began; false that somebody else has
// it, or that nobody knows.
func (t *Leadership) Confirm(ctx context.Context) bool {
	done := make(chan struct{})
	select {
	case t.asked <- done:
	case <-t.ended:
		return false
	case <-ctx.Done():
		return false
	}
	select {
	case <-done:
	case <-t.ended:
		return false
	case <-ctx.Done():
		return false
	}
	return t.Valid() && t.Err() == nil
}

// Release gives the lock back, if it is still ours, so that the next one need not wait for its end. Nothing
// may be done in its name any more when it is called. The error says that the next one has to wait.
func (t *Leadership) Release(ctx context.Context) error {
	t.stop()
	<-t.ended
	t.mu.Lock()
	t.deadline = time.Time{}
	t.mu.Unlock()
	select {
	case <-t.lost:
		return nil
	default:
	}
	bucket, err := t.lock.bucket.open(ctx)
	if err != nil {
		return fmt.Errorf("releasing the lock: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, t.lock.patience())
	defer cancel()
	err = bucket.keys.Delete(ctx, lockKey, jetstream.LastRevision(t.revision))
	if err != nil && !errors.Is(err, errTaken) {
		return fmt.Errorf("releasing the lock: %w", t.lock.bucket.explain("deleting it", err))
	}
	return nil
}

// keep renews until ctx ends or the lock is lost.
func (t *Leadership) keep(ctx context.Context) {
	for {
		wait := t.lock.interval()
		if t.Err() != nil {
			wait /= 3
		}
		timer := time.NewTimer(wait)
		var done chan struct{}
		select {
		case <-timer.C:
		case done = <-t.asked:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		lost := t.renew(ctx)
		if done != nil {
			close(done)
		}
		if lost {
			close(t.lost)
			return
		}
	}
}

// renew writes the lock once more and says whether somebody else has it.
func (t *Leadership) renew(ctx context.Context) (lost bool) {
	err := t.write(ctx, t.revision)
	if !errors.Is(err, errTaken) {
		t.note(err)
		return false
	}
	// The revision is not ours: a renewal was stored whose answer was lost, the lock expired, or it was taken.
	holder, revision, _, err := t.lock.look(ctx)
	switch {
	case err != nil:
	case holder.Process == t.lock.self.Process, holder.UID == "":
		// That it looks like ours makes us no holder; that we can write it does.
		err = t.write(ctx, revision)
	default:
		t.lose(holder)
		return true
	}
	t.note(err)
	return false
}

// write takes the lock over a revision.
func (t *Leadership) write(ctx context.Context, over uint64) error {
	revision, sent, err := t.lock.take(ctx, over)
	if err != nil {
		return err
	}
	t.revision = revision
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deadline = t.lock.deadline(sent)
	return nil
}

func (t *Leadership) note(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil && t.problem == nil {
		t.lock.log.Debug("the lock is not renewed", "error", err)
	}
	t.problem = err
}

func (t *Leadership) lose(to Holder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deadline = time.Time{}
	t.newHolder = to.Pod
}
