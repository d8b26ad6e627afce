package bus

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Suffix is a subject without the prefix by which several bots share a NATS server.
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

// Subjects that only later versions of the Python service have.
const (
	QueryChannelStats Suffix = "db.query.channel_stats"
	QueryUserStats    Suffix = "db.query.user_stats"
	ActionPMCommand   Suffix = "db.action.pm_command"
	KVSet             Suffix = "db.kv.set"
	KVGet             Suffix = "db.kv.get"
	KVDelete          Suffix = "db.kv.delete"
	KVList            Suffix = "db.kv.list"
)

// Subjects that no Python service has: there, requests find no responder and events are lost.
const (
	OutboundPut    Suffix = "db.messages.outbound.put"
	OutboundFailed Suffix = "db.messages.outbound.mark_failed"
	MaintenanceRun Suffix = "db.maintenance.run"
	// OutboundPutCommand is OutboundPut for commands: the server of the channel executes them with the bot's rank. It is
	// a subject of its own so that saying and commanding can be two permissions.
	OutboundPutCommand Suffix = "db.messages.outbound.put_command"
	// OutboundCancel takes back a line that waits.
	OutboundCancel Suffix = "db.messages.outbound.cancel"
	// DeadList, DeadRetry and DeadDrop are about the dead letters of a service.
	DeadList  Suffix = "db.dead.list"
	DeadRetry Suffix = "db.dead.retry"
	DeadDrop  Suffix = "db.dead.drop"
	// MediaPlayed reports that the channel began to play something.
	MediaPlayed Suffix = "db.media.played"
	// The queries of the web page.
	QueryUserCounts Suffix = "db.query.user_counts"
	QueryChat       Suffix = "db.query.chat"
	QueryUsers      Suffix = "db.query.users"
	QueryUser       Suffix = "db.query.user"
	QueryMedia      Suffix = "db.query.media"
	QueryOutbound   Suffix = "db.query.outbound"
	QueryRecords    Suffix = "db.query.records"
	// QueryPluginActions is for what plugins said and did.
	QueryPluginActions Suffix = "db.query.plugin_actions"
)

// AnyQuery and AnyDead match each of Queries, and each request about dead letters, for permissions to publish: a
// credential with a list of all of them could be longer than the 4 KiB that a server takes for a line of the protocol
// by default.
const (
	AnyQuery Suffix = "db.query.*"
	AnyDead  Suffix = "db.dead.*"
)

// AllDatabase matches all events and requests of the database service, and the others the requests of a kind, for
// permissions to subscribe.
const (
	AllDatabase Suffix = "db.>"
	AllQueries  Suffix = "db.query.>"
	AllKV       Suffix = "db.kv.>"
	AllDead     Suffix = "db.dead.>"
	AllPeople   Suffix = "db.people.>"
)

// Queries are the requests that the web page reads with.
var Queries = []Suffix{
	QueryChannelStats, QueryUserStats, QueryUserCounts, QueryChat, QueryUsers, QueryUser, QueryMedia, QueryOutbound,
	QueryRecords, QueryPluginActions,
}

// OptionalRequests are those for which a user may lack the permission on purpose: whoever sends one that is denied gets
// an error, and all else goes on.
var OptionalRequests = []Suffix{
	OutboundPut, OutboundPutCommand, OutboundCancel, DeadList, DeadRetry, DeadDrop, PeopleExport, PeopleForget,
}

// isOptional reports whether a full subject is that of one of OptionalRequests.
func isOptional(subject string) bool {
	_, suffix, _ := strings.Cut(subject, ".") // a prefix has no dots
	return slices.Contains(OptionalRequests, Suffix(suffix)) || isPluginRequest(suffix) || isCommandsGet(suffix)
}

// isCommandsGet reports whether a suffix is CommandsGet of a channel, which the users of earlier versions may not send.
func isCommandsGet(suffix string) bool {
	return strings.HasPrefix(suffix, channelToken+".") && strings.HasSuffix(suffix, "."+commandsToken)
}

// isPluginRequest reports whether a suffix is that of a request of a plugin: to a bot, or about its keys.
func isPluginRequest(suffix string) bool {
	tokens := strings.Split(suffix, ".")
	return tokens[0] == pluginToken && len(tokens) > 4 && tokens[3] == "out" ||
		strings.HasPrefix(suffix, kvToken+".") && len(tokens) == 5
}

// Events are the subjects on which events are published. They are the subjects of the stream.
var Events = []Suffix{
	UserJoined, UserLeft, MessageLog, StatsUserCount, StatsHighWater, StatusUpdate, ActionPMCommand,
	OutboundSent, OutboundFailed, MediaPlayed,
}

// LaterEvents are the Events that earlier versions did not have. A stream that an administrator has created for one of
// them may lack them.
var LaterEvents = []Suffix{MediaPlayed}

// Subjects derives subjects and the names of NATS objects from a prefix.
type Subjects struct{ prefix string }

// prefixPattern is what a prefix may be: one token of a subject that is also valid in the names of streams, consumers
// and buckets, and that neither the server nor an inbox uses. Its length is compared apart: in the pattern, {0,127}
// would take every process 100 KiB of memory.
var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

const maxPrefix = 128

// NewSubjects returns the Subjects of a prefix, or an error that says what a prefix may be.
func NewSubjects(prefix string) (Subjects, error) {
	if len(prefix) > maxPrefix || !prefixPattern.MatchString(prefix) {
		return Subjects{}, fmt.Errorf("subject prefix %q: expected one token of at most 128 letters, digits, '-' and '_' "+
			"that begins with a letter or a digit", prefix)
	}
	return Subjects{prefix: prefix}, nil
}

// Prefix returns the prefix.
func (s Subjects) Prefix() string { return s.prefix }

// Subject returns the full subject of a suffix.
func (s Subjects) Subject(suffix Suffix) string { return s.prefix + "." + string(suffix) }

// Suffix returns the suffix of a full subject, and false if the subject has another prefix.
func (s Subjects) Suffix(subject string) (Suffix, bool) {
	rest, ok := strings.CutPrefix(subject, s.prefix+".")
	return Suffix(rest), ok
}

// OutboundWaiting returns the subject on which the database service announces that a line waits in the outbound queue
// of a channel, so that its bot requests it at once. The payload is an Origin. The announcement is best effort: a bot
// polls too.
func (s Subjects) OutboundWaiting(channel string) string {
	return s.prefix + "." + outboundToken + "." + ChannelToken(channel) + "." + waitingToken
}

// AnyOutboundWaiting matches OutboundWaiting of every channel, for permissions to publish.
const AnyOutboundWaiting Suffix = outboundToken + ".*." + waitingToken

// AllOutbound matches OutboundWaiting of every channel, for permissions to subscribe.
const AllOutbound Suffix = outboundToken + ".>"

const (
	outboundToken = "outbound"
	waitingToken  = "waiting"
)

// ChannelToken returns the name of a channel as one token of a subject, in lower case: CyTube ignores the case.
func ChannelToken(name string) string { return strings.ToLower(SubjectToken(name)) }

// maxToken limits the length of names that the CyTube server sends.
const maxToken = 64

// SubjectToken returns a name as one token of a subject: at most 64 letters, digits, '-' and '_', which replaces
// everything else.
func SubjectToken(name string) string {
	token := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, name)
	return token[:min(len(token), maxToken)]
}

// What the names of streams and buckets consist of beside the prefix.
const (
	eventsSuffix = "_events"
	locksSuffix  = "_locks"
	bucketPrefix = "KV_" // of the stream that NATS keeps for a key-value bucket
)

// StreamName returns the name of the stream of events.
func (s Subjects) StreamName() string { return s.prefix + eventsSuffix }

// SubjectsOfStream returns the Subjects whose StreamName is a name. ok is false if there are none.
func SubjectsOfStream(name string) (subjects Subjects, ok bool) {
	return subjectsBetween("", name, eventsSuffix)
}

// ConsumerName returns the name of the durable consumer that the database services share.
func (s Subjects) ConsumerName() string { return s.prefix + "_db" }

// LockBucket returns the name of the key-value bucket for the leader election of bots.
func (s Subjects) LockBucket() string { return s.prefix + locksSuffix }

// LockStream returns the name of the stream that NATS keeps for LockBucket.
func (s Subjects) LockStream() string { return bucketPrefix + s.LockBucket() }

// SubjectsOfLockStream returns the Subjects whose LockStream is a name. ok is false if there are none.
func SubjectsOfLockStream(name string) (subjects Subjects, ok bool) {
	return subjectsBetween(bucketPrefix, name, locksSuffix)
}

// subjectsBetween returns the Subjects whose prefix is between the beginning and the end of a name.
func subjectsBetween(beginning, name, end string) (Subjects, bool) {
	rest, begins := strings.CutPrefix(name, beginning)
	rest, ends := strings.CutSuffix(rest, end)
	subjects, err := NewSubjects(rest)
	return subjects, begins && ends && err == nil
}

// QueueGroup returns the queue group in which the database services share requests and events.
func (s Subjects) QueueGroup() string { return s.prefix + "_db" }

// Role is the kind of a process: what it does on NATS, and so which permissions its user needs.
type Role string

// The roles.
const (
	BotRole     Role = "bot" // a bot, also with the database service in the same process
	ServiceRole Role = "db"  // the database service
	CLIRole     Role = "cli" // the commands for people
	WebRole     Role = "web" // the web page
	// PluginRole is a plugin, or several in one process. Its inboxes are PluginSubjects.InboxPrefix.
	PluginRole Role = "plugin"
	// AdminRole is whoever creates stream, consumer and bucket where bot and service may not: `rosey nats create`.
	AdminRole Role = "admin"
)

// InboxPrefix returns the prefix of the inboxes of a role, for Options.InboxPrefix. With inboxes of its own, a user
// needs no permission to subscribe to `_INBOX.>`, by which it could read the replies to all others of the account.
func (s Subjects) InboxPrefix(role Role) string {
	return inboxToken + "_" + s.prefix + "_" + string(role)
}

const (
	// inboxToken is the first token of inboxes, or the beginning of it.
	inboxToken = "_INBOX"
	// importedReply is the first token by which the server replaces the reply subject of a request from another account.
	importedReply = "_R_"
	// gatewayReply is what the server puts in front of the reply subject of a request from another cluster, with two
	// more tokens that name the cluster and the server.
	gatewayReply = "_GR_"
)

// IsInbox reports whether a reply subject is an inbox. Whoever answers requests must not reply to another subject: a
// client could otherwise have it publish where the client itself may not, for example a JetStream request or an event.
// Clients cannot use the subjects of the server: it refuses them.
func IsInbox(subject string) bool {
	first, rest, found := strings.Cut(subject, ".")
	switch {
	case !found || rest == "" || strings.ContainsAny(subject, "*>"):
		return false
	case first == gatewayReply: // the server removes what it has put in front before it delivers the reply
		parts := strings.SplitN(rest, ".", 3)
		return len(parts) == 3 && !strings.HasPrefix(parts[2], gatewayReply) && IsInbox(parts[2])
	}
	return first == inboxToken || strings.HasPrefix(first, inboxToken+"_") || first == importedReply
}
