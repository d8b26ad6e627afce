package simulator

import (
	"strconv"
	"strings"
)

// banned is the message for a banned user who joins; banning is the message for a user who is being banned.
const (
	banned  = "You are banned from this channel."
	banning = "You're banned!"
)

// below reports whether a moderator may act against a user: the user's rank must be lower in the channel and globally.
func (c *client) below(moderator *client) bool {
	return c.rank() < moderator.rank() && c.globalRank <= moderator.globalRank
}

// setMuted mutes or unmutes a user by name, so that a mute survives a reconnect.
func (c *Channel) setMuted(name string, muted, shadow bool) {
	lower := strings.ToLower(name)
	delete(c.muted, lower)
	if muted {
		c.muted[lower] = shadow
	}
	state := strconv.FormatBool(muted)
	if shadow {
		state = "shadow"
	}
	c.record(Entry{Kind: KindMute, User: name, Text: state})
	target := c.named(name)
	if target == nil {
		return
	}
	target.muted, target.shadowMuted = muted, shadow
	seenBy := float64(everyone)
	if shadow {
		seenBy = c.permissions["mute"]
	}
	c.sendUserMeta(target, seenBy)
}

// recallMute applies a name's mute to a user who logs in.
func (c *client) recallMute() {
	shadow, muted := c.channel.muted[strings.ToLower(c.name)]
	if !muted {
		return
	}
	c.muted, c.shadowMuted = true, shadow
	c.channel.sendUserMeta(c, c.channel.permissions["mute"])
}

func (c *client) muteCommand(command, rest string, shadow bool) {
	if !c.allowed("mute") {
		return
	}
	name, _, _ := strings.Cut(rest, " ")
	name = strings.ToLower(name)
	target := c.channel.named(name)
	switch {
	case name == "":
		c.emit("errorMsg", errorFrame{Msg: command + " requires a target name"})
		return
	case target == nil:
		c.emit("errorMsg", errorFrame{Msg: command + " target " + name + " not present in channel."})
		return
	case !target.below(c):
		c.emit("errorMsg", errorFrame{
			Msg: command + " failed - " + target.name + " has equal or higher rank than you.",
		})
		return
	}
	c.channel.setMuted(target.name, true, shadow)
	verb := " muted "
	if shadow {
		verb = " shadowmuted "
	}
	c.channel.whisper(c.channel.permissions["mute"], c.name+verb+target.name)
}

func (c *client) unmuteCommand(rest string) {
	if !c.allowed("mute") {
		return
	}
	name, _, _ := strings.Cut(rest, " ")
	name = strings.ToLower(name)
	if name == "" {
		c.emit("errorMsg", errorFrame{Msg: "/unmute requires a target name"})
		return
	}
	if name == strings.ToLower(c.name) {
		c.emit("errorMsg", errorFrame{Msg: "You are not allowed to unmute yourself"})
		return
	}
	if _, muted := c.channel.muted[name]; !muted {
		c.emit("errorMsg", errorFrame{Msg: name + " is not muted."})
		return
	}
	c.channel.whisper(c.channel.permissions["mute"], c.name+" unmuted "+name)
	c.channel.setMuted(name, false, false)
}

func (c *client) kickCommand(rest string) {
	if !c.allowed("kick") {
		return
	}
	name, reason, _ := strings.Cut(rest, " ")
	if name == "" {
		c.emit("errorMsg", errorFrame{Msg: "No kick target specified.  If you're trying to kick anonymous users, " +
			"use /kickanons"})
		return
	}
	target := c.channel.named(name)
	if target == nil {
		c.refused("ignored: nobody to kick")
		return
	}
	if !target.below(c) {
		c.emit("errorMsg", errorFrame{Msg: "You do not have permission to kick " + target.name})
		return
	}
	target.kick(reason)
	c.channel.whisper(moderatorRank, c.name+" kicked "+target.name)
}

func (c *client) kickAnonymous() {
	if !c.allowed("kick") {
		return
	}
	for _, m := range append([]*client(nil), c.channel.members...) {
		if m.name == "" {
			m.kick("anonymous user")
		}
	}
	c.channel.whisper(moderatorRank, c.name+" kicked anonymous users")
}

func (c *client) banCommand(rest string) {
	name, reason, _ := strings.Cut(rest, " ")
	name = strings.ToLower(name)
	fail := func(words string) { c.emit("errorMsg", errorFrame{Msg: words}) }
	switch {
	case name == "":
		fail("No ban target specified.")
		return
	case !validUserName.MatchString(name):
		fail("Invalid username")
		return
	case !c.may("ban"):
		fail("You do not have ban permissions on this channel")
		return
	case name == strings.ToLower(c.name):
		c.emit("costanza", errorFrame{Msg: "You can't ban yourself"})
		fail("You cannot ban yourself")
		return
	case c.channel.rankOf(name) >= c.rank():
		fail("You don't have permission to ban " + name)
		return
	case c.channel.isBanned(name):
		fail(name + " is already banned")
		return
	}
	c.channel.addBan(name, reason)
	c.channel.whisper(c.channel.permissions["ban"], c.name+" namebanned "+name)
	c.channel.kickBanned(name)
}

func (c *Channel) isBanned(name string) bool {
	_, found := c.bans[strings.ToLower(name)]
	return name != "" && found
}

func (c *Channel) addBan(name, reason string) {
	c.bans[strings.ToLower(name)] = reason
	c.record(Entry{Kind: KindBan, User: name, Text: reason})
}

func (c *Channel) kickBanned(name string) {
	if m := c.named(name); m != nil {
		m.kick(banning)
	}
}
