package database

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// pluginRef is the plugin whose keys a request is about: the tokens of the subject, which may be anything.
type pluginRef struct{ channel, name string }

// route returns the subject as whose a message is handled, and for requests of plugins about their keys the plugin:
// what clients choose must not become the label of a metric.
func route(suffix bus.Suffix) (bus.Suffix, pluginRef) {
	channel, name, op, ok := bus.PluginOfKV(suffix)
	if !ok {
		return suffix, pluginRef{}
	}
	return bus.PluginKV(op), pluginRef{channel, name}
}

// The subjects on which plugins ask for their keys.
var (
	pluginKVGet    = bus.PluginKV(bus.PluginKVGet)
	pluginKVSet    = bus.PluginKV(bus.PluginKVSet)
	pluginKVDelete = bus.PluginKV(bus.PluginKVDelete)
	pluginKVList   = bus.PluginKV(bus.PluginKVList)
	pluginKVAdd    = bus.PluginKV(bus.PluginKVAdd)
)

// pluginHandlers answer bus.PluginSubjects.KV.
var pluginHandlers = map[bus.PluginKVOp]func(*Engine, context.Context, pluginRequest) (bus.PluginKVData, error){
	bus.PluginKVGet:    (*Engine).pluginGet,
	bus.PluginKVSet:    (*Engine).pluginSet,
	bus.PluginKVDelete: (*Engine).pluginDelete,
	bus.PluginKVList:   (*Engine).pluginList,
	bus.PluginKVAdd:    (*Engine).pluginAdd,
}

// pluginRequest is a request that was checked.
type pluginRequest struct {
	bus.PluginKVRequest

	key store.KVKey
	// maxReply bounds the values of the reply, in bytes.
	maxReply int
}

// pluginKV returns the handler of an operation.
func pluginKV(op bus.PluginKVOp) handler {
	return func(e *Engine, ctx context.Context, r Request) (any, error) {
		request, err := e.pluginRequest(op, r)
		var data bus.PluginKVData
		if err == nil {
			data, err = pluginHandlers[op](e, ctx, request)
		}
		if conflict, ok := errors.AsType[*store.KVConflictError](err); ok { // a usual reply
			return bus.KVReply[struct{}]{Error: &bus.KVError{Code: bus.KVConflict, Message: conflict.Error()}}, nil
		}
		if err != nil {
			return kvFailed(err)
		}
		return kvDone(data)
	}
}

// pluginRequest decodes a request and checks it. Its error is a *bus.KVError or an errNotServed.
func (e *Engine) pluginRequest(op bus.PluginKVOp, r Request) (request pluginRequest, err error) {
	if !bus.IsPluginName(r.plugin.name) {
		return request, kvError(bus.KVValidationError, "the plugin of the subject: expected 1 to %d lower-case letters "+
			"and digits", bus.MaxPluginName)
	}
	if request.PluginKVRequest, err = decodePluginKV(op, r.Data); err != nil {
		return request, err
	}
	channel, err := e.channels.findToken(r.plugin.channel)
	if err != nil {
		return request, err
	}
	request.maxReply = r.MaxReply - queryOverhead
	request.key = store.KVKey{Channel: channel, Plugin: store.SubjectPlugin(r.plugin.name), Key: request.Key}
	return request, nil
}

func decodePluginKV(op bus.PluginKVOp, data []byte) (request bus.PluginKVRequest, err error) {
	if err := decodeKVInto(data, &request); err != nil {
		return request, err
	}
	return request, checkPluginKV(op, &request)
}

// checkPluginKV checks what an operation uses of a request.
func checkPluginKV(op bus.PluginKVOp, request *bus.PluginKVRequest) error {
	switch {
	case request.IfRevision != nil && op != bus.PluginKVSet && op != bus.PluginKVDelete:
		return kvError(bus.KVValidationError, "if_revision: expected none with %s", op)
	case request.IfRevision != nil && *request.IfRevision < 0:
		return kvError(bus.KVValidationError, "if_revision: %d, expected a revision or 0", *request.IfRevision)
	case request.TTLSeconds < 0:
		return kvError(bus.KVValidationError, "ttl_seconds: %v, expected a time or 0", request.TTLSeconds)
	case op != bus.PluginKVList:
		return kvName("key", text(request.Key), bus.MaxKVKeyBytes)
	}
	return checkPluginList(request)
}

// checkPluginList checks what a list needs.
func checkPluginList(request *bus.PluginKVRequest) error {
	if request.Limit < 0 || request.Limit > bus.MaxKVListLimit {
		return kvError(bus.KVValidationError, "limit: %d, expected 1 to %d", request.Limit, bus.MaxKVListLimit)
	}
	for field, name := range map[string]string{"prefix": request.Prefix, "after": request.After} {
		if name == "" {
			continue
		}
		if err := kvName(field, text(name), bus.MaxKVKeyBytes); err != nil {
			return err
		}
	}
	return nil
}

// entry returns the entry of a request, without its value.
func (e *Engine) pluginEntry(request pluginRequest) (entry store.KVEntry, err error) {
	entry = store.KVEntry{
		KVKey: request.key, At: time.Now(), IfRevision: request.IfRevision, Quota: e.limits.kvQuota(),
	}
	if request.TTLSeconds > 0 {
		entry.Expires, err = kvExpires(request.TTLSeconds)
	}
	return entry, err
}

func (e *Engine) pluginGet(ctx context.Context, request pluginRequest) (data bus.PluginKVData, err error) {
	value, exists, err := e.store.KVGet(ctx, request.key, time.Now())
	if err != nil || !exists {
		return data, err
	}
	if len(value.Value) > request.maxReply {
		return data, tooLargeToReply(request.Key, len(value.Value), request.maxReply)
	}
	return bus.PluginKVData{Exists: true, Value: json.RawMessage(value.Value), Revision: value.Revision}, nil
}

// tooLargeToReply is for a value that the NATS server would not deliver.
func tooLargeToReply(key string, size, allowed int) error {
	return kvError(bus.KVValueTooLarge, "the value of %.100q: %d bytes, expected at most %d, which the NATS server takes "+
		"in a reply", key, size, allowed)
}

func (e *Engine) pluginSet(ctx context.Context, request pluginRequest) (data bus.PluginKVData, err error) {
	value, err := kvValue(request.Value)
	if err != nil {
		return data, err
	}
	entry, err := e.pluginEntry(request)
	if err != nil {
		return data, err
	}
	entry.Value = value
	data.Revision, err = e.store.KVSet(ctx, entry)
	data.Exists = true
	return data, err
}

func (e *Engine) pluginAdd(ctx context.Context, request pluginRequest) (data bus.PluginKVData, err error) {
	entry, err := e.pluginEntry(request)
	if err != nil {
		return data, err
	}
	sum, err := e.store.KVAdd(ctx, entry, request.By)
	if errors.Is(err, store.ErrNotWhole) || errors.Is(err, store.ErrOverflow) {
		return data, kvError(bus.KVValidationError, "by: %d: %v", request.By, cause(err))
	}
	return bus.PluginKVData{Exists: true, Value: json.RawMessage(sum.Value), Revision: sum.Revision}, err
}

// cause returns which of the errors of KVAdd err is, without what was attempted.
func cause(err error) error {
	if errors.Is(err, store.ErrOverflow) {
		return store.ErrOverflow
	}
	return store.ErrNotWhole
}

func (e *Engine) pluginDelete(ctx context.Context, request pluginRequest) (data bus.PluginKVData, err error) {
	data.Exists, err = e.store.KVDelete(ctx, request.key, request.IfRevision, time.Now())
	return data, err
}

func (e *Engine) pluginList(ctx context.Context, request pluginRequest) (data bus.PluginKVData, err error) {
	query := store.KVQuery{
		KVKey: request.key, After: request.After, Limit: cmp.Or(request.Limit, bus.MaxKVListLimit),
		Values: request.Values, MaxBytes: request.maxReply, Now: time.Now(),
	}
	query.Key = request.Prefix
	rows, more, err := e.store.KVList(ctx, query)
	if err != nil {
		return data, err
	}
	entries := make([]bus.PluginKVEntry, 0, len(rows))
	for _, row := range rows {
		entry := bus.PluginKVEntry{Key: row.Key, Revision: row.Revision}
		if request.Values {
			entry.Value = json.RawMessage(row.Value)
		}
		entries = append(entries, entry)
	}
	fit := fits(entries, request.maxReply)
	if fit == 1 && len(entries[0].Value) > request.maxReply {
		return data, tooLargeToReply(entries[0].Key, len(entries[0].Value), request.maxReply)
	}
	return bus.PluginKVData{
		Exists: fit > 0, Entries: entries[:fit], Truncated: more || fit < len(entries),
	}, nil
}
