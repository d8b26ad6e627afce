package bus

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// MsgIDHeader carries `<event id>/<suffix>`. The suffix is there because one thing that happens can
// make two messages, and a stream takes a message id only once (a JetStream convention).
const MsgIDHeader = "Nats-Msg-Id"

// IDsHeader is in the replies of a service that stores an event with a known id only once. To such a
// service everything that could not be confirmed can be published again. The Python service has none:
// to it nothing is published twice.
const IDsHeader = "Rosey-Event-Ids"

// MsgID is the value of MsgIDHeader.
func MsgID(eventID string, suffix Suffix) string { return eventID + "/" + string(suffix) }

// EventID takes the event's id out of a MsgIDHeader. It is empty when the header is not ours.
func EventID(msgID string, suffix Suffix) string {
	id, ok := strings.CutSuffix(msgID, "/"+string(suffix))
	if !ok {
		return ""
	}
	return id
}

// ChatLineID is the id of a line of chat, made from what the line says.
//
// CyTube repeats its last lines with their old times to everyone who joins, so the same line reaches
// us many times and must get the same id each time. The time is in front so that an index only appends.
func ChatLineID(server, channel, user string, at time.Time, kind, text string) string {
	hash := sha256.New()
	for _, part := range []string{strings.ToLower(server), strings.ToLower(channel), user, kind, text} {
		// The length in front keeps ("ab","c") and ("a","bc") apart.
		_, _ = fmt.Fprintf(hash, "%d:%s", len(part), part) // a hash never fails
	}
	return fmt.Sprintf("%012x-%s", at.UnixMilli(), hex.EncodeToString(hash.Sum(nil)[:16]))
}

// IDs makes ids for events that have no content of their own to make one from.
// They sort by (time, start of the process, order in the process): a page reload is a leave and a
// join within one millisecond, and only their order says whether the user is still there.
type IDs struct {
	process string
	counter atomic.Uint64
}

// NewIDs makes ids for a process that started at start.
func NewIDs(start time.Time) *IDs {
	var instance [4]byte
	_, _ = rand.Read(instance[:]) // never fails since Go 1.24
	return &IDs{process: fmt.Sprintf("%012x", start.UnixMilli()) + hex.EncodeToString(instance[:])}
}

// Next is the id of an event that happened at at.
func (i *IDs) Next(at time.Time) string {
	return fmt.Sprintf("%012x-%s-%08x", at.UnixMilli(), i.process, i.counter.Add(1))
}
