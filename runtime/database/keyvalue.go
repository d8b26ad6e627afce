package database

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// kvRequest is the body of each key-value request, as clients send it.
type kvRequest struct {
	Plugin text            `json:"plugin_name"`
	Key    text            `json:"key"`
	Value  json.RawMessage `json:"value"`
	TTL    *decimal        `json:"ttl_seconds"`
	Prefix text            `json:"prefix"`
	Limit  number          `json:"limit"`
	origin
}

// kvSet answers bus.KVSet.
func (e *Engine) kvSet(ctx context.Context, r Request) (any, error) {
	request, key, err := e.keyRequest(r)
	if err != nil {
		return kvFailed(err)
	}
	value, err := kvValue(request.Value)
	if err != nil {
		return kvFailed(err)
	}
	entry := store.KVEntry{KVKey: key, Value: value, At: r.Time, Quota: e.limits.kvQuota()}
	if request.TTL != nil && *request.TTL > 0 {
		if entry.Expires, err = kvExpires(float64(*request.TTL)); err != nil {
			return kvFailed(err)
		}
	}
	if _, err := e.store.KVSet(ctx, entry); err != nil {
		return kvFailed(err)
	}
	return kvDone(bus.KVSetData{})
}

// kvGet answers bus.KVGet.
func (e *Engine) kvGet(ctx context.Context, r Request) (any, error) {
	_, key, err := e.keyRequest(r)
	if err != nil {
		return kvFailed(err)
	}
	value, exists, err := e.store.KVGet(ctx, key, time.Now())
	switch {
	case err != nil:
		return kvFailed(err)
	case !exists:
		return kvDone(bus.KVGetData{})
	}
	return kvDone(bus.KVGetData{Exists: true, Value: json.RawMessage(value.Value)})
}

// kvDelete answers bus.KVDelete.
func (e *Engine) kvDelete(ctx context.Context, r Request) (any, error) {
	_, key, err := e.keyRequest(r)
	if err != nil {
		return kvFailed(err)
	}
	deleted, err := e.store.KVDelete(ctx, key, nil, time.Now())
	if err != nil {
		return kvFailed(err)
	}
	return kvDone(bus.KVDeleteData{Deleted: deleted})
}

// kvList answers bus.KVList.
func (e *Engine) kvList(ctx context.Context, r Request) (any, error) {
	request, err := decodeKV(r.Data, false)
	if err != nil {
		return kvFailed(err)
	}
	prefix, err := e.kvKey(request, request.Prefix)
	if err != nil {
		return kvFailed(err)
	}
	limit := int(min(request.Limit, bus.MaxKVListLimit))
	rows, more, err := e.store.KVList(ctx, store.KVQuery{KVKey: prefix, Limit: limit, Now: time.Now()})
	if err != nil {
		return kvFailed(err)
	}
	count := len(rows)
	keys := make([]string, 0, count)
	for _, row := range rows {
		keys = append(keys, row.Key)
	}
	keys = fitting(keys, r.MaxReply)
	return kvDone(bus.KVListData{Keys: keys, Count: len(keys), Truncated: more || len(keys) < count})
}

// keyRequest decodes a request about one key.
func (e *Engine) keyRequest(r Request) (request kvRequest, key store.KVKey, err error) {
	if request, err = decodeKV(r.Data, true); err == nil {
		key, err = e.kvKey(request, request.Key)
	}
	return request, key, err
}

// kvKey returns the key of a request. The error is an errNotServed.
func (e *Engine) kvKey(request kvRequest, key text) (store.KVKey, error) {
	channel, err := e.decoder.channel(request.origin)
	return store.KVKey{Channel: channel, Plugin: string(request.Plugin), Key: string(key)}, err
}

// decodeKV decodes a request and checks its names. Its error is a *bus.KVError.
func decodeKV(data []byte, withKey bool) (kvRequest, error) {
	request := kvRequest{Limit: bus.MaxKVListLimit}
	if err := decodeKVInto(data, &request); err != nil {
		return request, err
	}
	if err := kvName("plugin_name", request.Plugin, bus.MaxKVPluginBytes); err != nil {
		return request, err
	}
	if store.IsSubjectPlugin(string(request.Plugin)) {
		return request, kvError(bus.KVValidationError, "plugin_name: %s, expected another name: keys of plugins with "+
			"subjects of their own are only on these", status.OneLine(string(request.Plugin), maxNameInError))
	}
	if withKey {
		return request, kvName("key", request.Key, bus.MaxKVKeyBytes)
	}
	return request, nil
}

// kvExpectations are what the fields of requests have to be.
var kvExpectations = map[string]string{
	"plugin_name": "a text", "key": "a text", "prefix": "a text", "after": "a text", "by": "a whole number of 64 bits",
	"if_revision": "a whole number", "ttl_seconds": "a number", "limit": "a whole number", "values": "true or false",
}

// decodeKVInto decodes the body of a request. Its error is a *bus.KVError, which says what was expected of a field.
func decodeKVInto(data []byte, request any) error {
	if !utf8.Valid(data) { // the value would not come back as it was sent
		return kvError(bus.KVInvalidJSON, "not UTF-8")
	}
	err := decodeInto(data, request)
	switch wrong, isType := errors.AsType[*wrongFieldError](err); {
	case err == nil:
		return nil
	case errors.Is(err, errNotJSON):
		return kvError(bus.KVInvalidJSON, "%v", err)
	case isType && kvExpectations[wrong.field] != "":
		return kvError(bus.KVValidationError, "%s: expected %s", wrong.field, kvExpectations[wrong.field])
	}
	return kvError(bus.KVValidationError, "%v", err)
}

func kvName(field string, name text, limit int) error {
	switch {
	case name == "":
		return kvError(bus.KVMissingField, "%s: expected a name", field)
	case len(name) > limit:
		return kvError(bus.KVValidationError, "%s: %d bytes, expected at most %d", field, len(name), limit)
	case strings.ContainsRune(string(name), 0):
		return kvError(bus.KVValidationError, "%s: expected no NUL", field)
	}
	return nil
}

// kvValue returns a value as compact JSON.
func kvValue(value json.RawMessage) (string, error) {
	if value == nil {
		return "", kvError(bus.KVMissingField, "value: expected any JSON")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, value); err != nil {
		return "", kvError(bus.KVInvalidJSON, "value: not JSON")
	}
	if compact.Len() > bus.MaxKVValueBytes {
		return "", bytesLimit(limitKVValueBytes, "value", compact.Len(), bus.MaxKVValueBytes)
	}
	return compact.String(), nil
}

// kvExpires returns when a value that is stored now expires. Its time is counted from now, when the value becomes
// visible, and not from the arrival of the request.
func kvExpires(seconds float64) (time.Time, error) {
	if seconds > bus.MaxKVTTLSeconds {
		return time.Time{}, kvError(bus.KVValidationError, "ttl_seconds: %v, expected at most %d", seconds,
			bus.MaxKVTTLSeconds)
	}
	return time.Now().Add(time.Duration(seconds * float64(time.Second))), nil
}

func kvError(code bus.KVCode, format string, arguments ...any) error {
	return &bus.KVError{Code: code, Message: fmt.Sprintf(format, arguments...)}
}

func kvDone[T any](data T) (any, error) { return bus.KVReply[T]{Success: true, Data: &data}, nil }

// kvFailed returns the reply to a request that failed. The reply explains a mistake of the client in full, but does not
// give the cause of a failure of the store.
func kvFailed(err error) (any, error) {
	if mistake, ok := errors.AsType[*bus.KVError](err); ok {
		return bus.KVReply[struct{}]{Error: mistake}, fmt.Errorf("%w: %s", errInvalid, mistake.Code)
	}
	if refusal, ok := errors.AsType[*limitError](quotaError(err)); ok {
		code := bus.KVQuotaExceeded
		if refusal.limit == limitKVValueBytes {
			code = bus.KVValueTooLarge
		}
		return bus.KVReply[struct{}]{Error: &bus.KVError{Code: code, Message: refusal.Error()}}, refusal
	}
	if errors.Is(err, errNotServed) {
		return bus.KVReply[struct{}]{Error: &bus.KVError{Code: bus.KVValidationError, Message: err.Error()}}, err
	}
	failure := &bus.KVError{Code: bus.KVInternalError, Message: errUnavailable}
	return bus.KVReply[struct{}]{Error: failure}, fmt.Errorf("using the key-value store: %w", err)
}
