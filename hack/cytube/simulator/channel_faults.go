package simulator

import (
	"fmt"
	"strings"
)

// Actions of the site's administrators, and faults, for any user: on a socket or of the audience.

// target returns a user in the user list.
func (c *Channel) target(user string) (*client, error) {
	m := c.named(user)
	if m == nil {
		return nil, fmt.Errorf("user %q, channel %s: %w", user, c.name, ErrNotInChannel)
	}
	return m, nil
}

// against runs an action on a user with the lock held.
func (c *Channel) against(user string, do func(*client) error) error {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	m, err := c.target(user)
	if err != nil {
		return err
	}
	return do(m)
}

// Kick kicks a user. A moderator of the audience can do it with Say(moderator, "/kick user reason").
func (c *Channel) Kick(user, reason string) error {
	return c.against(user, func(m *client) error {
		m.kick(reason)
		return nil
	})
}

// Ban bans a name and kicks the user who has it.
func (c *Channel) Ban(user, reason string) error {
	if !validUserName.MatchString(user) {
		return invalidUser(user)
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	c.addBan(user, reason)
	c.kickBanned(user)
	return nil
}

// Unban ends the ban of a name.
func (c *Channel) Unban(user string) error {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if !c.isBanned(user) {
		return fmt.Errorf("user %q is not banned from channel %s: %w", user, c.name, ErrRefused)
	}
	delete(c.bans, strings.ToLower(user))
	c.record(Entry{Kind: KindUnban, User: user})
	return nil
}

// Mute mutes a name, whether the user is in the channel or not.
func (c *Channel) Mute(user string) error { return c.mute(user, true) }

// Unmute ends a mute.
func (c *Channel) Unmute(user string) error { return c.mute(user, false) }

func (c *Channel) mute(user string, muted bool) error {
	if !validUserName.MatchString(user) {
		return invalidUser(user)
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	c.setMuted(user, muted, false)
	return nil
}

// Disconnect disconnects a user from the Socket.IO namespace without a reason; the WebSocket stays open.
func (c *Channel) Disconnect(user string) error {
	return c.against(user, func(m *client) error {
		c.srv.record(Entry{Kind: KindDismiss, User: m.name, Address: m.address})
		m.dismiss()
		return nil
	})
}

// Drop closes a user's connection without a message, like the restart of a proxy.
func (c *Channel) Drop(user string) error {
	return c.against(user, func(m *client) error {
		c.srv.record(Entry{Kind: KindDrop, User: m.name, Address: m.address})
		m.disconnect()
		if m.conn != nil {
			m.conn.drop()
		}
		return nil
	})
}

// Inject sends a user a raw text frame, which includes the Engine.IO packet type: `42["chatMsg",` for example.
func (c *Channel) Inject(user, frame string) error { return c.inject(user, outgoing{packet: frame}) }

// InjectBinary sends a user a binary frame, which CyTube never does.
func (c *Channel) InjectBinary(user string, frame []byte) error {
	return c.inject(user, outgoing{packet: string(frame), binary: true})
}

func (c *Channel) inject(user string, frame outgoing) error {
	return c.against(user, func(m *client) error {
		if m.conn == nil {
			return fmt.Errorf("user %q, channel %s: %w: of the audience, which has no socket", user, c.name, ErrRefused)
		}
		m.conn.queue(frame)
		c.srv.record(Entry{Kind: KindInject, User: m.name, Address: m.address, Count: len(frame.packet)})
		return nil
	})
}

// OversizeFrame returns a valid event of the given number of bytes, with an unknown name, to inject. It is at least as
// long as the shortest event.
func OversizeFrame(bytes int) string {
	const before, after = `42["oversize","`, `"]`
	return before + strings.Repeat("x", max(0, bytes-len(before)-len(after))) + after
}
