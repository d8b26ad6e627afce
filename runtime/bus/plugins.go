package bus

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/status"
)

// PluginSubjects are the subjects of one plugin in one channel. What the bot sends is below "in", what the plugin sends
// below "out", so the permissions of the plugin's user follow from the tree.
type PluginSubjects struct {
	Channel string // as a token of a subject
	Name    string
	prefix  string
	// base and kv end in a dot.
	base, kv string
}

// MaxPluginName and MaxPluginCommandName are the lengths of the longest names of a plugin and of a command.
const (
	MaxPluginName        = 30
	MaxPluginCommandName = 30
)

// Lengths are compared apart: repetitions in a pattern would take every process memory.
var (
	pluginName    = regexp.MustCompile(`^[a-z0-9]+$`)
	pluginCommand = regexp.MustCompile(`^[a-z0-9_-]+$`)
)

// IsPluginName reports whether a plugin may have a name: 1 to 30 lower-case letters and digits.
func IsPluginName(name string) bool {
	return len(name) <= MaxPluginName && pluginName.MatchString(name)
}

// IsPluginCommand reports whether the command of a plugin may have a name: 1 to 30 lower-case letters, digits, '-' and
// '_', which is a token of a subject.
func IsPluginCommand(name string) bool {
	return len(name) <= MaxPluginCommandName && pluginCommand.MatchString(name)
}

// IsPluginAlias reports whether the command of a plugin may have another name: 1 to 30 printable characters of any
// script, in lower case as what people type is compared, without spaces, '/' and '.'.
func IsPluginAlias(name string) bool {
	return name != "" && status.OneLine(name, MaxPluginCommandName) == name && strings.ToLower(name) == name &&
		!strings.ContainsAny(name, " /.")
}

// Plugin returns the subjects of a plugin in a channel.
func (s Subjects) Plugin(channel, name string) (PluginSubjects, error) {
	if !IsPluginName(name) {
		return PluginSubjects{}, fmt.Errorf("plugin %q: expected 1 to %d lower-case letters and digits", name, MaxPluginName)
	}
	token := ChannelToken(channel)
	return PluginSubjects{
		Channel: token, Name: name, prefix: s.prefix,
		base: s.prefix + "." + pluginToken + "." + token + "." + name + ".",
		kv:   s.Subject(kvToken) + "." + token + "." + name + ".",
	}, nil
}

const (
	pluginToken = "plugin"
	kvToken     = "db.kv"
)

// Patterns of the subjects of plugins, for permissions.
const (
	// AllPlugins matches what plugins of all channels send and receive, for permissions of a bot to subscribe.
	AllPlugins Suffix = pluginToken + ".>"
	// AnyPluginCall and AnyPluginCancel match what bots send to plugins, for permissions to publish.
	AnyPluginCall   Suffix = pluginToken + ".*.*.in.call.*"
	AnyPluginCancel Suffix = pluginToken + ".*.*.in.cancel"
)

// Call returns the subject on which the plugin receives calls of one of its commands, as requests.
func (p PluginSubjects) Call(command string) string { return p.base + "in.call." + command }

// AllCalls matches Call of every command.
func (p PluginSubjects) AllCalls() string { return p.base + "in.call.>" }

// Owns reports whether a subject is one of the plugin's calls, or what else it receives and sends except KV.
func (p PluginSubjects) Owns(subject string) bool { return strings.HasPrefix(subject, p.base) }

// Cancel returns the subject on which the plugin hears that nobody waits for the answer to a call any more.
func (p PluginSubjects) Cancel() string { return p.base + "in.cancel" }

// All matches everything that the plugin sends, for the bot.
func (p PluginSubjects) All() string { return p.base + "out.>" }

// Say returns the subject of requests to say lines now.
func (p PluginSubjects) Say() string { return p.base + "out.say" }

// Take returns the subject of requests to take a line of the chat as a command, which begins the command's cooldown.
func (p PluginSubjects) Take() string { return p.base + "out.take" }

// Queue returns the subject of requests to put a line into the outbound queue of the database.
func (p PluginSubjects) Queue() string { return p.base + "out.queue" }

// Act returns the subject of requests to do something in the channel.
func (p PluginSubjects) Act(verb PluginVerb) string { return p.base + "out.act." + string(verb) }

// State returns the subject of requests for a part of the channel's state.
func (p PluginSubjects) State(thing PluginThing) string { return p.base + "out.state." + string(thing) }

// Hello and Bye return the subjects on which a plugin says that it begins and ends. They have a PluginHello as payload.
func (p PluginSubjects) Hello() string { return p.base + "out.hello" }

// Bye is described at Hello.
func (p PluginSubjects) Bye() string { return p.base + "out.bye" }

// KV returns the subject of a key-value request of the plugin. Only the names in the subject count.
func (p PluginSubjects) KV(op PluginKVOp) string { return p.kv + string(op) }

// Foreign returns a subject of the tree of another plugin, which there is not and cannot be. Only a user who may
// receive what is for all plugins may subscribe to it.
func (p PluginSubjects) Foreign() string {
	return p.prefix + "." + pluginToken + "." + p.Channel + "._.in.call.permissions"
}

// AnyKV matches KV of every operation, for permissions to publish.
func (p PluginSubjects) AnyKV() string { return p.kv + "*" }

// PluginKV matches PluginSubjects.KV of an operation for the plugins of all channels. The service subscribes to it.
func PluginKV(op PluginKVOp) Suffix { return kvToken + ".*.*." + Suffix(op) }

// PluginOfKV returns the tokens of the channel and of the plugin in the suffix of PluginSubjects.KV, whatever they are.
// ok is false if it is another suffix, such as KVGet.
func PluginOfKV(suffix Suffix) (channel, plugin string, op PluginKVOp, ok bool) {
	rest, ok := strings.CutPrefix(string(suffix), kvToken+".")
	if !ok || strings.Count(rest, ".") != 2 {
		return "", "", "", false
	}
	parts := strings.Split(rest, ".")
	op = PluginKVOp(parts[2])
	return parts[0], parts[1], op, slices.Contains(PluginKVOps, op)
}

// QueueGroup returns the queue group in which the plugin's processes share calls and events.
func (p PluginSubjects) QueueGroup() string { return p.Name }

// InboxPrefix returns the prefix of the inboxes of the plugin's user.
func (p PluginSubjects) InboxPrefix() string {
	return inboxToken + "_" + p.prefix + "_plugin_" + p.Channel + "_" + p.Name
}

// ServiceName returns the name of the plugin in the NATS services protocol. No two plugins have the same.
func (p PluginSubjects) ServiceName() string {
	return p.prefix + "_" + serviceEscape.Replace(p.Channel) + "_" + p.Name
}

// serviceEscape keeps the channel apart from what is before and behind it: neither it nor a plugin's name has a "_"
// afterwards.
var serviceEscape = strings.NewReplacer("-", "--", "_", "-u")

// PluginOfSubject returns the channel, as a token, and the plugin whose subject one is, and what follows: "out.say" for
// example. ok is false if it is no subject of a plugin.
func (s Subjects) PluginOfSubject(subject string) (channel, plugin, rest string, ok bool) {
	suffix, ok := s.Suffix(subject)
	parts := strings.SplitN(string(suffix), ".", 4)
	if !ok || len(parts) != 4 || parts[0] != pluginToken || !IsPluginName(parts[2]) {
		return "", "", "", false
	}
	return parts[1], parts[2], parts[3], true
}

// Limits of calls of plugins. What exceeds one is refused.
const (
	// MaxPlugins is the number of plugins of a channel.
	MaxPlugins = 20
	// MaxPluginCommands is the number of commands of a plugin.
	MaxPluginCommands = 50
	// MaxPluginBytes bounds a call, a reply and a request of a plugin, and MaxPluginMetadataBytes the description of a
	// command.
	MaxPluginBytes         = 16 << 10
	MaxPluginMetadataBytes = 4 << 10
	// MaxPluginLines and MaxPluginLineLength bound an answer. The length is in UTF-16 code units, as CyTube counts.
	MaxPluginLines      = 5
	MaxPluginLineLength = 320
	// MaxPluginCalls are the calls of a plugin that are being answered at the same time. A user has one of them.
	MaxPluginCalls = 8
	// PluginTimeout is how long a plugin may take for a call unless its command declares another time, which is at most
	// MaxPluginTimeout.
	PluginTimeout    = 5 * time.Second
	MaxPluginTimeout = time.Minute
)

// PluginRequestTimeout is how long a plugin waits for the answer to a request, unless its header DeadlineHeader says
// less. Afterwards the bot does nothing about it.
const PluginRequestTimeout = 35 * time.Second

// DeadlineHeader is the header of a call, and of a request of a plugin, with how long the answer is waited for, in
// milliseconds.
const DeadlineHeader = "Rosey-Deadline"

// CommandMetadata is the key, in the metadata of an endpoint of the NATS services protocol, of a PluginCommand as JSON.
const CommandMetadata = "rosey.dev/command"

// PermissionsMetadata is the key, in the metadata of a plugin's service, of what the plugin has found out about the
// permissions of its NATS user. PermissionsOpen: it may receive what is for other plugins. The bot cannot see that
// itself.
const (
	PermissionsMetadata = "rosey.dev/permissions"
	PermissionsOpen     = "open"
)

// Sources of commands: values of PluginCall.Via, and of PluginReply.To.
const (
	ViaChat = "chat"
	ViaPM   = "pm"
)

// PluginCommand is what a plugin declares about a command. The bot enforces it, and the owner of the bot can overrule
// it.
type PluginCommand struct {
	// Name is what users type after the prefix: 1 to 30 characters, without space, in lower case. It is also the last
	// token of the subject, and so [a-z0-9_-].
	Name string `json:"name"`
	// Aliases are other names, at most 5.
	Aliases []string `json:"aliases,omitempty"`
	// Usage is what follows the name, for example "[n]dS[+m]". Help is one sentence. Examples are whole lines without the
	// prefix.
	Usage    string   `json:"usage,omitempty"`
	Help     string   `json:"help,omitempty"`
	Examples []string `json:"examples,omitempty"`
	// Rank is the lowest rank of users who may give it, as CyTube counts: 0 a guest, 1 registered, 2 a moderator.
	Rank float64 `json:"rank,omitempty"`
	// Cooldown is how long a user and the whole channel wait until the next call.
	Cooldown PluginCooldown `json:"cooldown,omitzero"`
	// TimeoutMS is the time for an answer, in milliseconds. 0: PluginTimeout.
	TimeoutMS int `json:"timeout_ms,omitempty"`
	// Via are the sources from which it can be called. Empty: ViaChat and ViaPM.
	Via []string `json:"via,omitempty"`
	// Private leaves its arguments out of the audit also if it is given in the chat. Those of private messages never are
	// in it.
	Private bool `json:"private,omitempty"`
	// Lines declares that the plugin also takes lines of the chat as this command, without the prefix, such as an answer
	// in a quiz. The fields may_call and cooldowns of each event that is a line say whether it may be taken so, and
	// whether the bot is to be asked before: see PluginTakeRequest.
	Lines bool `json:"lines,omitempty"`
}

// PluginCooldown is in milliseconds.
type PluginCooldown struct {
	UserMS    int `json:"user_ms,omitempty"`
	ChannelMS int `json:"channel_ms,omitempty"`
}

// PluginCall is the body of a call.
type PluginCall struct {
	// ID identifies the call in what the plugin requests because of it.
	ID   string     `json:"call"`
	Via  string     `json:"via"`
	User PluginUser `json:"user"`
	// Command is the name that the plugin declared, whatever the user typed.
	Command string `json:"command"`
	// Args is what follows the command, and Text the whole line, both as they were typed.
	Args string `json:"args"`
	Text string `json:"text"`
}

// PluginUser is who called.
type PluginUser struct {
	Name string  `json:"name"`
	Rank float64 `json:"rank"`
}

// PluginReply is the reply to a call. An error is a reply with the headers of the NATS services protocol instead:
// CodeUsage is about the arguments, and its description is shown to the user; others are logged.
type PluginReply struct {
	Lines []string `json:"lines,omitempty"`
	// To is ViaChat or ViaPM. Empty: where the call came from.
	To string `json:"to,omitempty"`
	// Cooldown is whether the call counts for the command's cooldown. Nil: it does.
	Cooldown *bool `json:"cooldown,omitempty"`
}

// Codes of errors of plugins.
const (
	CodeUsage    = "400"
	CodeInternal = "500"
	CodeBusy     = "503"
)

// PluginCancel is the body of Cancel.
type PluginCancel struct {
	ID  string `json:"call"`
	Why string `json:"why"`
}

// Reasons of a PluginCancel.
const (
	CancelDeadline = "deadline" // the time for the answer is over
	CancelLeft     = "left"     // the bot left the channel
	CancelLeader   = "leader"   // another bot is in the channel now
	CancelRemoved  = "removed"  // the plugin is configured no more
)

// PluginHello is the payload of Hello and Bye.
type PluginHello struct {
	// ID is that of the process in the NATS services protocol.
	ID string `json:"id"`
}

// PluginSayRequest is the body of Say.
type PluginSayRequest struct {
	// ID identifies the request: one with the ID of an earlier one gets the answer to that, and nothing is said.
	ID string `json:"id"`
	// Call is the ID of the call because of which the plugin speaks. Empty: it speaks by itself.
	Call  string   `json:"call,omitempty"`
	Lines []string `json:"lines"`
	// To is ViaChat or ViaPM; empty: ViaChat. User is who gets the private message.
	To   string `json:"to,omitempty"`
	User string `json:"user,omitempty"`
	// ExpiresMS is after how many milliseconds the lines are not said any more. 0: 30 s. It is at most 10 minutes.
	ExpiresMS int `json:"expires_ms,omitempty"`
}

// PluginTakeRequest is the body of Take, which a plugin requests before it takes a line of the chat, without the
// prefix, as a call of one of its commands that has a cooldown. The cooldown begins if the outcome is OutcomeDone. The
// outcome is OutcomeThrottled if the user has to wait, and OutcomeDenied if lines of the user are not to be taken so.
type PluginTakeRequest struct {
	Command string `json:"command"`
	// User is who wrote the line.
	User string `json:"user"`
}

// PluginQueueRequest is the body of Queue.
type PluginQueueRequest struct {
	ID   string `json:"id"`
	Call string `json:"call,omitempty"`
	Line string `json:"line"`
}

// PluginActRequest is the body of Act. Which fields a verb needs is described there.
type PluginActRequest struct {
	// ID identifies the request: one with the ID of an earlier one gets the answer to that, and nothing is done.
	ID   string `json:"id"`
	Call string `json:"call,omitempty"`
	// Check has the bot only check whether it would do it: the reply is the same, except that nothing was done.
	Check bool `json:"check,omitempty"`
	// URL is what VerbPlaylistAdd adds.
	URL string `json:"url,omitempty"`
	// UID is an item of the playlist, for VerbPlaylistRemove and VerbPlaylistJump, and for VerbPlaylistSkip what must play
	// still, so that nothing else is skipped. 0: whatever plays.
	UID int `json:"uid,omitempty"`
	// User is whom VerbKick kicks, and Reason why.
	User   string `json:"user,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Title, Options and ObscureResults are a poll, for VerbPollOpen.
	Title          string   `json:"title,omitempty"`
	Options        []string `json:"options,omitempty"`
	ObscureResults bool     `json:"obscure_results,omitempty"`
	// Opened is Poll.Opened of the poll that VerbPollClose closes, so that no other one is closed. 0: whichever is open.
	Opened int64 `json:"opened_ms,omitempty"`
}

// PluginOutcome is the reply to Say, Queue and Act.
type PluginOutcome struct {
	// Success is true if the lines were said or queued, or the channel shows that it was done.
	Success bool `json:"success"`
	// Outcome is one of the constants Outcome….
	Outcome string `json:"outcome"`
	// Error says why Success is false.
	Error string `json:"error,omitempty"`
	// Row is that of the line in the outbound queue, for Queue.
	Row int64 `json:"row,omitempty"`
	// Item is what VerbPlaylistAdd has added, as the channel shows it: of a list the first item. If it was only checked,
	// it is what would be sent to the server, of which Type and ID are known: the same for all links of a film.
	Item *QueuedMedia `json:"item,omitempty"`
}

// Values of PluginOutcome.Outcome.
const (
	OutcomeDone      = "done"
	OutcomeThrottled = "throttled" // too much at once: try again later
	OutcomeDenied    = "denied"    // not granted, or the rank is too low
	OutcomeInvalid   = "invalid"   // the request is not valid
	OutcomeFailed    = "failed"    // the server refused it, or the bot could not do it
	// OutcomeUnconfirmed: the server has not shown in time that it was done. It may be done yet.
	OutcomeUnconfirmed = "unconfirmed"
)

// PluginVerb is something that a plugin may be granted to do in the channel.
type PluginVerb string

// The verbs.
const (
	VerbPlaylistAdd     PluginVerb = "playlist.add"     // URL, at the end
	VerbPlaylistSkip    PluginVerb = "playlist.skip"    // what plays; UID
	VerbPlaylistRemove  PluginVerb = "playlist.remove"  // UID
	VerbPlaylistJump    PluginVerb = "playlist.jump"    // UID
	VerbPlaylistShuffle PluginVerb = "playlist.shuffle" // all of it
	VerbPollOpen        PluginVerb = "poll.open"        // Title, Options, ObscureResults
	VerbPollClose       PluginVerb = "poll.close"       // that which is open; Opened
	VerbKick            PluginVerb = "kick"             // User, Reason
)

// PluginVerbs are all verbs.
var PluginVerbs = []PluginVerb{
	VerbPlaylistAdd, VerbPlaylistSkip, VerbPlaylistRemove, VerbPlaylistJump, VerbPlaylistShuffle, VerbPollOpen,
	VerbPollClose, VerbKick,
}

// PluginThing is a part of the channel's state for which a plugin may ask. The reply is a ChannelState in which only
// this part is set, beside Success, FeedPosition, Server, Channel, At, Joined and Self.
type PluginThing string

// The parts.
const (
	StateUsers    PluginThing = "users"    // ChannelState.Users, UserCount and Connected
	StateMedia    PluginThing = "media"    // ChannelState.Playing and PlaybackLeader
	StatePlaylist PluginThing = "playlist" // ChannelState.Next and PlaylistItems
	StatePoll     PluginThing = "poll"     // ChannelState.Poll
)

// PluginThings are all parts.
var PluginThings = []PluginThing{StateUsers, StateMedia, StatePlaylist, StatePoll}

// PluginKVOp is an operation on the keys of a plugin.
type PluginKVOp string

// The operations.
const (
	PluginKVGet    PluginKVOp = "get"
	PluginKVSet    PluginKVOp = "set"
	PluginKVDelete PluginKVOp = "delete"
	PluginKVList   PluginKVOp = "list"
	PluginKVAdd    PluginKVOp = "add"
)

// PluginKVOps are all operations.
var PluginKVOps = []PluginKVOp{PluginKVGet, PluginKVSet, PluginKVDelete, PluginKVList, PluginKVAdd}

// PluginKVRequest is the body of KV. Which fields an operation uses is described there.
type PluginKVRequest struct {
	// Key is for all operations but PluginKVList: 1 to MaxKVKeyBytes bytes of UTF-8 without NUL.
	Key string `json:"key,omitempty"`
	// Value is any JSON, for PluginKVSet: at most MaxKVValueBytes.
	Value json.RawMessage `json:"value,omitempty"`
	// By is what PluginKVAdd adds to the whole number that is stored, 0 if there is none. It may be negative.
	By int64 `json:"by,omitempty"`
	// TTLSeconds is after how many seconds the key is gone, for PluginKVSet, and for PluginKVAdd if there is no such key
	// yet: one that exists keeps its time, so that what is counted can be counted by the minute or the day. 0: never.
	TTLSeconds float64 `json:"ttl_seconds,omitempty"`
	// IfRevision makes PluginKVSet and PluginKVDelete fail with KVConflict unless the key has this revision; 0: unless
	// there is no such key. Nil: in any case. Other operations have none.
	IfRevision *int64 `json:"if_revision,omitempty"`
	// Prefix, After and Limit are for PluginKVList: keys that begin with Prefix and are behind After, at most Limit, from
	// 1 to MaxKVListLimit. 0: MaxKVListLimit. Values asks for the values too.
	Prefix string `json:"prefix,omitempty"`
	After  string `json:"after,omitempty"`
	Limit  int    `json:"limit,omitempty"`
	Values bool   `json:"values,omitempty"`
}

// PluginKVData is Data of the KVReply to KV.
type PluginKVData struct {
	// Exists reports whether there is, or was before PluginKVDelete, such a key.
	Exists bool `json:"exists"`
	// Value is what is stored, for PluginKVGet and PluginKVAdd.
	Value json.RawMessage `json:"value,omitempty"`
	// Revision is that of the key, for PluginKVGet, PluginKVSet and PluginKVAdd. No two values that a key ever had have
	// the same, also if it was deleted in between, or the database restored from a backup. A later one is greater, and all
	// are less than 2^53: JavaScript can represent them.
	Revision int64 `json:"revision,omitempty"`
	// Entries are for PluginKVList, by the bytes of their keys. Truncated means that there are more.
	Entries   []PluginKVEntry `json:"entries,omitzero"`
	Truncated bool            `json:"truncated,omitempty"`
}

// PluginKVEntry is a key in a list.
type PluginKVEntry struct {
	Key      string          `json:"key"`
	Revision int64           `json:"revision"`
	Value    json.RawMessage `json:"value,omitempty"` // if it was asked for
}

// KVConflict means that the key does not have the revision of the request.
const KVConflict KVCode = "CONFLICT"
