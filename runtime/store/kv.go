package store

import "time"

// KVKey names a value. Plugin and Key are compared with regard to case, Channel without.
type KVKey struct {
	Channel     Channel
	Plugin, Key string
}

// KVEntry is a value to be kept.
type KVEntry struct {
	KVKey

	// Value is JSON.
	Value string
	At    time.Time
	// Expires is from when on it is gone. The zero time: never.
	Expires time.Time
}
