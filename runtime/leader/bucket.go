package leader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

// lockBucket is the bucket of a lock, made by whoever comes first.
type lockBucket struct {
	conn     *bus.Conn
	name     string
	ttl      time.Duration
	replicas int

	mu     sync.Mutex
	opened *openBucket
}

// openBucket is a bucket that was found. Reading goes to the stream below: a key that was deleted and one
// that expired look the same in the bucket, and to write over the former takes its revision.
type openBucket struct {
	keys   jetstream.KeyValue
	stream jetstream.Stream
}

// subject is where the lock is written.
func (b *lockBucket) subject() string { return "$KV." + b.name + "." + lockKey }

func newLockBucket(o Options) *lockBucket {
	return &lockBucket{conn: o.Conn, name: o.Subjects.LockBucket(), ttl: o.TTL, replicas: max(o.Replicas, 1)}
}

// bucketTimeout bounds making the bucket, which several servers may have to agree on.
const bucketTimeout = 5 * time.Second

// open answers the bucket and makes it if need be.
func (b *lockBucket) open(ctx context.Context) (*openBucket, error) {
	if !b.conn.Connected() {
		return nil, fmt.Errorf("the lock is out of reach: %w", bus.ErrNotConnected)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opened != nil {
		return b.opened, nil
	}
	ctx, cancel := context.WithTimeout(ctx, bucketTimeout)
	defer cancel()
	made, err := b.find(ctx)
	if err != nil {
		return nil, &lockError{what: "making the lock's bucket " + b.name, why: b.cause(err), err: err}
	}
	b.opened = made
	return made, nil
}

func (b *lockBucket) find(ctx context.Context) (*openBucket, error) {
	js, err := jetstream.New(b.conn.NATS())
	if err != nil {
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	keys, err := b.ensure(ctx, js)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, "KV_"+b.name)
	if err != nil {
		return nil, fmt.Errorf("finding the bucket's stream: %w", err)
	}
	return &openBucket{keys: keys, stream: stream}, nil
}

// ensure finds the bucket or makes it. The number of replicas is brought up to date; every other
// difference is somebody's decision and reported.
//
//nolint:wrapcheck // open says what was attempted
func (b *lockBucket) ensure(ctx context.Context, js jetstream.JetStream) (jetstream.KeyValue, error) {
	wanted := jetstream.KeyValueConfig{
		Bucket: b.name, Description: "which of several bots is in the channel",
		TTL: b.ttl, Replicas: b.replicas, Storage: jetstream.FileStorage,
	}
	found, err := js.KeyValue(ctx, b.name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		// Two at once make the same bucket, which is no error.
		return js.CreateKeyValue(ctx, wanted)
	}
	if err != nil {
		return nil, err
	}
	status, err := found.Status(ctx)
	if err != nil {
		return nil, err
	}
	switch config := status.Config(); {
	case status.TTL() != b.ttl:
		return nil, fmt.Errorf("%w: its keys expire after %s, expected %s; delete it if it is in nobody's use",
			errOtherShape, status.TTL(), b.ttl)
	case config.Replicas != b.replicas:
		return js.UpdateKeyValue(ctx, wanted)
	}
	return found, nil
}

// errOtherShape says that a bucket of the lock's name is not as the lock needs it.
var errOtherShape = errors.New("the bucket has another shape")

// explain makes an error's text one for people that stays the same from try to try. After anything but a
// refused revision the bucket is looked for anew: somebody may have deleted it, or the server lost it.
func (b *lockBucket) explain(what string, err error) error {
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened = nil
	return &lockError{what: what, why: b.cause(err), err: err}
}

func (b *lockBucket) cause(err error) string {
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount),
		errors.Is(err, nats.ErrNoResponders):
		return "the NATS server has no JetStream, or not for this account"
	case errors.Is(err, errOtherShape), errors.Is(err, jetstream.ErrBadBucket):
		return err.Error()
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		if forbidden := b.forbidden(); forbidden != "" {
			return forbidden
		}
		return "JetStream does not answer in time"
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrStreamNotFound):
		return "JetStream does not answer for it"
	}
	return bus.ErrorMessage(err)
}

// forbidden says which permission is missing: the server tells it beside the request, which gets no answer.
func (b *lockBucket) forbidden() string {
	last := b.conn.NATS().LastError()
	if !errors.Is(last, nats.ErrPermissionViolation) {
		return ""
	}
	words := last.Error()
	if !strings.Contains(words, b.name) && !strings.Contains(words, "$JS.API") && !strings.Contains(words, "$js.api") {
		return ""
	}
	return "a permission is missing: " + bus.ErrorMessage(last)
}

// lockError keeps the text apart from the cause, whose text may have numbers in it that change.
type lockError struct {
	what, why string
	err       error
}

func (e *lockError) Error() string { return e.what + ": " + e.why }

func (e *lockError) Unwrap() error { return e.err }
