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
	// users are when a user gave the last command in the chat, by lower-case name, and last when anybody did.
	users map[string]time.Time
	last  time.Time
	// commands are until when one command waits.
	commands map[cooldownKey]time.Time
}

// cooldownKey is one command, and the user who waits in lower case. Empty: everybody waits.
type cooldownKey struct{ command, user string }

// maxCooldowns is how many cooldowns of single commands are remembered.
const maxCooldowns = 50_000

// begin reports whether a user may give a command now, and starts the cooldowns if so. refund takes that of the command
// itself back.
func (c *cooldowns) begin(n *names, e *entry, user string, now time.Time) (refund func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	user = strings.ToLower(user)
	forUser, forAll := cooldownKey{e.id(), user}, cooldownKey{command: e.id()}
	if e.source == fromChat && !c.chatOver(n, user, now) || now.Before(c.commands[forUser]) ||
		now.Before(c.commands[forAll]) {
		return nil, false
	}
	if e.source == fromChat {
		c.beginChat(n, user, now)
	}
	c.forget(now)
	return c.start(map[cooldownKey]time.Time{
		forUser: now.Add(time.Duration(e.Cooldown.UserMS) * time.Millisecond),
		forAll:  now.Add(time.Duration(e.Cooldown.ChannelMS) * time.Millisecond),
	}, now), true
}

// start begins cooldowns of a command and returns what ends them again.
func (c *cooldowns) start(until map[cooldownKey]time.Time, now time.Time) (refund func()) {
	if c.commands == nil {
		c.commands = map[cooldownKey]time.Time{}
	}
	for key, end := range until {
		if end.After(now) {
			c.commands[key] = end
		}
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for key, end := range until {
			if c.commands[key].Equal(end) {
				delete(c.commands, key)
			}
		}
	}
}

// chatOver reports whether a user may give some command in the chat.
func (c *cooldowns) chatOver(n *names, user string, now time.Time) bool {
	last, found := c.users[user]
	return (!found || now.Sub(last) >= n.userCooldown()) && now.Sub(c.last) >= n.channelCooldown()
}

func (c *cooldowns) beginChat(n *names, user string, now time.Time) {
	if c.users == nil {
		c.users = map[string]time.Time{}
	}
	maps.DeleteFunc(c.users, func(_ string, last time.Time) bool { return now.Sub(last) >= n.userCooldown() })
	c.users[user], c.last = now, now
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

// userCooldown and channelCooldown are those between any two commands in the chat.
func (n *names) userCooldown() time.Duration { return seconds(n.settings.CooldownSeconds) }

func (n *names) channelCooldown() time.Duration { return seconds(n.settings.ChannelCooldownSeconds) }

func seconds(value *int) time.Duration {
	if value == nil {
		return 0
	}
	return time.Duration(*value) * time.Second
}
