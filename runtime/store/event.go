package store

import (
	"encoding/json"
	"strings"
	"time"
)

// Channel identifies a CyTube channel. All rows belong to one.
type Channel struct {
	// Server is the base URL of the CyTube site, in lower case and without a trailing slash.
	Server string
	// Name is the channel's name. Spellings that differ in case are the same channel.
	Name string
}

// Fold returns the form in which channels are compared.
func (c Channel) Fold() Channel {
	return Channel{Server: Fold(c.Server), Name: Fold(c.Name)}
}

// Fold returns the form in which names are compared.
func Fold(name string) string { return strings.ToLower(name) }

// Event is something that happened in a channel.
type Event struct {
	// ID identifies the event: applying it again changes nothing. The IDs of a channel's events sort by time.
	ID      string
	Channel Channel
	// At is when it happened, in milliseconds.
	At time.Time
	// Fact is what happened.
	Fact Fact
}

// Fact is what happened. The types that implement it are in this file, except OutboundSent and OutboundFailed.
type Fact interface{ fact() }

// UserJoined reports that a user joined the channel, or was there when the bot joined.
type UserJoined struct{ Username string }

// UserLeft reports that a user left the channel, or that the bot cannot see them any more.
type UserLeft struct{ Username string }

// ChatLine is a line of chat.
type ChatLine struct {
	Username string
	// Text is HTML as CyTube sent it.
	Text string
}

// UserCount is a sample of the number of users.
type UserCount struct {
	// Chat is the number of named users, Connected that of all connections.
	Chat, Connected int
}

// HighWater raises the channel's maxima.
type HighWater struct {
	Chat int
	// Connected is nil if unknown.
	Connected *int
}

// Action is something that a user did with the bot.
type Action struct {
	Username string
	// Type is the kind of action, for example ActionPMCommand.
	Type string
	// Details are for people.
	Details string
	// Plugin is set if a plugin caused it.
	Plugin PluginAction
}

// PluginAction is something that a plugin caused. The zero value is that no plugin did.
type PluginAction struct {
	// Plugin is its name.
	Plugin string
	// Call is the ID of the call because of which it was done. Empty: the plugin did it by itself.
	Call string
	// Did is the command that was called, or what the plugin asked for. Args are what it was about, and Said the lines
	// that were said.
	Did, Args, Said string
	// Problem is why it failed. Empty: it did not.
	Problem string
}

// maxPluginText bounds each text of a PluginAction, in bytes. What is longer is cut off.
const maxPluginText = 2 << 10

func (p PluginAction) clean() PluginAction {
	for _, text := range []*string{&p.Plugin, &p.Call, &p.Did, &p.Args, &p.Said, &p.Problem} {
		*text = TruncateText(*text, maxPluginText)
	}
	return p
}

// ActionPMCommand is the Action.Type of a command by private message.
const ActionPMCommand = "pm_command"

// Status is the bot's state.
type Status struct {
	// Fields are values in JSON by their names, which package bus defines. Each is stored as a row of its own, because
	// each has its own last writer. A field that is absent leaves the stored value unchanged.
	Fields map[string]json.RawMessage
	// WatchingSince is when the bot joined and knew who was there. It starts a Watch, and everyone who was there has a
	// UserJoined of exactly this time. Nil: unknown.
	WatchingSince *time.Time
}

// MediaPlayed reports that the channel began to play something. Every report is stored; those about one item whose
// times differ by less than MediaGap are one play, and one with Found belongs to the play of the report before it, if
// that is about the same item and at most MaxPlay older.
type MediaPlayed struct {
	// Type and ID identify the item as CyTube does.
	Type, ID string
	Title    string
	// Seconds is its length, 0 if it has none.
	Seconds int64
	// QueuedBy is empty if it is unknown.
	QueuedBy string
	// Found is when a bot that joined found it playing. Zero: it began while the bot was in the channel.
	Found time.Time
}

func (MediaPlayed) fact()    {}
func (UserJoined) fact()     {}
func (UserLeft) fact()       {}
func (ChatLine) fact()       {}
func (UserCount) fact()      {}
func (HighWater) fact()      {}
func (Status) fact()         {}
func (Action) fact()         {}
func (OutboundSent) fact()   {}
func (OutboundFailed) fact() {}

// Normalize prepares events for a database. Every store calls it first, so that all store the same. It removes events
// that lack the user or the item they are about, cuts times to milliseconds and cleans texts.
func Normalize(events []Event) []Event {
	normal := make([]Event, 0, len(events))
	for _, event := range events {
		event.ID = CleanText(event.ID)
		event.Channel = Channel{Server: CleanText(event.Channel.Server), Name: CleanText(event.Channel.Name)}
		event.At = time.UnixMilli(event.At.UnixMilli()).UTC()
		event.Fact = normalizeFact(event.Fact)
		if event.Fact != nil {
			normal = append(normal, event)
		}
	}
	return normal
}

// normalizeFact returns nil for a fact that lacks its user or its item.
func normalizeFact(fact Fact) Fact {
	switch fact := fact.(type) {
	case UserJoined:
		return withUser(fact.Username, UserJoined{Username: CleanText(fact.Username)})
	case UserLeft:
		return withUser(fact.Username, UserLeft{Username: CleanText(fact.Username)})
	case ChatLine:
		return withUser(fact.Username, ChatLine{Username: CleanText(fact.Username), Text: CleanText(fact.Text)})
	case Action:
		return withUser(fact.Username, Action{
			Username: CleanText(fact.Username), Type: CleanText(fact.Type), Details: CleanText(fact.Details),
			Plugin: fact.Plugin.clean(),
		})
	case MediaPlayed:
		return normalizeMedia(fact)
	case Status:
		fields := make(map[string]json.RawMessage, len(fact.Fields))
		for name, value := range fact.Fields {
			fields[CleanText(name)] = json.RawMessage(CleanText(string(value)))
		}
		fact.Fields = fields
		if fact.WatchingSince != nil {
			fact.WatchingSince = new(time.UnixMilli(fact.WatchingSince.UnixMilli()).UTC())
		}
		return fact
	case OutboundFailed:
		fact.Error = TruncateText(fact.Error, maxErrorBytes)
		fact.Attempts = min(max(fact.Attempts, 0), MaxAttempts-1)
		return fact
	default:
		return fact
	}
}

func normalizeMedia(fact MediaPlayed) Fact {
	if fact.Type == "" || fact.ID == "" {
		return nil
	}
	if !fact.Found.IsZero() {
		fact.Found = time.UnixMilli(fact.Found.UnixMilli()).UTC()
	}
	return MediaPlayed{
		Found: fact.Found,
		Type:  CleanText(fact.Type), ID: CleanText(fact.ID), Title: CleanText(fact.Title), Seconds: max(fact.Seconds, 0),
		QueuedBy: CleanText(fact.QueuedBy),
	}
}

func withUser(name string, fact Fact) Fact {
	if name == "" {
		return nil
	}
	return fact
}

// CleanText replaces what a database's text cannot hold by U+FFFD. NUL ends a text in SQLite and is forbidden in
// PostgreSQL; invalid UTF-8 would fail later, in a client.
func CleanText(text string) string {
	const replacement = "\uFFFD"
	return strings.ReplaceAll(strings.ToValidUTF8(text, replacement), "\x00", replacement)
}

// TruncateText is CleanText for a text of which at most limit bytes are kept. What is cut off is replaced by "…", which
// is included in the limit.
func TruncateText(text string, limit int) string {
	const ellipsis = "…"
	text = CleanText(text)
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:max(limit-len(ellipsis), 0)], "") + ellipsis
}
