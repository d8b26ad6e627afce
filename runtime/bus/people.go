package bus

import (
	"encoding/json"
	"time"
)

// Requests of people about themselves. They are a permission of their own.
const (
	// PeopleExport asks for what is stored about a user, part by part.
	PeopleExport Suffix = "db.people.export"
	// PeopleForget removes what is stored about a user.
	PeopleForget Suffix = "db.people.forget"
)

// PeopleTimeout is how long Requester.Request waits for a reply to one of them: they read all lines of the channel.
const PeopleTimeout = 30 * time.Second

// PeopleExportRequest is the body of a PeopleExport request. It is about one channel.
type PeopleExportRequest struct {
	// Username is compared without regard to case.
	Username string `json:"username"`
	// Cursor is PeopleExportReply.Next of the reply before. Empty: from the beginning.
	Cursor string `json:"cursor,omitempty"`
	Origin
}

// PeopleExportReply is the reply to PeopleExport. If Success is false, only Error is set.
type PeopleExportReply struct {
	Success bool `json:"success"`
	// Items are at most 500, of at most 256 KiB.
	Items []PeopleItem `json:"items"`
	// Next is the Cursor of the request for the items behind these. Empty: there are no more.
	Next  string `json:"next,omitempty"`
	Error string `json:"error,omitempty"`
}

// PeopleItem is one thing that is stored about a user.
type PeopleItem struct {
	Kind PeopleKind `json:"kind"`
	// At is when it happened, in milliseconds since 1970 UTC. 0: it has no time.
	At int64 `json:"at_ms,omitempty"`
	// Content depends on the kind: an object with the columns of the row.
	Content json.RawMessage `json:"content"`
}

// PeopleKind is what a PeopleItem is.
type PeopleKind string

// The kinds.
const (
	PeopleUser       PeopleKind = "user"       // name, first and last seen, counted lines
	PeopleSession    PeopleKind = "session"    // a join or a leave
	PeopleLine       PeopleKind = "line"       // a line of chat
	PeopleHour       PeopleKind = "hour"       // lines counted in an hour
	PeoplePlay       PeopleKind = "play"       // media that they had queued
	PeopleAction     PeopleKind = "action"     // a command that they gave by private message
	PeopleOutbound   PeopleKind = "outbound"   // a line that they had the bot say
	PeopleDeadLetter PeopleKind = "deadLetter" // a message that could not be stored and names them
)

// PeopleForgetRequest is the body of a PeopleForget request. It is about one channel.
type PeopleForgetRequest struct {
	// Username is compared without regard to case.
	Username string `json:"username"`
	Origin
}

// PeopleForgetReply is the reply to PeopleForget. If Success is false, Removed counts what was removed before the
// error: the request can be repeated.
type PeopleForgetReply struct {
	Success bool `json:"success"`
	// Removed counts the removed rows by kind. What others said about the user stays.
	Removed map[PeopleKind]int64 `json:"removed"`
	// Until is the time up to which nothing about the user is stored again, in milliseconds since 1970 UTC, however it
	// comes back: by a replay, from the stream or by an import. What the user does later is stored.
	Until int64 `json:"until_ms"`
	// Backups are those that still have the rows, by name, the newest first.
	Backups []string `json:"backups,omitempty"`
	Error   string   `json:"error,omitempty"`
}
