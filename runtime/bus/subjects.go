// Package bus is the wire between bot and database service: subjects, payloads, event ids, requests, and the NATS
// connection.
//
// Subjects and payloads are those of Rosey-Robot 0.5 (the Python bot), with optional fields added.
package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Suffix is a subject without the prefix that tells bots on one bus apart.
type Suffix string

// The subjects of the database service.
const (
	UserJoined      Suffix = "db.user.joined"
	UserLeft        Suffix = "db.user.left"
	MessageLog      Suffix = "db.message.log"
	StatsUserCount  Suffix = "db.stats.user_count"
	StatsHighWater  Suffix = "db.stats.high_water"
	StatusUpdate    Suffix = "db.status.update"
	OutboundGet     Suffix = "db.messages.outbound.get"
	OutboundSent    Suffix = "db.messages.outbound.mark_sent"
	StatsRecentChat Suffix = "db.stats.recent_chat.get"
)

// Subjects that later versions of the Python service have too.
const (
	QueryChannelStats Suffix = "db.query.channel_stats"
	QueryUserStats    Suffix = "db.query.user_stats"
	ActionPMCommand   Suffix = "db.action.pm_command"
	KVSet             Suffix = "db.kv.set"
	KVGet             Suffix = "db.kv.get"
	KVDelete          Suffix = "db.kv.delete"
	KVList            Suffix = "db.kv.list"
)

// Subjects that no Python service has: there, requests find nobody and what is published is lost.
const (
	OutboundPut    Suffix = "db.messages.outbound.put"
	OutboundFailed Suffix = "db.messages.outbound.mark_failed"
	MaintenanceRun Suffix = "db.maintenance.run"
)

// Subjects makes full subjects and the names that belong to one prefix.
type Subjects struct{ prefix string }

// NewSubjects checks that prefix is one subject token that NATS and its streams can carry.
func NewSubjects(prefix string) (Subjects, error) {
	if prefix == "" || strings.ContainsAny(prefix, ".*> \t\r\n") || strings.ContainsAny(prefix[:1], "$_") {
		return Subjects{}, fmt.Errorf(
			"subject prefix %q: expected one token without '.', '*', '>' or spaces that does not start with '$' or '_'", prefix)
	}
	return Subjects{prefix: prefix}, nil
}

// Subject is the full subject of a suffix.
func (s Subjects) Subject(suffix Suffix) string { return s.prefix + "." + string(suffix) }

// Suffix is the opposite of Subject. It is false for a subject of another prefix.
func (s Subjects) Suffix(subject string) (Suffix, bool) {
	rest, ok := strings.CutPrefix(subject, s.prefix+".")
	return Suffix(rest), ok
}

// StreamName is the stream that keeps the published events of the prefix.
func (s Subjects) StreamName() string { return s.objectName() + "_events" }

// ConsumerName is the durable consumer by which the database services of the prefix share the stream.
func (s Subjects) ConsumerName() string { return s.objectName() + "_db" }

// LockBucket is the key-value bucket with the lock of the one bot that is in a channel.
func (s Subjects) LockBucket() string { return s.objectName() + "_locks" }

// objectName is the prefix where NATS takes it as the name of a bucket, and else one made from it: a
// subject's token may hold what a name may not.
func (s Subjects) objectName() string {
	clean := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_') {
			return r
		}
		return '-'
	}, s.prefix)
	if clean == s.prefix {
		return clean
	}
	sum := sha256.Sum256([]byte(s.prefix))
	return clean + "-" + hex.EncodeToString(sum[:4])
}

// QueueGroup is the group in which the database services of one prefix share the work.
func (s Subjects) QueueGroup() string { return s.prefix + "_db" }
