package command

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/bus"
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
	ShufflePlaylist(ctx context.Context) error
	OpenPoll(ctx context.Context, poll cytube.Poll) error
	ClosePoll(ctx context.Context) error
}

// Plugins calls the commands of plugins. pluginclient.Client implements it.
type Plugins interface {
	// Call begins a call and returns at once.
	Call(call Call)
	// Rejected counts a call that came before the cooldown was over.
	Rejected(plugin string)
}

// Call is a command of a plugin that a user gave, and may give.
type Call struct {
	Plugin  string
	Command bus.PluginCommand
	// Typed is the command as users type it.
	Typed string
	// Via is bus.ViaChat or bus.ViaPM.
	Via  string
	User bus.PluginUser
	// Args is what follows the command, and Text the whole line.
	Args, Text string
	// Audited is the part of Args that may be published.
	Audited string
	// Refund ends the cooldown of the command, for a call that is not made. Forgive is for a call that does not count: it
	// ends the cooldown that the plugin has declared, but not one that the owner of the bot has set.
	Refund, Forgive func()
}

// Options configure a Handler. All are required.
type Options struct {
	// Registry is that of the process.
	Registry *Registry
	// Plugins calls commands of plugins. Nil: the Registry has none.
	Plugins Plugins
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

// outcomes are the last arguments of Options.Count.
var outcomes = []string{"success", "error", "denied", "busy", "cooldown"}

// ForEachCount calls f with all arguments with which a Handler may call Options.Count.
func ForEachCount(f func(source, name, outcome string)) {
	for _, each := range append(table(), pm(unknownName, "", "", "", nil)) {
		for _, outcome := range outcomes {
			f(string(each.source), each.Name, outcome)
		}
	}
}

// Handler executes the commands that users give during one session in the channel. Use New.
type Handler struct {
	Options
	jobs chan job
	// confirmations are given every event.
	confirmations confirmations
	// The turns of what is done in the playlist and about polls.
	adding, skipping, shuffling, polling turn
	// poll is the Room's, for what is left to do of an Act.
	poll atomic.Pointer[room.Poll]
	// late are the additions that may come late.
	late additions
	// strays are the UIDs of items that are to be removed.
	strays chan int
}

// New returns a Handler. It executes nothing until Run.
func New(o Options) *Handler {
	return &Handler{
		Options: o, jobs: make(chan job, maxJobs), strays: make(chan int, maxLate),
		adding: newTurn(), skipping: newTurn(), shuffling: newTurn(), polling: newTurn(),
	}
}
