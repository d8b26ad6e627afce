package store

import "fmt"

// QuotaError is returned by a method that would have stored more than a quota of its caller allows. Nothing was stored.
type QuotaError struct {
	// Limit is the quota: the name of a field of config.Limits, as in a configuration file.
	Limit string
	// Needed is how much would have been stored, together with what is stored already, and Allowed how much may be.
	Needed, Allowed int64
}

// Error implements error.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("%s: %d would be stored, expected at most %d", e.Limit, e.Needed, e.Allowed)
}

// KVQuota bounds the keys of a plugin in a channel. A field that is 0 is no bound.
//
// A key counts as the names of plugin and key, the value, and config.RowOverhead bytes. Keys that have expired and are
// not pruned yet count too, but KVSet removes those of the plugin before it refuses a key.
type KVQuota struct {
	// Keys and Bytes bound one plugin in one channel. They are exact.
	Keys, Bytes int
	// Plugins bounds the plugins that have keys in one channel, and ChannelBytes the keys of all of them. Writers of
	// several plugins at the same time do not see each other's keys in PostgreSQL and may exceed them by what each writes.
	Plugins, ChannelBytes int
}

// DeadLetterQuota bounds the dead letters of the database. A field that is 0 has the default of the configuration.
type DeadLetterQuota struct{ Rows, Bytes int }

// Usage is how much of what config.Limits bound is stored.
type Usage struct {
	Channels []ChannelUsage
	// DeadLetters is the number of dead letters in the database, DeadLetterBytes their size.
	DeadLetters, DeadLetterBytes int64
}

// ChannelUsage is the Usage of a channel.
type ChannelUsage struct {
	Channel Channel
	// Rows are lines of chat, joins and leaves, watches, samples, actions, reports of what was played, hours of users, and
	// outbound messages. Bytes are those of their texts, twice those of the IDs of events and clients, and
	// config.RowOverhead for each row.
	Rows, Bytes int64
	// People is the number of users, OutboundWaiting that of outbound messages that are neither sent nor abandoned.
	People, OutboundWaiting int64
	// Plugins are the plugins that have keys, ordered by name.
	Plugins []PluginUsage
}

// PluginUsage is what a plugin has stored in a channel, as KVQuota counts it.
type PluginUsage struct {
	Plugin      string
	Keys, Bytes int64
}
