package command

import (
	"maps"
	"strings"
	"sync"
	"time"
)

// cooldowns are when users, and the whole channel, may give commands again. They are in memory alone, so that a bot
// that follows another one begins without.
type cooldowns struct {
	mu sync.Mutex
	// users are when a user gave the last command in the chat or of a plugin, by lower-case name, and last when anybody
	// gave one in the chat.
	users map[string]time.Time
	last  time.Time
	// commands are until when one command waits.
	commands map[cooldownKey]time.Time
}

// cooldownKey is one command, and the user who waits in lower case. Empty: everybody waits.
type cooldownKey struct{ command, user string }

// maxCooldowns is how many cooldowns of single commands are remembered.
const maxCooldowns = 50_000

// begun are the cooldowns of a command that has been given. refund ends all of them, and forgive those that the owner
// of the bot has not set.
type begun struct{ refund, forgive func() }

// begin reports whether a user may give a command now, and starts the cooldowns if so.
func (c *cooldowns) begin(n *names, e *entry, user string, now time.Time) (begun, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	user = strings.ToLower(user)
	if !c.generalOver(n, e, user, now) || !c.isOver(e, user, now) {
		return begun{}, false
	}
	c.beginGeneral(n, e, user, now)
	until := c.start(e, user, now)
	declared := maps.Clone(until)
	maps.DeleteFunc(declared, func(key cooldownKey, _ time.Time) bool {
		return key.user != "" && e.ownersUser || key.user == "" && e.ownersChannel
	})
	return begun{refund: func() { c.end(until) }, forgive: func() { c.end(declared) }}, true
}

// beginOf is begin for the cooldowns of the command alone, without those between any two commands.
func (c *cooldowns) beginOf(e *entry, user string, now time.Time) (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	user = strings.ToLower(user)
	if !c.isOver(e, user, now) {
		return false
	}
	c.start(e, user, now)
	return true
}

// isOver reports whether the cooldowns of a command are over, for a user in lower case.
func (c *cooldowns) isOver(e *entry, user string, now time.Time) bool {
	return !now.Before(c.commands[cooldownKey{e.id(), user}]) && !now.Before(c.commands[cooldownKey{command: e.id()}])
}

// start begins the cooldowns of a command for a user in lower case, and returns until when they last.
func (c *cooldowns) start(e *entry, user string, now time.Time) (until map[cooldownKey]time.Time) {
	c.forget(now)
	until = map[cooldownKey]time.Time{
		{e.id(), user}:    now.Add(time.Duration(e.Cooldown.UserMS) * time.Millisecond),
		{command: e.id()}: now.Add(time.Duration(e.Cooldown.ChannelMS) * time.Millisecond),
	}
	if c.commands == nil {
		c.commands = map[cooldownKey]time.Time{}
	}
	for key, end := range until {
		if end.After(now) {
			c.commands[key] = end
		}
	}
	return until
}

// end ends cooldowns of a command, unless others have begun since.
func (c *cooldowns) end(until map[cooldownKey]time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, end := range until {
		if c.commands[key].Equal(end) {
			delete(c.commands, key)
		}
	}
}

// counts reports whether a user waits between a command and the next one: the commands that the bot has for moderators
// in private messages are not waited for.
func counts(e *entry) bool { return e.source == fromChat || e.plugin != "" }

// generalOver reports whether a user may give some command. What is said in private delays nobody else.
func (c *cooldowns) generalOver(n *names, e *entry, user string, now time.Time) bool {
	last, found := c.users[user]
	isUserOver := !counts(e) || !found || now.Sub(last) >= n.userCooldown()
	return isUserOver && (e.source != fromChat || now.Sub(c.last) >= n.channelCooldown())
}

func (c *cooldowns) beginGeneral(n *names, e *entry, user string, now time.Time) {
	if !counts(e) {
		return
	}
	if c.users == nil {
		c.users = map[string]time.Time{}
	}
	maps.DeleteFunc(c.users, func(_ string, last time.Time) bool { return now.Sub(last) >= n.userCooldown() })
	c.users[user] = now
	if e.source == fromChat {
		c.last = now
	}
}

// forget removes cooldowns that are over. If too many are left, some of them end early.
func (c *cooldowns) forget(now time.Time) {
	if len(c.commands) < maxCooldowns/2 {
		return
	}
	maps.DeleteFunc(c.commands, func(_ cooldownKey, end time.Time) bool { return !now.Before(end) })
	for key := range c.commands {
		if len(c.commands) < maxCooldowns {
			return
		}
		delete(c.commands, key)
	}
}

// userCooldown and channelCooldown are those between any two commands.
func (n *names) userCooldown() time.Duration { return seconds(n.settings.CooldownSeconds) }

func (n *names) channelCooldown() time.Duration { return seconds(n.settings.ChannelCooldownSeconds) }

func seconds(value *int) time.Duration {
	if value == nil {
		return 0
	}
	return time.Duration(*value) * time.Second
}
