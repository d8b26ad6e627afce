package config

import (
	"sync"
	"time"
)

// CheckKeeper keeps one check up to date and knows since when it is as it is.
// It is safe for concurrent use.
type CheckKeeper struct {
	mu    sync.Mutex
	check Check
}

// NewCheckKeeper makes a check that is not OK yet, for ReasonStarting.
func NewCheckKeeper(name CheckName, message string) *CheckKeeper {
	return &CheckKeeper{check: Check{
		Name: name, Reason: ReasonStarting, Message: message, Since: time.Now(),
	}}
}

// Set replaces the check's state. It answers whether OK or the reason changed, so that the caller can
// log a change once; a new message alone is none.
func (k *CheckKeeper) Set(ok bool, reason Reason, message string) (changed bool) {
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
func (k *CheckKeeper) Check() Check {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.check
}
