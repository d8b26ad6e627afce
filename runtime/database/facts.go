package database

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// factDecoders are the subjects on which events are published, and how each payload becomes a fact of the store.
var factDecoders = map[bus.Suffix]func(data []byte) (store.Fact, origin, error){
	bus.UserJoined:      decodePayload[joinedPayload],
	bus.UserLeft:        decodePayload[leftPayload],
	bus.MessageLog:      decodePayload[chatPayload],
	bus.StatsUserCount:  decodePayload[userCountPayload],
	bus.StatsHighWater:  decodePayload[highWaterPayload],
	bus.StatusUpdate:    decodePayload[statusPayload],
	bus.ActionPMCommand: decodePayload[pmCommandPayload],
	bus.MediaPlayed:     decodePayload[mediaPayload],
	bus.OutboundSent:    decodePayload[sentPayload],
	bus.OutboundFailed:  decodePayload[failedPayload],
}

// payload is the body of an event, as clients send it.
type payload interface {
	// fact returns what happened. With an error it may return a fact all the same: what could be decoded.
	fact() (store.Fact, error)
	from() origin // where and when, as the client states it
}

func decodePayload[P payload](data []byte) (store.Fact, origin, error) {
	decoded, err := decodeObject[P](data)
	if err != nil {
		return nil, origin{}, err
	}
	fact, err := decoded.fact()
	return fact, decoded.from(), err
}

func decodeFact(suffix bus.Suffix, data []byte) (store.Fact, origin, error) {
	decode, known := factDecoders[suffix]
	if !known {
		return nil, origin{}, fmt.Errorf("%w: no event is published on %s", errInvalid, suffix)
	}
	return decode(data)
}

// namedField is a field of a message.
type namedField struct {
	name  string
	value text
}

// requireText returns an error if one of the fields is absent or empty.
func requireText(fields ...namedField) error {
	for _, field := range fields {
		if field.value == "" {
			return fmt.Errorf("%w: no %s", errIncomplete, field.name)
		}
	}
	return nil
}

type userPayload struct {
	Username text `json:"username"`
	origin
}

type joinedPayload struct{ userPayload }

func (p joinedPayload) fact() (store.Fact, error) {
	if err := requireText(namedField{"username", p.Username}); err != nil {
		return nil, err
	}
	return store.UserJoined{Username: string(p.Username)}, nil
}

type leftPayload struct{ userPayload }

func (p leftPayload) fact() (store.Fact, error) {
	if err := requireText(namedField{"username", p.Username}); err != nil {
		return nil, err
	}
	return store.UserLeft{Username: string(p.Username)}, nil
}

type chatPayload struct {
	userPayload

	Message text `json:"message"`
}

func (p chatPayload) fact() (store.Fact, error) {
	if err := requireText(namedField{"username", p.Username}, namedField{"message", p.Message}); err != nil {
		return nil, err
	}
	return store.ChatLine{Username: string(p.Username), Text: string(p.Message)}, nil
}

type userCountPayload struct {
	Chat      number `json:"chat_count"`
	Connected number `json:"connected_count"`
	origin
}

// maxCount is more users than a channel can have. A record stays for ever, and sums of samples must not overflow.
const maxCount = 1_000_000

// fact checks the numbers, although the database would reject some of them too: then it would try the whole batch in
// parts.
func (p userCountPayload) fact() (store.Fact, error) {
	if p.Chat < 0 || p.Connected < 0 || max(p.Chat, p.Connected) > maxCount {
		return nil, fmt.Errorf("%w: chat_count and connected_count: expected 0 or more, and at most %d", errInvalid, maxCount)
	}
	return store.UserCount{Chat: int(p.Chat), Connected: int(p.Connected)}, nil
}

type mediaPayload struct {
	Type     text   `json:"type"`
	ID       text   `json:"id"`
	Title    text   `json:"title"`
	Seconds  number `json:"seconds"`
	QueuedBy text   `json:"queued_by"`
	Found    moment `json:"found"`
	origin
}

func (p mediaPayload) fact() (store.Fact, error) {
	if err := requireText(namedField{"type", p.Type}, namedField{"id", p.ID}); err != nil {
		return nil, err
	}
	return store.MediaPlayed{
		Type: string(p.Type), ID: string(p.ID), Title: string(p.Title), Seconds: int64(p.Seconds),
		QueuedBy: string(p.QueuedBy), Found: p.Found.Time,
	}, nil
}

type highWaterPayload struct {
	Chat      number  `json:"chat_count"`
	Connected *number `json:"connected_count"`
	origin
}

func (p highWaterPayload) fact() (store.Fact, error) {
	if p.Chat > maxCount || p.Connected != nil && *p.Connected > maxCount {
		return nil, fmt.Errorf("%w: chat_count and connected_count: expected at most %d", errInvalid, maxCount)
	}
	mark := store.HighWater{Chat: int(p.Chat)}
	if p.Connected != nil {
		mark.Connected = new(int(*p.Connected))
	}
	return mark, nil
}

type pmCommandPayload struct {
	userPayload

	Command text `json:"command"`
	Args    text `json:"args"`
	Result  text `json:"result"`
	Error   text `json:"error"`
	Plugin  text `json:"plugin"`
	Call    text `json:"call"`
	Said    text `json:"said"`
}

// fact writes the details of an action as the Python service does.
func (p pmCommandPayload) fact() (store.Fact, error) {
	if err := requireText(namedField{"username", p.Username}, namedField{"command", p.Command}); err != nil {
		return nil, err
	}
	details := []string{"cmd=" + string(p.Command)}
	for _, part := range []namedField{{"args", p.Args}, {"result", cmp.Or(p.Result, "unknown")}, {"error", p.Error},
		{"plugin", p.Plugin}, {"call", p.Call}, {"said", p.Said}} {
		if part.value != "" {
			details = append(details, part.name+": "+string(part.value))
		}
	}
	return store.Action{
		Username: string(p.Username), Type: store.ActionPMCommand, Details: strings.Join(details, ", "),
		Plugin: p.byPlugin(),
	}, nil
}

// byPlugin returns what a plugin caused, the zero value if none did.
func (p pmCommandPayload) byPlugin() (by store.PluginAction) {
	if !bus.IsPluginName(string(p.Plugin)) {
		return by
	}
	by = store.PluginAction{
		Plugin: string(p.Plugin), Call: string(p.Call), Args: string(p.Args), Said: string(p.Said), Problem: string(p.Error),
		Did: strings.TrimPrefix(string(p.Command), string(p.Plugin)+"."),
	}
	if by.Problem == "" && p.Result == resultError {
		by.Problem = "it failed"
	}
	return by
}

// resultError is the result of a command that failed.
const resultError = "error"

// errNoMessageID and errNoRetryCount mark reports of outbound lines that lack a required field. The Python service
// ignores a report without the first.
var (
	errNoMessageID  = fmt.Errorf("%w: field message_id is missing", errIncomplete)
	errNoRetryCount = fmt.Errorf("%w: field retry_count is missing", errInvalid)
)

type sentPayload struct {
	MessageID        *number `json:"message_id"`
	MessageTimestamp moment  `json:"message_timestamp"`
	origin
}

func (p sentPayload) fact() (store.Fact, error) {
	if p.MessageID == nil {
		return nil, errNoMessageID
	}
	return store.OutboundSent{ID: int64(*p.MessageID), EnqueuedAt: p.MessageTimestamp.Time}, nil
}

type failedPayload struct {
	sentPayload

	RetryCount *number  `json:"retry_count"`
	Error      text     `json:"error"`
	Permanent  bus.Flag `json:"permanent"`
}

func (p failedPayload) fact() (store.Fact, error) {
	switch {
	case p.MessageID == nil:
		return nil, errNoMessageID
	case p.RetryCount == nil:
		return nil, errNoRetryCount
	}
	return store.OutboundFailed{
		ID: int64(*p.MessageID), EnqueuedAt: p.MessageTimestamp.Time, Attempts: int(*p.RetryCount),
		Error: string(p.Error), Permanent: bool(p.Permanent),
	}, nil
}

// reportError returns the error in the reply to a report that cannot be decoded, or that is for another channel.
func reportError(err error) string {
	switch {
	case errors.Is(err, errNotServed):
		return err.Error()
	case errors.Is(err, errNoRetryCount):
		return "retry_count: expected a whole number"
	}
	return "message_id: expected a whole number"
}

type statusPayload struct {
	StatusData map[string]json.RawMessage `json:"status_data"`
	origin
}

// statusTypes are the types of the fields of a status by their names on the wire.
var statusTypes = func() map[string]reflect.Type {
	types := map[string]reflect.Type{}
	for field := range reflect.TypeFor[bus.StatusData]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		types[name] = field.Type
	}
	return types
}()

// fact decodes each field separately, so that one that cannot be decoded does not lose the others. Unknown fields and
// null are ignored.
func (p statusPayload) fact() (store.Fact, error) {
	status := store.Status{Fields: map[string]json.RawMessage{}}
	decoded := 0
	var bad []string
	for name, data := range p.StatusData {
		declared, known := statusTypes[name]
		if !known {
			continue
		}
		if err := setStatusField(&status, name, declared, data); err != nil {
			bad = append(bad, name)
			continue
		}
		decoded++
	}
	var err error
	switch {
	case len(bad) > 0:
		slices.Sort(bad)
		err = fmt.Errorf("%w: status fields of a wrong type: %s", errInvalid, strings.Join(bad, ", "))
	case decoded == 0:
		err = fmt.Errorf("%w: no status", errIncomplete)
	}
	if decoded == 0 {
		return nil, err
	}
	return status, err
}

// setStatusField decodes a field as leniently as those of other payloads, and sets it in the form that is stored.
func setStatusField(status *store.Status, name string, declared reflect.Type, data []byte) (err error) {
	if string(data) == "null" {
		return nil
	}
	var value any
	switch declared {
	case reflect.TypeFor[bus.Seconds](): // watching_since
		var at bus.Seconds
		if err = json.Unmarshal(data, &at); err == nil {
			status.WatchingSince = &at.Time
		}
		return err //nolint:wrapcheck // the caller only needs to know that there is one
	case reflect.TypeFor[*string]():
		value, err = convertField(data, func(v text) any { return store.CleanText(string(v)) })
	case reflect.TypeFor[*float64]():
		value, err = convertField(data, func(v decimal) any { return float64(v) })
	case reflect.TypeFor[*int64](): // times and durations, whose fractions are cut off
		value, err = convertField(data, func(v decimal) any { return int64(v) })
	case reflect.TypeFor[*int]():
		value, err = convertField(data, func(v number) any { return int64(v) })
	default:
		value, err = convertField(data, func(v bus.Flag) any { return bool(v) })
	}
	if err == nil {
		status.Fields[name], err = json.Marshal(value)
	}
	return err //nolint:wrapcheck // as above
}

func convertField[V any](data []byte, convert func(V) any) (any, error) {
	var value V
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, err //nolint:wrapcheck // as above
	}
	return convert(value), nil
}
