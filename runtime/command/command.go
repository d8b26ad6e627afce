package command

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/speech"
)

// Conn is the part of a connection to CyTube with which commands act. *cytube.Conn implements it.
type Conn interface {
	Enqueue(ctx context.Context, media cytube.Media, temp bool) error
	Delete(ctx context.Context, uid int) error
	Move(ctx context.Context, uid int, after cytube.Place) error
	JumpTo(ctx context.Context, uid int) error
	PlayNext(ctx context.Context) error
	Voteskip(ctx context.Context) error
	AssignLeader(ctx context.Context, name string) error
	Lead(ctx context.Context, media cytube.Media, position float64, paused bool) error
	Kick(ctx context.Context, name, reason string) error
	ClearChat(ctx context.Context) error
	ToggleAFK(ctx context.Context) error
}

// Options configure a Handler. All are required.
type Options struct {
	// Config is as config.Sources.Load returns it, so that no pointer is nil.
	Config config.Commands
	// Room is the state of the channel. Handle reads it, so it must belong to the goroutine that calls Handle.
	Room      *room.Room
	Conn      Conn
	Speaker   *speech.Speaker
	Requester speech.Requester
	Publisher speech.Publisher
	// EventID returns the ID of an event that happens at a time.
	EventID func(at time.Time) string
	// Origin names the server and the channel, without a time.
	Origin bus.Origin
	// Leading reports whether the bot may act in the channel. It must not block.
	Leading func() bool
	// Status returns the states of the channel and of the database, for the reply to the command status.
	Status func() (channel, database string)
	// Started is when the bot was started.
	Started time.Time
	// Count counts a command by its source ("chat" or "pm"), its name and its outcome: "success", "error", "denied",
	// "busy" or "cooldown".
	Count func(source, name, outcome string)
	Log   *slog.Logger
}

// outcomes are the last arguments of Options.Count. Only commands in the chat have a cooldown.
var outcomes = []string{"success", "error", "denied", "busy", "cooldown"}

// ForEachCount calls f with all arguments with which a Handler may call Options.Count.
func ForEachCount(f func(source, name, outcome string)) {
	for _, each := range append(table(), command{source: fromPM, name: unknownName}) {
		for _, outcome := range outcomes {
			if each.source == fromChat || outcome != "cooldown" {
				f(string(each.source), each.name, outcome)
			}
		}
	}
}

// Handler executes the commands that users give during one session in the channel. Use New.
type Handler struct {
	Options
	commands []command
	enabled  map[source]bool
	cooldown time.Duration
	// lastChat has the time of each user's last chat command, by lower-case name. Only Handle uses it.
	lastChat map[string]time.Time
	jobs     chan job
	// confirm is given every event while the running task waits for one. Nil: it waits for none.
	confirm atomic.Pointer[func(cytube.Event)]
}

// New returns a Handler. It executes nothing until Run.
func New(o Options) *Handler {
	return &Handler{
		Options:  o,
		commands: table(),
		enabled:  map[source]bool{fromChat: *o.Config.Chat, fromPM: *o.Config.PM},
		cooldown: time.Duration(*o.Config.CooldownSeconds) * time.Second,
		lastChat: map[string]time.Time{},
		jobs:     make(chan job, maxJobs),
	}
}

// source is where a command was given. Its text is a label of metrics.
type source string

const (
	fromChat source = "chat"
	fromPM   source = "pm"
)

// command is an entry of the table.
type command struct {
	source source
	name   string
	// usage is what follows the name: words in capitals stand for a value, brackets for what may be left out.
	usage string
	// rank is the lowest rank of users who may give it. 0 is that of a guest: everybody with a name.
	rank float64
	// permission is what the user and the bot need besides. Empty: nothing.
	permission room.Permission
	// private commands are published for the audit with the first word of their arguments alone.
	private bool
	// run reads the Room and returns what is left to do. It is called on Handle's goroutine and must not block.
	run func(h *Handler, r request) (task, error)
}

// request is a command as a user gave it. args is the text after its name, as it was typed.
type request struct {
	source source
	user   cytube.User
	args   string
	// exact is false if a filter of the channel has replaced something in the text that is not known, so that a name in
	// args may lack some of its characters.
	exact bool
}

// task does what a command has to wait for, and returns the lines of the reply. It is called on Run's goroutine and
// must not use the Room.
type task func(ctx context.Context) ([]string, error)

// table returns all commands. help lists them in this order.
func table() []command {
	const mod = cytube.ModeratorRank
	return []command{
		{source: fromChat, name: "help", run: (*Handler).help},
		{source: fromChat, name: "seen", usage: "USER", run: (*Handler).seen},
		{source: fromChat, name: "stats", usage: "[USER]", run: (*Handler).userStats},
		{source: fromChat, name: "top", run: (*Handler).top},
		{source: fromChat, name: "uptime", run: (*Handler).uptime},

		{source: fromPM, name: "add", usage: "URL [temp]", rank: mod, permission: room.PermissionAdd, run: (*Handler).add},
		{source: fromPM, name: "afk", usage: "[on|off]", rank: mod, permission: room.PermissionChat, run: (*Handler).afk},
		{source: fromPM, name: "clear", rank: mod, permission: room.PermissionChatClear, run: (*Handler).clear},
		{source: fromPM, name: "current", rank: mod, run: (*Handler).current},
		{source: fromPM, name: "help", rank: mod, run: (*Handler).help},
		{source: fromPM, name: "info", rank: mod, run: (*Handler).info},
		{source: fromPM, name: "jump", usage: "NUMBER", rank: mod, permission: room.PermissionJump, run: (*Handler).jump},
		{source: fromPM, name: "kick", usage: "USER [REASON]", rank: mod, permission: room.PermissionKick,
			run: (*Handler).kick},
		{source: fromPM, name: "move", usage: "FROM TO", rank: mod, permission: room.PermissionMove, run: (*Handler).move},
		{source: fromPM, name: "next", rank: mod, permission: room.PermissionJump, run: (*Handler).next},
		{source: fromPM, name: "pause", rank: mod, permission: room.PermissionLeader, run: (*Handler).pause},
		{source: fromPM, name: "playlist", usage: "[COUNT]", rank: mod, permission: room.PermissionSeePlaylist,
			run: (*Handler).playlist},
		{source: fromPM, name: "pm", usage: "USER MESSAGE", rank: mod, private: true, run: (*Handler).pm},
		{source: fromPM, name: "remove", usage: "NUMBER", rank: mod, permission: room.PermissionDelete,
			run: (*Handler).remove},
		{source: fromPM, name: "say", usage: "MESSAGE", rank: mod, permission: room.PermissionChat, run: (*Handler).say},
		{source: fromPM, name: "stats", rank: mod, run: (*Handler).channelStats},
		{source: fromPM, name: "status", rank: mod, run: (*Handler).status},
		{source: fromPM, name: "user", usage: "NAME", rank: mod, run: (*Handler).user},
		{source: fromPM, name: "users", rank: mod, run: (*Handler).users},
		{source: fromPM, name: "voteskip", rank: mod, permission: room.PermissionVoteskip, run: (*Handler).voteskip},
	}
}
