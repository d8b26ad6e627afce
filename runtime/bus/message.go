package bus

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

const (
	// MsgIDHeader carries the ID of a message, `<event ID>/<suffix>`. JetStream ignores a message whose ID it already
	// has; the suffix is part of the ID because one event can be reported on two subjects.
	MsgIDHeader = "Nats-Msg-Id"

	// IDsHeader is in the replies of a database service that stores an event with a known ID only once. Everything that
	// could not be confirmed is published to it again. The Python service does not set it, and gets nothing twice.
	IDsHeader = "Rosey-Event-Ids"

	// RefusedHeader is in the reply to a request about a channel that the database service does not serve, and says why.
	// Where the reply is an array, as Python's clients expect, nothing else distinguishes it from one without rows.
	RefusedHeader = "Rosey-Refused"

	// NextDueHeader is in the replies to OutboundGet of a database service that announces lines on
	// Subjects.OutboundWaiting: OutboundReply.NextDue in milliseconds. The Python service does not set it, and has to be
	// polled.
	NextDueHeader = "Rosey-Next-Due"
)

// Message is one event on its way from the bot to the database: published on NATS or stored directly.
type Message struct {
	Suffix Suffix
	// ID is the value of MsgIDHeader. Empty: the publisher sent none, like the Python bot.
	ID string
	// Data is the payload in JSON.
	Data []byte
	// Replayed marks a chat line that the CyTube server repeated when the bot joined: another process, or this one in an
	// earlier session, may have published it. A recipient that stores by ID can ignore it.
	Replayed bool
	// Published is when this process published the message first. Zero: another process did, or it is published again.
	Published time.Time
	// Time is when the message arrived, or the stream's time of it. Zero: it has not arrived yet.
	Time time.Time
	// StreamID identifies a message without an event's ID in its stream, the same at each delivery. Empty: the ID has an
	// event's ID, or the message did not come from a stream.
	StreamID string
	// Span is the span of what happens to the message. Nil: it belongs to no trace, as far as is known. In a message that
	// has arrived it only identifies the publisher's span.
	Span trace.Span
}

// Encode returns payload as JSON, without the escapes for HTML pages that json.Marshal adds: a chat line is HTML.
func Encode(payload any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(payload); err != nil {
		return nil, fmt.Errorf("encoding JSON: %w", err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// MsgID returns the value of MsgIDHeader for an event.
func MsgID(eventID string, suffix Suffix) string { return eventID + "/" + string(suffix) }

// EventID returns the event ID in the value of MsgIDHeader. It is empty if MsgID did not make the value for suffix.
func EventID(msgID string, suffix Suffix) string {
	id, ok := strings.CutSuffix(msgID, "/"+string(suffix))
	if !ok {
		return ""
	}
	return id
}

// ChatLineID returns the event ID of a chat line, computed from its content. CyTube repeats the last lines of a
// channel, with their times, to everybody who joins, so the same line arrives often and must get the same ID each time.
// The time comes first so that the database's index only grows at its end.
//
// number tells lines apart that a user said again in the same millisecond: 0 is the first. [ChatLineIDs] counts them.
func ChatLineID(server, channel, user string, at time.Time, kind, text string, number int) string {
	parts := []string{strings.ToLower(server), strings.ToLower(channel), user, kind, text}
	if number > 0 {
		parts = append(parts, strconv.Itoa(number)) // the ID of a line said once must not change: it is in databases
	}
	return contentID(at, parts...)
}

// UserCountID returns the event ID of the sample of the numbers of users in a channel that belongs to a slot of the
// clock. All bots of the channel take the same, so that a slot has one sample.
func UserCountID(channel Origin, slot time.Time) string {
	return contentID(slot, strings.ToLower(channel.Server), strings.ToLower(channel.Channel), string(StatsUserCount))
}

func contentID(at time.Time, parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		// The length in front keeps ("ab","c") and ("a","bc") apart.
		_, _ = fmt.Fprintf(hash, "%d:%s", len(part), part) // a hash never fails
	}
	return fmt.Sprintf("%012x-%s", at.UnixMilli(), hex.EncodeToString(hash.Sum(nil)[:16]))
}

// IDs generates event IDs for events whose ID is not made from their content. They sort by time, start of the process
// and order in the process: a page reload is a leave and a join within one millisecond, and only their order tells
// whether the user is still there. It is safe for concurrent use.
type IDs struct {
	process string
	counter atomic.Uint64
}

// NewIDs returns a generator for a process that started at start.
func NewIDs(start time.Time) *IDs {
	var instance [4]byte
	_, _ = rand.Read(instance[:]) // never fails since Go 1.24
	return &IDs{process: fmt.Sprintf("%012x", start.UnixMilli()) + hex.EncodeToString(instance[:])}
}

// Next returns the ID of an event that happened at at.
func (i *IDs) Next(at time.Time) string {
	return fmt.Sprintf("%012x-%s-%08x", at.UnixMilli(), i.process, i.counter.Add(1))
}
