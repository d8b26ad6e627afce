package leader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
)

// Leadership is the time during which one candidate leads. It renews the leader key until it is lost or released, and
// must be released. Its methods are safe for concurrent use.
type Leadership struct {
	elector *Elector
	reason  AcquireReason
	lost    chan struct{}
	stop    context.CancelFunc
	stopped chan struct{}

	// revision is the key's after the last write, or 0 if there was none: then the only candidate leads without the key.
	// It belongs to the goroutine of renewLoop, and to Release after it.
	revision uint64

	mu        sync.Mutex
	deadline  time.Time
	alone     bool
	err       error
	newHolder string
}

// newLeadership returns the Leadership after a successful write, which was sent at sent, or with revision 0 that of the
// only candidate. It ends with Release, not with ctx: a bot that stops has to leave the channel first and leads while
// it does.
func newLeadership(
	ctx context.Context, e *Elector, revision uint64, sent time.Time, reason AcquireReason,
) *Leadership {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &Leadership{
		elector: e, reason: reason, lost: make(chan struct{}),
		stop: stop, stopped: make(chan struct{}), revision: revision, deadline: e.deadline(sent), alone: e.alone(),
	}
	go func() {
		defer close(l.stopped)
		l.renewLoop(ctx)
	}()
	return l
}

// Reason returns how the leadership was acquired.
func (l *Leadership) Reason() AcquireReason { return l.reason }

// Valid reports whether this process certainly leads now: it holds the key, or it is the only candidate and has seen no
// other leader. It never blocks.
func (l *Leadership) Valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.alone || time.Now().Before(l.deadline)
}

// Alone reports whether this is the only candidate.
func (l *Leadership) Alone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.alone
}

// setAlone records whether this is the only candidate.
func (l *Leadership) setAlone(alone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alone = alone
}

// Err returns why the last renewal failed, or nil if it succeeded.
func (l *Leadership) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Lost returns a channel that is closed when another process has become the leader. A Leadership that is not valid and
// not lost may become valid again.
func (l *Leadership) Lost() <-chan struct{} { return l.lost }

// NewHolder returns the pod that leads once Lost is closed, and before that the empty string.
func (l *Leadership) NewHolder() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newHolder
}

// Release ends the leadership and marks the key as released, so that the next candidate need not wait until it
// expires. The caller must have stopped acting as the leader. An error means that the next candidate has to wait.
// Release of a lost leadership changes nothing and returns nil.
func (l *Leadership) Release(ctx context.Context) error {
	l.stop()
	<-l.stopped
	l.mu.Lock()
	l.deadline, l.alone = time.Time{}, false
	l.mu.Unlock()
	select {
	case <-l.lost:
		return nil
	default:
	}
	if l.revision == 0 {
		return nil // it never had the key
	}
	if err := l.markReleased(ctx); err != nil {
		return fmt.Errorf("releasing the leadership: %w", err)
	}
	return nil
}

// markReleased writes that the key is released, unless another process has it.
func (l *Leadership) markReleased(ctx context.Context) error {
	key, revision := l.elector.key, l.revision
	for {
		_, _, err := key.write(ctx, l.elector.releasedValue, revision)
		if !errors.Is(err, errRevision) {
			return err
		}
		// The renewal that Release interrupted may have been stored, or another process has taken the key.
		current, err := key.read(ctx)
		if err != nil {
			return err
		}
		if current.Process != l.elector.self.Process || current.Released {
			return nil
		}
		revision = current.revision
		if !backoff.Sleep(ctx, fastPoll) { // a server that is behind may answer the read, and does again
			return fmt.Errorf("writing the leader key: %w", context.Cause(ctx))
		}
	}
}

// pause returns the time until the next renewal. A server without JetStream is not asked for the key all the time.
func (l *Leadership) pause() time.Duration {
	err := l.Err()
	switch {
	case err == nil:
		return l.elector.interval()
	case l.revision == 0 && !errors.Is(err, bus.ErrNotConnected):
		return 3 * l.elector.ttl
	}
	return l.elector.interval() / 3
}

// renewLoop renews the key until ctx ends or the leadership is lost.
func (l *Leadership) renewLoop(ctx context.Context) {
	for backoff.Sleep(ctx, l.pause()) {
		l.setAlone(l.elector.alone())
		if l.renew(ctx) {
			close(l.lost)
			return
		}
	}
}

// renew writes the key once more and reports whether another process holds it.
func (l *Leadership) renew(ctx context.Context) (lost bool) {
	err := l.write(ctx, l.revision)
	if !errors.Is(err, errRevision) {
		l.setErr(err)
		return false
	}
	// A renewal was stored whose reply was lost, or the key has expired, or another process has taken it.
	current, err := l.elector.key.read(ctx)
	switch {
	case err != nil:
	case current.Process == l.elector.self.Process, current.Released, current.UID == "",
		current.UID == l.elector.self.UID && l.revision == 0:
		// That the read names this process proves nothing; a successful write does.
		err = l.write(ctx, current.revision)
	default:
		l.setLost(current.holder)
		return true
	}
	l.setErr(err)
	return false
}

// write writes the key over a revision and moves the deadline.
func (l *Leadership) write(ctx context.Context, over uint64) error {
	revision, sent, err := l.elector.key.write(ctx, l.elector.heldValue, over)
	if err != nil {
		return err
	}
	l.revision = revision
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = l.elector.deadline(sent)
	return nil
}

func (l *Leadership) setErr(err error) {
	l.mu.Lock()
	before := l.err
	l.err = err
	l.mu.Unlock()
	if err != nil && before == nil {
		l.elector.log.Debug("cannot renew the leader key", "error", err)
	}
}

func (l *Leadership) setLost(to holder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline, l.alone = time.Time{}, false
	l.newHolder = to.Pod
}
