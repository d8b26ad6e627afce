package database

import (
	"crypto/sha256"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// repeatWindow is within what time a message without an id that says the same is the same one. The
// Python bot runs every handler twice, and so publishes every event twice at once.
const repeatWindow = 100 * time.Millisecond

// repeats knows the messages without ids of the last moments.
type repeats struct {
	known map[contentKey]time.Time
	order []contentKey // by time; what is no longer in known stays until its time
}

type contentKey [sha256.Size]byte

func newRepeats() *repeats { return &repeats{known: map[contentKey]time.Time{}} }

// repeated says whether a message is one that came a moment ago, counted from its first copy.
func (r *repeats) repeated(suffix bus.Suffix, data []byte, at time.Time) bool {
	r.forget(at)
	key := keyOf(suffix, data)
	if _, known := r.known[key]; known {
		return true
	}
	r.known[key] = at
	r.order = append(r.order, key)
	// Who came and went and came again within the window is there: a message that undoes another makes
	// that one new.
	if undone, is := undoes[suffix]; is {
		delete(r.known, keyOf(undone, data))
	}
	return false
}

var undoes = map[bus.Suffix]bus.Suffix{bus.UserJoined: bus.UserLeft, bus.UserLeft: bus.UserJoined}

func (r *repeats) forget(now time.Time) {
	for len(r.order) > 0 {
		at, known := r.known[r.order[0]]
		if known && now.Sub(at) < repeatWindow {
			return
		}
		delete(r.known, r.order[0])
		r.order = r.order[1:]
	}
}

func keyOf(suffix bus.Suffix, data []byte) (key contentKey) {
	hash := sha256.New()
	_, _ = hash.Write([]byte(suffix)) // a hash never fails
	_, _ = hash.Write([]byte{0})
	_, _ = hash.Write(data)
	hash.Sum(key[:0])
	return key
}
