package bot

import (
	"errors"
	"fmt"
	"strings"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
)

// pmCommand is a moderator's command by private message.
type pmCommand struct {
	usage string
	// permission is CyTube's name for what it takes; the bot needs it too, since it acts. Empty: a
	// moderator's rank is enough.
	permission room.Permission
	// private: what comes after the first word is not audited.
	private bool
	// run is called on the session's goroutine.
	run func(s *session, r request) (work, error)
}

// request is who gave a command, and what came after its name.
type request struct {
	user cytube.User
	args string
}

func pmCommands() map[string]pmCommand {
	return map[string]pmCommand{
		"help":     {usage: "help", run: (*session).pmHelp},
		"info":     {usage: "info", run: (*session).pmInfo},
		"status":   {usage: "status", run: (*session).pmStatus},
		"stats":    {usage: "stats", run: (*session).pmStats},
		"users":    {usage: "users", run: (*session).pmUsers},
		"user":     {usage: "user NAME", run: (*session).pmUser},
		"afk":      {usage: "afk [on|off]", permission: room.PermissionChat, run: (*session).pmAFK},
		"say":      {usage: "say MESSAGE", permission: room.PermissionChat, run: (*session).pmSay},
		"pm":       {usage: "pm USER MESSAGE", private: true, run: (*session).pmPM},
		"clear":    {usage: "clear", permission: room.PermissionChatClear, run: (*session).pmClear},
		"playlist": {usage: "playlist [COUNT]", permission: room.PermissionSeePlaylist, run: (*session).pmPlaylist},
		"current":  {usage: "current", run: (*session).pmCurrent},
		"add":      {usage: "add URL [temp]", permission: room.PermissionAdd, run: (*session).pmAdd},
		"remove":   {usage: "remove NUMBER", permission: room.PermissionDelete, run: (*session).pmRemove},
		"move":     {usage: "move FROM TO", permission: room.PermissionMove, run: (*session).pmMove},
		"jump":     {usage: "jump NUMBER", permission: room.PermissionJump, run: (*session).pmJump},
		"next":     {usage: "next", permission: room.PermissionJump, run: (*session).pmNext},
		"pause":    {usage: "pause", permission: room.PermissionLeader, run: (*session).pmPause},
		"kick":     {usage: "kick USER [REASON]", permission: room.PermissionKick, run: (*session).pmKick},
		"voteskip": {usage: "voteskip", permission: room.PermissionVoteskip, run: (*session).pmVoteskip},
	}
}

// unknownCommand is what a command that there is not is called in metrics and audit: what somebody wrote
// may have been meant for other eyes.
const unknownCommand = "unknown"

// onPM takes a private message. Only moderators in the user list are answered; to others the bot is as
// silent as if it had no commands.
func (s *session) onPM(message cytube.PM) {
	if s.room.IsMe(message.From) {
		s.speaker.HeardOwnPM(message.To)
		return
	}
	user, known := s.room.Users.Find(message.From)
	if !s.commands.pm || !s.leads() || !s.joined || !known || user.Rank < room.ModeratorRank {
		return
	}
	name, args := cut(cytube.PlainText(message.HTML))
	name = strings.ToLower(name)
	if name == "" {
		return
	}
	command, known := s.commands.forPM[name]
	if !known {
		refuse := func() error { return errors.New("there is no such command, type help for those there are") }
		s.begin(job{source: fromPM, user: user.Name, name: unknownCommand, work: fail(refuse())})
		return
	}
	s.begin(job{
		source: fromPM, user: user.Name, name: name, args: command.audited(args),
		work: s.prepare(command, request{user: user, args: args}),
	})
}

// audited is what of the arguments is stored.
func (c pmCommand) audited(args string) string {
	to, rest := cut(args)
	if c.private && rest != "" {
		return fmt.Sprintf("%s (%d characters)", to, len([]rune(rest)))
	}
	return args
}

// prepare checks permissions and takes what a command needs out of the channel's state.
func (s *session) prepare(command pmCommand, r request) work {
	if err := s.checkPermission(command.permission, r.user.Rank); err != nil {
		return fail(err)
	}
	prepared, err := command.run(s, r)
	if err != nil {
		return fail(err)
	}
	return prepared
}

// checkPermission says whether somebody of a rank may do something, and whether the bot may, who does it
// for them.
func (s *session) checkPermission(permission room.Permission, rank float64) error {
	if permission == "" {
		return nil
	}
	if !s.room.Allows(permission, rank) {
		return &deniedError{fmt.Sprintf("your rank in the channel does not allow it (%s)", permission)}
	}
	if !s.room.Allows(permission, s.room.Rank) {
		return &deniedError{fmt.Sprintf("the bot's rank in the channel does not allow it (%s)", permission)}
	}
	return nil
}

func wrongUsage(usage string) error { return errors.New("usage: " + usage) }
