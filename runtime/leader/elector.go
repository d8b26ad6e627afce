// Package leader elects the one of several bots that is in the channel, by a key of a JetStream bucket that expires:
// a successful compare-and-set grants leadership for the TTL of the bucket.
package leader

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// DefaultTTL is how long a lock outlives its holder's last renewal.
	DefaultTTL = 3 * time.Second
	// lockKey is the one key of the bucket: a prefix is one bot.
	lockKey = "leader"
)

// Holder is whoever has a lock, as it is stored.
type Holder struct {
	// Pod is the pod's name, for people.
	Pod string `json:"pod"`
	// UID is the pod's. A container that is started anew has the UID of the one that died.
	UID string `json:"uid"`
	// Process tells the processes of a pod apart.
	Process string `json:"process"`
}

// Options are what a Lock works with. Conn, Subjects and Log are required.
type Options struct {
	Conn     *bus.Conn
	Subjects bus.Subjects
	Log      *slog.Logger
	// Pod is the name of the holder for people.
	Pod string
	// UID is the same for the processes that may take up each other's lock, because only one of them lives
	// at a time. Empty: this process is alone in that.
	UID string
	// Replicas is how many NATS servers keep the lock. 0: one.
	Replicas int
	// TTL is DefaultTTL when it is zero. All who contend for a lock must have the same.
	TTL time.Duration
}

// Elector is held by one of several processes at a time, or by none. It is a key of a JetStream bucket whose
// keys expire: to write it, with the revision that was there before, is to hold it for the TTL.
//
// Only the answer to such a write makes a holder. What is read tells whom to wait for.
type Elector struct {
	bucket *lockBucket
	log    *slog.Logger
	ttl    time.Duration
	self   Holder
	value  []byte
}

// New makes a lock that is not held. Nothing is sent before Acquire.
func New(o Options) *Elector {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	self := Holder{Pod: o.Pod, UID: o.UID, Process: rand.Text()}
	if self.UID == "" {
		self.UID = self.Process
	}
	value, err := json.Marshal(self)
	if err != nil {
		panic(err) // three strings
	}
	return &Elector{
		bucket: newLockBucket(o), log: o.Log, ttl: o.TTL, self: self, value: value,
	}
}

// Pod is the name of this holder for people.
func (l *Elector) Pod() string { return l.self.Pod }

// Observation is what somebody who waits for the lock sees of it.
type Observation struct {
	// Holder is the pod that has it, empty when nobody does.
	Holder string
	// Err is why nothing can be seen. Its text is for people and stays the same while the cause does.
	Err error
}

// AcquireReason is how a lock came to its holder. Its text is a label of metrics.
type AcquireReason string

// The ways to come to a lock.
const (
	AcquiredFree     AcquireReason = "free"     // nobody had it, as far as was seen
	AcquiredExpired  AcquireReason = "expired"  // somebody had it and did not renew it
	AcquiredReleased AcquireReason = "released" // somebody released it
	AcquiredRestart  AcquireReason = "restart"  // an earlier process of the same pod had it
)

// take writes the key over a revision, 0 for one that is absent. The time is that of sending.
func (l *Elector) take(ctx context.Context, revision uint64) (next uint64, sent time.Time, err error) {
	bucket, err := l.bucket.open(ctx)
	if err != nil {
		return 0, time.Time{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.patience())
	defer cancel()
	sent = time.Now()
	next, err = bucket.keys.Update(ctx, lockKey, l.value, revision)
	if err != nil {
		return 0, sent, l.bucket.explain("writing the lock", err)
	}
	return next, sent, nil
}

// errTaken says that the lock was written by somebody else, or by us without our knowing.
var errTaken = jetstream.ErrKeyRevisionMismatch

// look reads the lock. The holder is the zero value when there is none; then revision is what to write over.
// released says that the last holder gave it back.
func (l *Elector) look(ctx context.Context) (holder Holder, revision uint64, released bool, err error) {
	bucket, err := l.bucket.open(ctx)
	if err != nil {
		return Holder{}, 0, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.patience())
	defer cancel()
	entry, err := bucket.stream.GetLastMsgForSubject(ctx, l.bucket.subject())
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return Holder{}, 0, false, nil
	case err != nil:
		return Holder{}, 0, false, l.bucket.explain("reading the lock", err)
	case isDeletion(entry.Header):
		return Holder{}, entry.Sequence, true, nil
	}
	if err := json.Unmarshal(entry.Data, &holder); err != nil || holder.UID == "" {
		return Holder{}, 0, false, fmt.Errorf("the lock in bucket %s holds something else: %.40q", l.bucket.name, entry.Data)
	}
	return holder, entry.Sequence, false, nil
}

// isDeletion is true for what NATS stores when a key is deleted.
func isDeletion(header nats.Header) bool { return header.Get("KV-Operation") == "DEL" }

// patience bounds one request: a renewal that is answered too late is as good as none.
func (l *Elector) patience() time.Duration { return l.ttl / 3 }

// margin is how much earlier than the server a holder counts its lock as expired.
func (l *Elector) margin() time.Duration { return l.ttl / 6 }

// interval is the time between two renewals, and the time between two looks of those who wait.
func (l *Elector) interval() time.Duration { return l.ttl / 4 }
