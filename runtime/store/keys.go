package store

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// KVKey identifies a value of a plugin. Plugin and Key are case-sensitive.
type KVKey struct {
	Channel     Channel
	Plugin, Key string
}

// subjectPlugins is in front of the names of plugins with subjects of their own, whose keys are apart from those of
// plugins that a request names in its body.
const subjectPlugins = "plugin/"

// SubjectPlugin returns the KVKey.Plugin of a plugin with subjects of its own.
func SubjectPlugin(name string) string { return subjectPlugins + name }

// IsSubjectPlugin reports whether SubjectPlugin may have made a KVKey.Plugin. Only requests on the plugin's own
// subjects may use it.
func IsSubjectPlugin(plugin string) bool { return strings.HasPrefix(plugin, subjectPlugins) }

// KVEntry is a value to store.
type KVEntry struct {
	KVKey

	// Value is JSON.
	Value string
	At    time.Time
	// Expires is when the value expires. Zero: never.
	Expires time.Time
	// IfRevision is the revision that the key must have; 0: there must be no such key. Nil: any.
	IfRevision *int64
	// Quota bounds what is stored. Its zero value is no bound.
	Quota KVQuota
}

// KVValue is a stored value.
type KVValue struct {
	// Value is JSON.
	Value string
	// Revision is greater than those of all earlier values of the channel's keys, also of keys that are gone, and less
	// than 2^53. It is the time in microseconds if that is greater, so that a database that was restored from a backup
	// does not use one again either. 0: an earlier version has stored the value.
	Revision int64
}

// KVConflictError is returned by a method that has changed nothing because a key does not have the revision that its
// caller expects.
type KVConflictError struct {
	// Revision is that of the key. 0: there is no such key.
	Revision int64
	Expected int64
}

// Error implements error.
func (e *KVConflictError) Error() string {
	return fmt.Sprintf("the key has the revision %d, expected %d; 0 is that of a key that does not exist",
		e.Revision, e.Expected)
}

// Errors of KVAdd.
var (
	// ErrNotWhole means that the value is no whole number of 64 bits.
	ErrNotWhole = errors.New("the value is not a whole number of 64 bits")
	// ErrOverflow means that the sum is none.
	ErrOverflow = errors.New("the sum is not a whole number of 64 bits")
)

// KVQuery selects keys of a plugin.
type KVQuery struct {
	// KVKey has the beginning of the keys.
	KVKey

	// After leaves out keys up to it.
	After string
	Limit int
	// Values reads the values too, of as many keys as fit into MaxBytes, but of at least one.
	Values   bool
	MaxBytes int
	// Now leaves out keys that have expired.
	Now time.Time
}

// KVRow is a key with its value, which is empty unless it was asked for.
type KVRow struct {
	Key string
	KVValue
}
