package bus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// RecentLine is one element of the reply to StatsRecentChat, which is always a JSON array.
type RecentLine struct {
	Timestamp int64  `json:"timestamp"` // Unix seconds
	Username  string `json:"username"`
	Message   string `json:"message"`
}

// RecentChatRequest is the body of a StatsRecentChat request. The service's default is 50.
type RecentChatRequest struct {
	Limit int `json:"limit,omitempty"`
	Origin
}

// RecentLines is the reply to StatsRecentChat, the oldest line first. Decoding it from JSON leaves out everything after
// the first 1,000 elements, like OutboundMessages.
type RecentLines []RecentLine

// UnmarshalJSON implements json.Unmarshaler.
func (l *RecentLines) UnmarshalJSON(data []byte) (err error) {
	*l, err = decodeArray[RecentLine](data)
	return err
}

// maxElements bounds an array in a reply.
const maxElements = 1000

// decodeArray decodes the first maxElements elements of an array.
func decodeArray[T any](data []byte) (elements []T, err error) {
	if bytes.Equal(data, []byte("null")) {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if start, err := decoder.Token(); err != nil || start != json.Delim('[') {
		return nil, &json.UnmarshalTypeError{Value: "value that is not an array", Type: reflect.TypeFor[[]T]()}
	}
	for decoder.More() && len(elements) < maxElements {
		var one T
		if err := decoder.Decode(&one); err != nil {
			return elements, fmt.Errorf("element %d: %w", len(elements), err)
		}
		elements = append(elements, one)
	}
	return elements, nil
}

// ChannelStatsRequest is the body of a QueryChannelStats request. Any other body asks for the service's own channel.
type ChannelStatsRequest struct{ Origin }

// ChannelStatsReply is the reply to QueryChannelStats. If Success is false, only Error is set.
type ChannelStatsReply struct {
	// HighWaterMark is the highest number of named users at a time, HighWaterConnected that of connections, anonymous
	// ones included.
	HighWaterMark      HighWaterMark `json:"high_water_mark"`
	HighWaterConnected HighWaterMark `json:"high_water_connected"`
	// TopChatters are up to 10, most lines first.
	TopChatters    []TopChatter `json:"top_chatters"`
	TotalUsersSeen int          `json:"total_users_seen"`
	Success        bool         `json:"success"`
	Error          string       `json:"error,omitempty"`
}

// HighWaterMark is a maximum.
type HighWaterMark struct {
	Users int `json:"users"`
	// Timestamp is when it was first reached, in Unix seconds. Nil: nothing has been counted yet.
	Timestamp *int64 `json:"timestamp"`
}

// TopChatter is a user and the number of lines that they wrote.
type TopChatter struct {
	Username  string `json:"username"`
	ChatLines int    `json:"chat_lines"`
}

// UserStatsRequest is the body of a QueryUserStats request. Names are compared without regard to case.
type UserStatsRequest struct {
	Username string `json:"username"`
	Origin
}

// UserStatsReply is the reply to QueryUserStats. If Found is false, only Username, Success and Message are set; if
// Success is false, only Error.
type UserStatsReply struct {
	// Username is in the spelling that was seen last.
	Username       string `json:"username"`
	FirstSeen      int64  `json:"first_seen"` // Unix seconds
	LastSeen       int64  `json:"last_seen"`  // Unix seconds
	TotalChatLines int    `json:"total_chat_lines"`
	// TotalTimeConnected is in seconds, without the current session.
	TotalTimeConnected int64 `json:"total_time_connected"`
	// CurrentSessionStart is in Unix seconds. Nil: the user is not in the channel.
	CurrentSessionStart *int64 `json:"current_session_start"`
	Success             bool   `json:"success"`
	Found               bool   `json:"found"`
	Message             string `json:"message,omitempty"`
	Error               string `json:"error,omitempty"`
}

// UserNotFoundReply is UserStatsReply as it is sent for a user that has never been seen.
type UserNotFoundReply struct {
	Username string `json:"username"`
	Success  bool   `json:"success"`
	Found    bool   `json:"found"`
	Message  string `json:"message"`
}

// QueryError is the reply to a request below "query" that failed. Success is false.
type QueryError struct {
	Success bool   `json:"success"`
	Error   string `json:"error"`
	// Retry means that nothing is wrong with the request: the database is away, or has too much to do.
	Retry bool `json:"retry,omitempty"`
	// Busy means, with Retry, that the database has too much to do. Error says what it does, for people.
	Busy bool `json:"busy,omitempty"`
}

// MaintenanceReply is the reply to MaintenanceRun, a request to remove now, in all channels, what the retention rules
// do not keep. A run may last longer than RequestTimeout: a client should wait for a minute, and a missing reply does
// not mean that the run has stopped. The body of the request is ignored.
type MaintenanceReply struct {
	Success bool `json:"success"`
	// Removed counts the removed rows, also those before an error.
	Removed MaintenanceRemoved `json:"removed"`
	// DurationMS is the duration of the run in milliseconds.
	DurationMS int64  `json:"duration_ms"`
	Error      string `json:"error,omitempty"`
}

// MaintenanceRemoved counts removed rows.
type MaintenanceRemoved struct {
	Chat        int64 `json:"chat"`
	UserCounts  int64 `json:"user_counts"`
	Media       int64 `json:"media"`
	Outbound    int64 `json:"outbound"` // sent or abandoned
	KV          int64 `json:"kv"`       // expired
	DeadLetters int64 `json:"dead_letters"`
	People      int64 `json:"people"` // with their joins and leaves
}

// DeadListRequest is the body of a DeadList request for the dead letters of a service, ordered by ID.
type DeadListRequest struct {
	// After is the ID of the last dead letter that the client has. 0: it has none.
	After int64 `json:"after,omitempty"`
	// Limit is the most dead letters of the reply, from 1 to MaxDeadListLimit. 0: MaxDeadListLimit.
	Limit int `json:"limit,omitempty"`
	// Origin is the channel whose dead letters are wanted. One that names no channel is of the service's own, as every
	// message is. Without a channel: those of all channels.
	Origin
}

// MaxDeadListLimit is the highest number of dead letters in a reply, and the default.
const MaxDeadListLimit = 100

// DeadListReply is the reply to DeadList. If Success is false, only Error is set.
type DeadListReply struct {
	Success     bool         `json:"success"`
	DeadLetters []DeadLetter `json:"deadLetters"`
	// More means that there may be others with a higher ID: a reply is bounded. Next is After of the request for them.
	More  bool   `json:"more"`
	Next  int64  `json:"next,omitempty"`
	Error string `json:"error,omitempty"`
	Retry bool   `json:"retry,omitempty"` // as in QueryError
}

// DeadLetter is a message that could not be stored.
type DeadLetter struct {
	ID   int64 `json:"id"`
	Time int64 `json:"time"` // of arrival, in milliseconds since 1970 UTC
	// Prefix is that of the service that received it. Empty: unknown.
	Prefix  string `json:"prefix,omitempty"`
	Subject string `json:"subject"` // without the prefix
	Reason  string `json:"reason"`
	Size    int    `json:"size"` // of the whole payload, in bytes
	// Payload is the part of the payload that was stored. Bytes that are not UTF-8 are replaced by U+FFFD.
	Payload string `json:"payload"`
}

// DeadChangeRequest is the body of a DeadRetry or DeadDrop request. DeadRetry stores what the dead letters contain;
// both remove them.
type DeadChangeRequest struct {
	// IDs are 1 to MaxDeadChangeIDs of those in DeadListReply.
	IDs []int64 `json:"ids"`
	// Origin is the channel whose dead letters they must be, as in DeadListRequest.
	Origin
}

// MaxDeadChangeIDs is the highest number of IDs in a DeadChangeRequest: each is a transaction, for which other requests
// wait.
const MaxDeadChangeIDs = 20

// DeadChangeReply is the reply to DeadRetry and DeadDrop. Success is true if all dead letters are gone.
type DeadChangeReply struct {
	Success bool `json:"success"`
	// Changed are the IDs of the dead letters that are gone now.
	Changed []int64 `json:"changed"`
	// Failed are those that are still there, or were not found.
	Failed []DeadFailure `json:"failed,omitempty"`
	Error  string        `json:"error,omitempty"`
	Retry  bool          `json:"retry,omitempty"` // as in QueryError
}

// DeadFailure says why a dead letter could not be changed.
type DeadFailure struct {
	ID    int64  `json:"id"`
	Error string `json:"error"`
}

// Limits of the key-value requests. Exceeding one is a KVValidationError, for a value KVValueTooLarge.
const (
	// MaxKVValueBytes bounds a value as compact JSON in UTF-8.
	MaxKVValueBytes = 65_536
	// MaxKVPluginBytes and MaxKVKeyBytes bound names in UTF-8.
	MaxKVPluginBytes = 128
	MaxKVKeyBytes    = 512
	// MaxKVTTLSeconds is a hundred years.
	MaxKVTTLSeconds = 100 * 366 * 24 * 3600
	// MaxKVListLimit is the highest number of keys in a reply, and the default limit.
	MaxKVListLimit = 1000
)

// KVReply is the reply to the key-value requests: Data if Success is true, otherwise Error.
type KVReply[T any] struct {
	Success bool     `json:"success"`
	Data    *T       `json:"data,omitempty"`
	Error   *KVError `json:"error,omitempty"`
}

// KVSetData is empty.
type KVSetData struct{}

// KVGetData has no Value if Exists is false.
type KVGetData struct {
	Exists bool            `json:"exists"`
	Value  json.RawMessage `json:"value,omitempty"`
}

// KVDeleteData reports whether the key existed.
type KVDeleteData struct {
	Deleted bool `json:"deleted"`
}

// KVListData has the keys in ascending order of their bytes. Truncated means that there are more.
type KVListData struct {
	Keys      []string `json:"keys"`
	Count     int      `json:"count"`
	Truncated bool     `json:"truncated"`
}

// KVError is why a key-value request failed.
type KVError struct {
	Code    KVCode `json:"code"`
	Message string `json:"message"` // for people
}

// Error implements error.
func (e *KVError) Error() string { return string(e.Code) + ": " + e.Message }

// KVCode is the kind of a KVError.
type KVCode string

// The kinds of errors.
const (
	KVInvalidJSON     KVCode = "INVALID_JSON"
	KVMissingField    KVCode = "MISSING_FIELD"
	KVValueTooLarge   KVCode = "VALUE_TOO_LARGE" // also the whole request
	KVValidationError KVCode = "VALIDATION_ERROR"
	KVInternalError   KVCode = "INTERNAL_ERROR"
	// KVQuotaExceeded means that the plugin or the channel has stored as much as the service allows.
	KVQuotaExceeded KVCode = "QUOTA_EXCEEDED"
)
