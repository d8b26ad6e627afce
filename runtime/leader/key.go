package leader

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

// KeyName returns the name of the leader key of a channel. Bots that share a database service have one prefix, and so
// one bucket, but each channel has a leader of its own. The name of the server may contain what a key may not.
func KeyName(server, channel string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(server + "/" + channel)))
	return hex.EncodeToString(sum[:])
}

// bucketTimeout bounds finding and creating the bucket, on which several servers may have to agree.
const bucketTimeout = 5 * time.Second

var (
	// errRevision: the key was written by another candidate, or by this one without knowing.
	errRevision = errors.New("the leader key has another revision")
	// errBucketDiffers: a bucket of the right name is not as the election needs it.
	errBucketDiffers = errors.New("the bucket has another configuration")
	// errNotProvisioned: there is no bucket, and this process must not create it.
	errNotProvisioned = errors.New("the bucket does not exist, and nats.jetStream.provisioning is manual: " +
		"an administrator has to create it, for example with rosey nats create")
)

// holder is the process that holds the leader key, as the key's value names it.
type holder struct {
	// Pod is the pod's name, for people.
	Pod string `json:"pod"`
	// UID is the pod's. A container that is started again has the UID of the one that died.
	UID string `json:"uid"`
	// Process tells the processes of a pod apart.
	Process string `json:"process"`
}

// record is the value of the leader key. The zero value stands for a key that is absent.
type record struct {
	holder
	// Released: the holder does not lead any more, and the key is free.
	Released bool `json:"released,omitempty"`

	// revision is what the next write must name. 0: the key is absent.
	revision uint64
}

// leaderKey is the key that the candidates compete for. The first candidate creates its bucket, unless an administrator
// does. It is used by one goroutine at a time: that of Acquire, then that of the Leadership, then that of Release.
type leaderKey struct {
	conn       *bus.Conn
	bucketName string
	name       string // of the key in the bucket
	ttl        time.Duration
	replicas   int
	manual     bool // an administrator creates the bucket
	log        *slog.Logger
	refused    string             // why the bucket keeps its number of replicas, as it was logged; empty: it need not
	bucket     jetstream.KeyValue // nil until it was found, and after an error
}

func newLeaderKey(o Options) *leaderKey {
	return &leaderKey{conn: o.Conn, bucketName: o.Subjects.LockBucket(), name: KeyName(o.Server, o.Channel),
		ttl: o.TTL, replicas: max(o.Replicas, 1), manual: o.Manual, log: o.Log}
}

// requestTimeout bounds one request: a renewal that takes longer is of no use.
func (k *leaderKey) requestTimeout() time.Duration { return k.ttl / 3 }

// read returns the key's value, and the zero value if it is absent.
func (k *leaderKey) read(ctx context.Context) (record, error) {
	bucket, err := k.open(ctx)
	if err != nil {
		return record{}, err
	}
	var entry jetstream.KeyValueEntry
	err = k.conn.Do(ctx, k.requestTimeout(), k.bucketName, func(ctx context.Context) (err error) {
		entry, err = bucket.Get(ctx, k.name)
		return err //nolint:wrapcheck // failed says what was attempted
	})
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return record{}, nil
	case err != nil:
		return record{}, k.failed("reading the leader key", err)
	}
	return decode(entry)
}

func decode(entry jetstream.KeyValueEntry) (record, error) {
	if entry.Operation() != jetstream.KeyValuePut { // deleted by hand
		return record{}, nil
	}
	current := record{revision: entry.Revision()}
	if err := json.Unmarshal(entry.Value(), &current); err != nil || current.UID == "" {
		return record{}, fmt.Errorf("the key %s in bucket %s has a value that is not Rosey's: %.40q",
			entry.Key(), entry.Bucket(), entry.Value())
	}
	return current, nil
}

// write replaces the key's value if its revision is still the given one; 0 stands for a key that is absent or was
// deleted. It returns the new revision and when the request was sent. The error is errRevision if the server has
// another revision.
func (k *leaderKey) write(ctx context.Context, value []byte, revision uint64) (next uint64, sent time.Time, err error) {
	bucket, err := k.open(ctx)
	if err != nil {
		return 0, time.Time{}, err
	}
	sent = time.Now()
	err = k.conn.Do(ctx, k.requestTimeout(), k.bucketName, func(ctx context.Context) (err error) {
		if revision == 0 {
			next, err = bucket.Create(ctx, k.name, value)
		} else {
			next, err = bucket.Update(ctx, k.name, value, revision)
		}
		return err //nolint:wrapcheck // failed says what was attempted
	})
	switch {
	case errors.Is(err, jetstream.ErrKeyExists), errors.Is(err, jetstream.ErrKeyRevisionMismatch):
		return 0, sent, errRevision
	case err != nil:
		return 0, sent, k.failed("writing the leader key", err)
	}
	return next, sent, nil
}

// open returns the bucket, which it finds or creates if need be.
func (k *leaderKey) open(ctx context.Context) (jetstream.KeyValue, error) {
	if !k.conn.Connected() {
		return nil, fmt.Errorf("reaching the leader key: %w", bus.ErrNotConnected)
	}
	if k.bucket != nil {
		return k.bucket, nil
	}
	js, err := jetstream.New(k.conn.NATS())
	if err != nil {
		return nil, k.failed("preparing for JetStream", err)
	}
	attempted := "creating"
	if k.manual {
		attempted = "opening"
	}
	var bucket jetstream.KeyValue
	err = k.conn.Do(ctx, bucketTimeout, k.bucketName, func(ctx context.Context) (err error) {
		bucket, _, err = k.ensureBucket(ctx, js)
		return err
	})
	if bucket == nil {
		return nil, k.failed(attempted+" the bucket "+k.bucketName+" of the leader key", err)
	}
	k.bucket = bucket
	k.noteRefusal(err)
	return bucket, nil
}

// noteRefusal logs once why the bucket keeps its number of replicas, which is tried again when the bucket is opened
// next: on a new connection, or after an error. Nil: it is as it should be.
func (k *leaderKey) noteRefusal(err error) {
	if err == nil {
		k.refused = ""
		return
	}
	if text := err.Error(); text != k.refused {
		k.refused = text
		k.log.Warn("[NATS] the bucket of the leader key is used as it is: " + text)
	}
}

// CreateBucket creates the bucket of the leader election for bots that may not do so (Options.Manual), or brings its
// number of replicas up to date. It returns an error if a bucket of that name is not as the election needs it. replicas
// is Options.Replicas.
//
// The bucket has no direct reads, whose replies would be the value alone: whoever may read could have the server
// publish a value of theirs on the subjects of others.
func CreateBucket(
	ctx context.Context, js jetstream.JetStream, subjects bus.Subjects, replicas int,
) (bus.Change, error) {
	key := newLeaderKey(Options{Subjects: subjects, Replicas: replicas, TTL: defaultTTL})
	_, change, err := key.ensureBucket(ctx, js)
	if err != nil {
		return "", fmt.Errorf("creating the bucket %s of the leader key: %w", key.bucketName, err)
	}
	stream, err := js.Stream(ctx, subjects.LockStream())
	if err != nil {
		return "", fmt.Errorf("reading the stream of the bucket %s: %w", key.bucketName, err)
	}
	current := stream.CachedInfo().Config
	if !current.AllowDirect {
		return change, nil
	}
	current.AllowDirect = false
	if _, err := js.UpdateStream(ctx, current); err != nil {
		return "", fmt.Errorf("turning direct reads of the bucket %s off: %w", key.bucketName, err)
	}
	if change == bus.Unchanged {
		change = bus.Updated
	}
	return change, nil
}

// ensureBucket finds the bucket. Unless an administrator provides it, ensureBucket creates it, and brings its number of
// replicas up to date. If the server refuses that, ensureBucket returns both the bucket and the error: an election must
// not end because of a limit. Any other difference is somebody's decision and an error.
//
//nolint:wrapcheck // the callers say what was attempted
func (k *leaderKey) ensureBucket(
	ctx context.Context, js jetstream.JetStream,
) (bucket jetstream.KeyValue, change bus.Change, err error) {
	wanted := jetstream.KeyValueConfig{
		Bucket: k.bucketName, Description: "which of several bots is in the channel",
		TTL: k.ttl, Replicas: k.replicas, Storage: jetstream.FileStorage,
	}
	bucket, err = js.KeyValue(ctx, k.bucketName)
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound) && k.manual:
		return nil, "", errNotProvisioned
	case errors.Is(err, jetstream.ErrBucketNotFound):
		bucket, err = js.CreateKeyValue(ctx, wanted) // two candidates at once create the same bucket, which is no error
		return bucket, bus.Created, err
	case err != nil:
		return nil, "", err
	}
	status, err := bucket.Status(ctx)
	if err != nil {
		return nil, "", err
	}
	switch {
	case status.TTL() != k.ttl:
		return nil, "", fmt.Errorf("%w: its keys expire after %s, expected %s; delete it if nothing else uses it",
			errBucketDiffers, status.TTL(), k.ttl)
	case status.Config().Replicas != k.replicas && !k.manual:
		updated, err := js.UpdateKeyValue(ctx, wanted)
		if cause, refused := bus.RefusalOf(ctx, err); refused {
			return bucket, "", fmt.Errorf("the number of its replicas stays %d instead of %d: %s",
				status.Config().Replicas, k.replicas, cause)
		}
		return updated, bus.Updated, err
	}
	return bucket, bus.Unchanged, nil
}

// failed returns err with a text for people. It makes the next request open the bucket again: somebody may have deleted
// it, or the server lost it.
func (k *leaderKey) failed(attempted string, err error) error {
	k.bucket = nil
	return &keyError{attempted: attempted, cause: k.cause(err), err: err}
}

func (k *leaderKey) cause(err error) string {
	denied, isDenied := errors.AsType[*bus.DeniedError](err)
	switch {
	case isDenied:
		return "a permission is missing: " + denied.Error()
	case bus.IsJetStreamMissing(err):
		return "the NATS server has no JetStream, or not for this account"
	case errors.Is(err, errBucketDiffers), errors.Is(err, errNotProvisioned), errors.Is(err, jetstream.ErrBadBucket):
		return err.Error()
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "JetStream does not answer in time"
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrStreamNotFound):
		return "JetStream does not answer for the bucket"
	}
	return bus.ErrorMessage(err)
}

// keyError has a text that stays the same from attempt to attempt. That of the wrapped error may contain numbers that
// change.
type keyError struct {
	attempted, cause string
	err              error
}

func (e *keyError) Error() string { return e.attempted + ": " + e.cause }

func (e *keyError) Unwrap() error { return e.err }
