package status

import (
	"sync"
	"time"
)

// Recorder keeps one check up to date and knows since when it is as it is.
// It is safe for concurrent use.
type Recorder struct {
	mu    sync.Mutex
	check Check
}

// NewRecorder makes a check that is not OK yet, for ReasonStarting.
func NewRecorder(name CheckName, message string) *Recorder {
	return &Recorder{check: Check{
		Name: name, Reason: ReasonStarting, Message: message, Since: time.Now(),
	}}
}

// Set replaces the check's state. It answers whether OK or the reason changed, so that the caller can
// log a change once; a new message alone is none.
func (k *Recorder) Set(ok bool, reason Reason, message string) (changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	changed = k.check.OK != ok || k.check.Reason != reason
	if changed {
		k.check.Since = time.Now()
	}
	k.check.OK, k.check.Reason, k.check.Message = ok, reason, message
	return changed
}

// Check is the check as it is now.
func (k *Recorder) Check() Check {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.check
}
