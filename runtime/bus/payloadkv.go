package bus

import "encoding/json"

// Limits of the key-value subjects. What is beyond is KVValidationError, a value KVValueTooLarge.
const (
	// MaxKVValueBytes bounds a value as compact JSON in UTF-8.
	MaxKVValueBytes = 65_536
	// MaxKVPluginBytes and MaxKVKeyBytes bound names in UTF-8.
	MaxKVPluginBytes = 128
	MaxKVKeyBytes    = 512
	// MaxKVTTLSeconds is a hundred years.
	MaxKVTTLSeconds = 100 * 366 * 24 * 3600
	// MaxKVListLimit is the most keys of one reply, and the limit of a request that names none.
	MaxKVListLimit = 1000
)

// KVSetRequest is the body of a KVSet request; its reply is a KVReply[KVSetData].
// Plugins are apart by name only, like the channels they work in: any client reads all.
type KVSetRequest struct {
	PluginName string `json:"plugin_name"`
	Key        string `json:"key"`
	// Value is any JSON, null too, and must be there.
	Value json.RawMessage `json:"value"`
	// TTLSeconds is how long the value lives. Nil, 0 and below: until it is deleted. It replaces what
	// was said before.
	TTLSeconds *int64 `json:"ttl_seconds,omitempty"`
	Origin
}

// KVKeyRequest is the body of a KVGet or KVDelete request. The replies are KVReply[KVGetData] and
// KVReply[KVDeleteData].
type KVKeyRequest struct {
	PluginName string `json:"plugin_name"`
	Key        string `json:"key"`
	Origin
}

// KVListRequest is the body of a KVList request; its reply is a KVReply[KVListData].
type KVListRequest struct {
	PluginName string `json:"plugin_name"`
	// Prefix is compared as it is, with regard to case and without wildcards. Empty: all keys.
	Prefix string `json:"prefix"`
	// Limit is at most MaxKVListLimit; more is taken for that. 0 and below: no keys, which tells by
	// Truncated whether there are any.
	Limit *int `json:"limit,omitempty"`
	Origin
}

// KVReply is the reply to the key-value subjects: Data when Success is true, otherwise Error.
type KVReply[T any] struct {
	Success bool     `json:"success"`
	Data    *T       `json:"data,omitempty"`
	Error   *KVError `json:"error,omitempty"`
}

// KVSetData is empty.
type KVSetData struct{}

// KVGetData has no Value when Exists is false.
type KVGetData struct {
	Exists bool            `json:"exists"`
	Value  json.RawMessage `json:"value,omitempty"`
}

// KVDeleteData says whether there was something to delete.
type KVDeleteData struct {
	Deleted bool `json:"deleted"`
}

// KVListData has keys in ascending order of their bytes. Truncated: there are more.
type KVListData struct {
	Keys      []string `json:"keys"`
	Count     int      `json:"count"`
	Truncated bool     `json:"truncated"`
}

// KVError says why a key-value request failed.
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
	KVValueTooLarge   KVCode = "VALUE_TOO_LARGE"
	KVValidationError KVCode = "VALIDATION_ERROR"
	KVInternalError   KVCode = "INTERNAL_ERROR"
)
