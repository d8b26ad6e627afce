package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// KV is what the plugin stores in the channel's database: values in JSON by keys. No other plugin sees it. It outlasts
// restarts, and all processes of the plugin share it. Keys have 1 to 512 bytes, values at most 64 KiB, and
// `database.limits` bounds their number and size.
type KV struct{ channel *Channel }

// Revision is that of the value of a key. No two values that a key ever had have the same. 0 means that there is no
// such key.
type Revision int64

// ConflictError is returned where a key has not the expected revision: somebody else has changed it since.
type ConflictError struct{ Key string }

func (e *ConflictError) Error() string { return "the value of " + e.Key + " was changed meanwhile" }

// IgnoreConflict returns nil for a *ConflictError, and any other error as it is.
func IgnoreConflict(err error) error {
	if _, conflict := errors.AsType[*ConflictError](err); conflict {
		return nil
	}
	return err
}

// ErrFull means that the plugin stores as much as it may.
var ErrFull = errors.New("the plugin's storage is full")

// Option changes how a value is stored.
type Option func(*bus.PluginKVRequest)

// Expires makes a key vanish after a time.
func Expires(after time.Duration) Option {
	return func(r *bus.PluginKVRequest) { r.TTLSeconds = after.Seconds() }
}

// Get decodes the value of a key into value, a pointer. Without such a key it leaves value as it is and returns
// revision 0, and no error.
func (kv KV) Get(ctx context.Context, key string, value any) (Revision, error) {
	data, err := kv.request(ctx, bus.PluginKVGet, bus.PluginKVRequest{Key: key})
	if err != nil || !data.Exists {
		return 0, err
	}
	if err := json.Unmarshal(data.Value, value); err != nil {
		return 0, fmt.Errorf("decoding the value of %s: %w", key, err)
	}
	return Revision(data.Revision), nil
}

// Set stores a value, whatever there was before.
func (kv KV) Set(ctx context.Context, key string, value any, options ...Option) (Revision, error) {
	return kv.set(ctx, bus.PluginKVRequest{Key: key}, value, options)
}

// SetIf stores a value if the key still has a revision, 0 for a new key, and returns a *ConflictError otherwise.
func (kv KV) SetIf(
	ctx context.Context, key string, value any, revision Revision, options ...Option,
) (Revision, error) {
	expected := int64(revision)
	return kv.set(ctx, bus.PluginKVRequest{Key: key, IfRevision: &expected}, value, options)
}

// Create stores the value of a new key, and reports whether it did: of several that try to, one does.
func (kv KV) Create(ctx context.Context, key string, value any, options ...Option) (created bool, err error) {
	_, err = kv.SetIf(ctx, key, value, 0, options...)
	return err == nil, IgnoreConflict(err)
}

func (kv KV) set(ctx context.Context, r bus.PluginKVRequest, value any, options []Option) (Revision, error) {
	encoded, err := bus.Encode(value)
	if err != nil {
		return 0, fmt.Errorf("encoding the value of %s: %w", r.Key, err)
	}
	r.Value = encoded
	for _, apply := range options {
		apply(&r)
	}
	data, err := kv.request(ctx, bus.PluginKVSet, r)
	return Revision(data.Revision), err
}

// Delete removes a key, and reports whether there was one.
func (kv KV) Delete(ctx context.Context, key string) (existed bool, err error) {
	data, err := kv.request(ctx, bus.PluginKVDelete, bus.PluginKVRequest{Key: key})
	return data.Exists, err
}

// DeleteIf removes a key if it still has a revision, and returns a *ConflictError otherwise.
func (kv KV) DeleteIf(ctx context.Context, key string, revision Revision) error {
	expected := int64(revision)
	_, err := kv.request(ctx, bus.PluginKVDelete, bus.PluginKVRequest{Key: key, IfRevision: &expected})
	return err
}

// Add adds to the whole number of a key, 0 if there is none, and returns the sum. Nothing that others add meanwhile is
// lost.
func (kv KV) Add(ctx context.Context, key string, by int64, options ...Option) (sum int64, err error) {
	r := bus.PluginKVRequest{Key: key, By: by}
	for _, apply := range options {
		apply(&r)
	}
	data, err := kv.request(ctx, bus.PluginKVAdd, r)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(data.Value, &sum); err != nil {
		return 0, fmt.Errorf("decoding the sum of %s: %w", key, err)
	}
	return sum, nil
}

// Entry is a key and its value.
type Entry struct {
	Key      string
	Revision Revision
	value    json.RawMessage
}

// Decode decodes the value into value, a pointer.
func (e Entry) Decode(value any) error {
	if err := json.Unmarshal(e.value, value); err != nil {
		return fmt.Errorf("decoding the value of %s: %w", e.Key, err)
	}
	return nil
}

// List returns the keys that begin with a prefix and their values, in the order of their bytes. It requests them in
// pages, so what changes meanwhile may be missing. An error ends it.
func (kv KV) List(ctx context.Context, prefix string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		after := ""
		for {
			page := bus.PluginKVRequest{Prefix: prefix, After: after, Values: true}
			data, err := kv.request(ctx, bus.PluginKVList, page)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, entry := range data.Entries {
				if !yield(Entry{Key: entry.Key, Revision: Revision(entry.Revision), value: entry.Value}, nil) {
					return
				}
				after = entry.Key
			}
			if !data.Truncated || len(data.Entries) == 0 {
				return
			}
		}
	}
}

// Stored is a key and its value, decoded.
type Stored[T any] struct {
	Key   string
	Value T
}

// All is KV.List for values that are all of one type, and returns them at once.
func All[T any](ctx context.Context, kv KV, prefix string) (all []Stored[T], err error) {
	for entry, err := range kv.List(ctx, prefix) {
		one := Stored[T]{Key: entry.Key}
		if err == nil {
			err = entry.Decode(&one.Value)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// maxUpdates is how often Update tries: everybody else who changes the key at the same time succeeds before.
const maxUpdates = 8

// Update changes the value of a key so that nothing that others change meanwhile is lost: it reads it, calls change,
// which is given the zero value for a new key, and stores the result, again from the beginning if the key was changed
// in between. It returns what was stored. An error of change ends it and is returned.
func Update[T any](
	ctx context.Context, kv KV, key string, change func(value T) (T, error), options ...Option,
) (value T, err error) {
	for range maxUpdates {
		var before T
		revision, err := kv.Get(ctx, key, &before)
		if err != nil {
			return value, err
		}
		if value, err = change(before); err != nil {
			return value, err
		}
		_, err = kv.SetIf(ctx, key, value, revision, options...)
		if _, conflict := errors.AsType[*ConflictError](err); !conflict {
			return value, err
		}
	}
	return value, &ConflictError{Key: key}
}

// kvWhat begins the description of key-value requests in errors. Their size has other limits than that of others.
const kvWhat = "key-value "

func isKV(what string) bool { return strings.HasPrefix(what, kvWhat) }

func (kv KV) request(ctx context.Context, op bus.PluginKVOp, r bus.PluginKVRequest) (bus.PluginKVData, error) {
	what := kvWhat + string(op)
	var reply bus.KVReply[bus.PluginKVData]
	if err := kv.channel.request(ctx, kv.channel.runner.subjects.KV(op), what, r, &reply); err != nil {
		return bus.PluginKVData{}, err
	}
	switch {
	case reply.Success && reply.Data != nil:
		return *reply.Data, nil
	case reply.Error == nil:
		return bus.PluginKVData{}, fmt.Errorf("%s: a reply without data", what)
	case reply.Error.Code == bus.KVConflict:
		return bus.PluginKVData{}, &ConflictError{Key: r.Key}
	case reply.Error.Code == bus.KVQuotaExceeded:
		return bus.PluginKVData{}, fmt.Errorf("%s: %w: %s", what, ErrFull, reply.Error.Message)
	}
	return bus.PluginKVData{}, fmt.Errorf("%s: %w", what, reply.Error)
}
