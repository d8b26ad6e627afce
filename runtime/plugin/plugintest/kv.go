package plugintest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// kvStore answers key-value requests as the database service does, from memory.
type kvStore struct {
	now func() time.Time

	mu       sync.Mutex
	revision int64
	keys     map[string]kvValue
	maxKeys  int
}

type kvValue struct {
	value    json.RawMessage
	revision int64
	expires  time.Time // zero: never
}

// defaultMaxKeys is that of database.limits.kvKeys.
const defaultMaxKeys = 10_000

func newKVStore(now func() time.Time) *kvStore {
	return &kvStore{now: now, keys: map[string]kvValue{}, maxKeys: defaultMaxKeys}
}

func (s *kvStore) answer(op bus.PluginKVOp, body []byte) any {
	var r bus.PluginKVRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return kvFailed(bus.KVInvalidJSON, "expected JSON")
	}
	if op != bus.PluginKVList && (r.Key == "" || len(r.Key) > bus.MaxKVKeyBytes || strings.ContainsRune(r.Key, 0)) {
		return kvFailed(bus.KVValidationError, "key: expected 1 to %d bytes without NUL", bus.MaxKVKeyBytes)
	}
	if len(r.Value) > bus.MaxKVValueBytes {
		return kvFailed(bus.KVValueTooLarge, "value: %d bytes, expected at most %d", len(r.Value), bus.MaxKVValueBytes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	data, failure := s.do(op, r)
	if failure != nil {
		return bus.KVReply[bus.PluginKVData]{Error: failure}
	}
	return bus.KVReply[bus.PluginKVData]{Success: true, Data: &data}
}

func kvFailed(code bus.KVCode, format string, arguments ...any) bus.KVReply[bus.PluginKVData] {
	return bus.KVReply[bus.PluginKVData]{Error: &bus.KVError{Code: code, Message: fmt.Sprintf(format, arguments...)}}
}

func (s *kvStore) expire() {
	maps.DeleteFunc(s.keys, func(_ string, one kvValue) bool {
		return !one.expires.IsZero() && !one.expires.After(s.now())
	})
}

func (s *kvStore) do(op bus.PluginKVOp, r bus.PluginKVRequest) (bus.PluginKVData, *bus.KVError) {
	before, exists := s.keys[r.Key]
	if r.IfRevision != nil && *r.IfRevision != before.revision {
		return bus.PluginKVData{}, &bus.KVError{Code: bus.KVConflict, Message: "the key has another revision"}
	}
	switch op {
	case bus.PluginKVGet:
		return bus.PluginKVData{Exists: exists, Value: before.value, Revision: before.revision}, nil
	case bus.PluginKVDelete:
		delete(s.keys, r.Key)
		return bus.PluginKVData{Exists: exists}, nil
	case bus.PluginKVList:
		return s.list(r), nil
	case bus.PluginKVAdd:
		return s.add(r, before, exists)
	case bus.PluginKVSet:
		return s.set(r, before, exists)
	}
	return bus.PluginKVData{}, &bus.KVError{Code: bus.KVValidationError, Message: "no such operation"}
}

func (s *kvStore) set(r bus.PluginKVRequest, before kvValue, exists bool) (bus.PluginKVData, *bus.KVError) {
	if !exists && len(s.keys) >= s.maxKeys {
		return bus.PluginKVData{}, &bus.KVError{Code: bus.KVQuotaExceeded, Message: "too many keys"}
	}
	s.revision += 1000 // not the next number: a plugin must not count
	before.value, before.revision, before.expires = r.Value, s.revision, time.Time{}
	if r.TTLSeconds > 0 {
		before.expires = s.now().Add(time.Duration(r.TTLSeconds * float64(time.Second)))
	}
	s.keys[r.Key] = before
	return bus.PluginKVData{Exists: exists, Revision: s.revision}, nil
}

func (s *kvStore) add(r bus.PluginKVRequest, before kvValue, exists bool) (bus.PluginKVData, *bus.KVError) {
	var sum int64
	if exists && json.Unmarshal(before.value, &sum) != nil {
		return bus.PluginKVData{}, &bus.KVError{Code: bus.KVValidationError, Message: "the value is no whole number"}
	}
	r.Value, _ = json.Marshal(sum + r.By) // a number
	kept := before.expires
	data, failure := s.set(r, before, exists)
	if failure == nil && exists { // a time is for a new key
		one := s.keys[r.Key]
		one.expires = kept
		s.keys[r.Key] = one
	}
	data.Value = r.Value
	return data, failure
}

func (s *kvStore) list(r bus.PluginKVRequest) bus.PluginKVData {
	limit := bus.MaxKVListLimit
	if r.Limit > 0 {
		limit = min(limit, r.Limit)
	}
	data := bus.PluginKVData{Entries: []bus.PluginKVEntry{}}
	for _, key := range slices.Sorted(maps.Keys(s.keys)) {
		if !strings.HasPrefix(key, r.Prefix) || key <= r.After {
			continue
		}
		if len(data.Entries) == limit {
			data.Truncated = true
			break
		}
		entry := bus.PluginKVEntry{Key: key, Revision: s.keys[key].revision}
		if r.Values {
			entry.Value = s.keys[key].value
		}
		data.Entries = append(data.Entries, entry)
	}
	return data
}
