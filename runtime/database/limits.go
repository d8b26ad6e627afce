package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
)

const (
	// maxReplyBytes bounds the rows of one reply.
	maxReplyBytes = 512 << 10
	// maxIDBytes bounds the IDs of messages, of clients and of claimants. The bot's own have less than 100 bytes.
	maxIDBytes = 256
)

// limit is a limit that a client can meet: a key of config.Limits, or one that is fixed. It is a value of the label
// limit of refused_total.
type limit string

// The limits of one message.
const (
	limitMessageBytes limit = "messageBytes"
	limitTextBytes    limit = "textBytes"
	limitNameBytes    limit = "nameBytes"
	// These are fixed.
	limitIDBytes       limit = "idBytes"
	limitOutboundBytes limit = "outboundBytes"
	limitKVValueBytes  limit = "kvValueBytes"
)

// The limits of what is stored.
const (
	limitChannelRows     limit = "channelRows"
	limitChannelBytes    limit = "channelBytes"
	limitPeople          limit = "people"
	limitOutboundWaiting limit = "outboundWaiting"
	limitKVKeys          limit = "kvKeys"
	limitKVBytes         limit = "kvBytes"
	limitKVPlugins       limit = "kvPlugins"
	limitKVChannelBytes  limit = "kvChannelBytes"
	limitDeadLetters     limit = "deadLetters"
	limitDeadLetterBytes limit = "deadLetterBytes"
)

var (
	messageLimits = []limit{limitMessageBytes, limitTextBytes, limitNameBytes, limitIDBytes, limitOutboundBytes,
		limitKVValueBytes}
	fixedLimits  = []limit{limitIDBytes, limitOutboundBytes, limitKVValueBytes}
	storedLimits = []limit{limitChannelRows, limitChannelBytes, limitPeople, limitOutboundWaiting, limitKVKeys,
		limitKVBytes, limitKVPlugins, limitKVChannelBytes, limitDeadLetters, limitDeadLetterBytes}
)

// limitError refuses a message because of a limit. Its text is for the client: it says which limit was exceeded, how
// much is allowed, and how to allow more. It contains nothing of the message.
type limitError struct {
	limit           limit
	what            string // what was too large or too many
	unit            string // of the numbers, with a space in front; empty for a number of what
	needed, allowed int64
}

// Error implements error.
func (e *limitError) Error() string {
	text := fmt.Sprintf("%s: %d%s, expected at most %d", e.what, e.needed, e.unit, e.allowed)
	if slices.Contains(fixedLimits, e.limit) {
		return text
	}
	return text + "; to allow more, increase database.limits." + string(e.limit)
}

// Unwrap makes a limitError an errInvalid, except for what would be valid if less were stored.
func (e *limitError) Unwrap() error {
	if slices.Contains(storedLimits, e.limit) {
		return errFull
	}
	return errInvalid
}

// errFull marks a message that is refused because of what is stored already. It does not become a dead letter: those
// that can be stored after a correction would be pushed out.
var errFull = errors.New("a limit of what is stored is reached")

// bytesLimit returns a limitError if a part of a message is larger than allowed.
func bytesLimit(limit limit, part string, size, allowed int) error {
	if size <= allowed {
		return nil
	}
	return &limitError{limit: limit, what: part, unit: " bytes", needed: int64(size), allowed: int64(allowed)}
}

// firstError returns the first error that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// storedParts say what the limits of what is stored count.
var storedParts = map[limit]string{
	limitChannelRows: "rows of the channel", limitChannelBytes: "bytes of the channel's rows",
	limitPeople: "users of the channel", limitOutboundWaiting: "outbound lines that wait",
	limitKVKeys: "keys of the plugin", limitKVBytes: "bytes of the plugin's keys",
	limitKVPlugins: "plugins with keys", limitKVChannelBytes: "bytes of the keys of all plugins",
	limitDeadLetters: "dead letters", limitDeadLetterBytes: "bytes of the dead letters",
}

func storedLimit(limit limit, needed, allowed int64) error {
	return &limitError{limit: limit, what: storedParts[limit], needed: needed, allowed: allowed}
}

// quotaError returns the limitError for a store.QuotaError in err, or err.
func quotaError(err error) error {
	if quota, ok := errors.AsType[*store.QuotaError](err); ok {
		return storedLimit(limit(quota.Limit), quota.Needed, quota.Allowed)
	}
	return err
}

// limits compare messages, and what is stored, with the limits of the configuration.
type limits struct {
	config.Limits

	metrics *metrics
	log     *slog.Logger
	logged  map[limit]*logLimit
	usage   usage
}

func newLimits(configured config.Limits, m *metrics, log *slog.Logger) *limits {
	l := &limits{Limits: configured.WithDefaults(), metrics: m, log: log, logged: map[limit]*logLimit{}}
	for _, each := range slices.Concat(messageLimits, storedLimits) {
		l.logged[each] = &logLimit{}
		m.refused.WithLabelValues(string(each))
	}
	for _, each := range storedLimits {
		m.limitUsed.WithLabelValues(string(each))
	}
	l.usage.reset()
	return l
}

// refuse counts and logs the refusal of a message.
func (l *limits) refuse(ctx context.Context, suffix bus.Suffix, refusal *limitError) {
	l.metrics.refused.WithLabelValues(string(refusal.limit)).Inc()
	if l.logged[refusal.limit].due(time.Now()) {
		l.log.WarnContext(ctx, "[DB] refused "+string(suffix)+"; others are only counted for a minute",
			"limit", refusal.limit, "error", refusal)
	}
}

// checkMessage checks what can be checked before a message is decoded.
func (l *limits) checkMessage(id string, data []byte) error {
	if err := bytesLimit(limitMessageBytes, "message", len(data), l.MessageBytes); err != nil {
		return err
	}
	return bytesLimit(limitIDBytes, "message ID", len(id), maxIDBytes)
}

// checkUser checks the name of a user.
func (l *limits) checkUser(name string) error {
	return bytesLimit(limitNameBytes, "username", len(name), l.NameBytes)
}

// checkFact checks the texts of a fact. With an error it returns what can be stored all the same: nil, or a status
// without the fields that are too large.
func (l *limits) checkFact(fact store.Fact) (store.Fact, error) {
	var err error
	switch fact := fact.(type) {
	case store.UserJoined:
		err = l.checkUser(fact.Username)
	case store.UserLeft:
		err = l.checkUser(fact.Username)
	case store.ChatLine:
		err = firstError(l.checkUser(fact.Username),
			bytesLimit(limitTextBytes, "message", len(fact.Text), l.TextBytes))
	case store.Action:
		err = firstError(l.checkUser(fact.Username),
			bytesLimit(limitTextBytes, "command, args, result and error", len(fact.Details), l.TextBytes))
	case store.MediaPlayed:
		err = firstError(l.checkUser(fact.QueuedBy),
			bytesLimit(limitTextBytes, "type, id and title", len(fact.Type)+len(fact.ID)+len(fact.Title), l.TextBytes))
	case store.Status:
		return l.checkStatus(fact)
	}
	if err != nil {
		return nil, err
	}
	return fact, nil
}

// checkStatus leaves out fields that are too large: each field stands for itself.
func (l *limits) checkStatus(status store.Status) (store.Fact, error) {
	const quotes = len(`""`)
	fields := make(map[string]json.RawMessage, len(status.Fields))
	var err error
	for name, value := range status.Fields {
		if tooLarge := bytesLimit(limitTextBytes, "status field "+name, len(value)-quotes, l.TextBytes); tooLarge != nil {
			err = tooLarge
			continue
		}
		fields[name] = value
	}
	if err != nil && len(fields) == 0 && status.WatchingSince == nil {
		return nil, err
	}
	status.Fields = fields
	return status, err
}

// refusal returns the reply to a request that is refused before it is decoded.
func refusal(suffix bus.Suffix, err error) any {
	switch suffix {
	case bus.StatsRecentChat, bus.OutboundGet:
		return noRows
	case bus.QueryChannelStats, bus.QueryUserStats, bus.QueryUserCounts, bus.QueryChat, bus.QueryUsers, bus.QueryUser,
		bus.QueryMedia, bus.QueryOutbound, bus.QueryRecords, bus.QueryPluginActions:
		return bus.QueryError{Error: err.Error()}
	case bus.OutboundSent, bus.OutboundFailed:
		return bus.Ack{Error: err.Error()}
	case bus.MaintenanceRun:
		return bus.MaintenanceReply{Error: err.Error()}
	case bus.OutboundPut, bus.OutboundPutCommand:
		return bus.OutboundPutReply{Error: err.Error()}
	case bus.OutboundCancel:
		return bus.OutboundCancelReply{Error: err.Error()}
	case bus.PeopleExport:
		return bus.PeopleExportReply{Error: err.Error()}
	case bus.PeopleForget:
		return bus.PeopleForgetReply{Error: err.Error()}
	case bus.DeadList:
		return bus.DeadListReply{Error: err.Error()}
	case bus.DeadRetry, bus.DeadDrop:
		return bus.DeadChangeReply{Error: err.Error()}
	default: // db.kv
		return bus.KVReply[struct{}]{Error: &bus.KVError{Code: bus.KVValueTooLarge, Message: err.Error()}}
	}
}
