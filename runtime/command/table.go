package command

import (
	"context"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
)

// source is where a command was given. Its text is a label of metrics.
type source string

const (
	fromChat source = bus.ViaChat
	fromPM   source = bus.ViaPM
)

// command is a command of the bot in one source. It is declared in the form of a plugin's.
type command struct {
	bus.PluginCommand
	source source
	// permission is what the user and the bot need besides. Empty: nothing.
	permission room.Permission
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
	// bare is true for a private message without the prefix.
	bare bool
}

// task does what a command has to wait for, and returns the lines of the reply. It is called on Run's goroutine and
// must not use the Room.
type task func(ctx context.Context) ([]string, error)

// table returns all commands of the bot. help lists them in this order. Of Usage, words in capitals stand for a value,
// brackets for what may be left out.
func table() []command {
	return []command{
		chat("help", "", "lists the commands, or tells about one", (*Handler).help),
		chat("seen", "USER", "tells when somebody was here last", (*Handler).seen),
		chat("stats", "[USER]", "tells how much somebody has said and been here", (*Handler).userStats),
		chat("top", "", "tells who says most", (*Handler).top),
		chat("uptime", "", "tells how long the bot has been running", (*Handler).uptime),

		pm("add", "URL [temp]", "adds to the playlist", room.PermissionAdd, (*Handler).add),
		pm("afk", "[on|off]", "marks the bot as away, or back", room.PermissionChat, (*Handler).afk),
		pm("clear", "", "clears the chat", room.PermissionChatClear, (*Handler).clear),
		pm("current", "", "tells what plays", "", (*Handler).current),
		pm("help", "", "lists the commands, or tells about one", "", (*Handler).help),
		pm("info", "", "tells who and where the bot is", "", (*Handler).info),
		pm("jump", "NUMBER", "plays an item of the playlist now", room.PermissionJump, (*Handler).jump),
		pm("kick", "USER [REASON]", "kicks somebody", room.PermissionKick, (*Handler).kick),
		pm("move", "FROM TO", "moves an item of the playlist", room.PermissionMove, (*Handler).move),
		pm("next", "", "plays the next item now", room.PermissionJump, (*Handler).next),
		pm("pause", "", "pauses what plays, or continues it", room.PermissionLeader, (*Handler).pause),
		pm("playlist", "[COUNT]", "lists the playlist", room.PermissionSeePlaylist, (*Handler).playlist),
		private(pm("pm", "USER MESSAGE", "sends a private message", "", (*Handler).pm)),
		pm("remove", "NUMBER", "removes an item of the playlist", room.PermissionDelete, (*Handler).remove),
		pm("say", "MESSAGE", "has the bot say something", room.PermissionChat, (*Handler).say),
		pm("stats", "", "tells about the channel", "", (*Handler).channelStats),
		pm("status", "", "tells how the bot is", "", (*Handler).status),
		pm("user", "NAME", "tells about somebody", "", (*Handler).user),
		pm("users", "", "lists who is here", "", (*Handler).users),
		pm("voteskip", "", "votes to skip what plays", room.PermissionVoteskip, (*Handler).voteskip),
	}
}

type run = func(h *Handler, r request) (task, error)

// chat returns a command for everybody with a name, in the chat.
func chat(name, usage, help string, f run) command {
	return command{PluginCommand: bus.PluginCommand{Name: name, Usage: usage, Help: help}, source: fromChat, run: f}
}

// pm returns a command for moderators, by private message.
func pm(name, usage, help string, permission room.Permission, f run) command {
	return command{
		PluginCommand: bus.PluginCommand{Name: name, Usage: usage, Help: help, Rank: cytube.ModeratorRank},
		source:        fromPM, permission: permission, run: f,
	}
}

func private(c command) command {
	c.Private = true
	return c
}
