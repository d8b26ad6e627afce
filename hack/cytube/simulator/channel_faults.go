package simulator

import (
	"fmt"
	"strings"
)

// What the site's administrators and bad luck do to somebody, over a socket or of the audience.

// target finds anybody in the user list.
func (c *Channel) target(user string) (*client, error) {
	m := c.named(user)
	if m == nil {
		return nil, fmt.Errorf("user %q, channel %s: %w", user, c.name, ErrNotInChannel)
	}
	return m, nil
}

// against runs something with the lock held.
func (c *Channel) against(user string, do func(*client) error) error {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	m, err := c.target(user)
	if err != nil {
		return err
	}
	return do(m)
}

// Kick kicks somebody. A moderator of the audience does it with Say(moderator, "/kick user reason").
func (c *Channel) Kick(user, reason string) error {
	return c.against(user, func(m *client) error {
		m.kick(reason)
		return nil
	})
}

// Ban bans a name and kicks whoever has it.
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

// Unban lets a name come again.
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

// Mute mutes a name, whether it is there or not.
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

// Disconnect ends somebody's connection to the Socket.IO namespace without a reason; the WebSocket stays open.
func (c *Channel) Disconnect(user string) error {
	return c.against(user, func(m *client) error {
		c.srv.record(Entry{Kind: KindDismiss, User: m.name, Address: m.address})
		m.dismiss()
		return nil
	})
}

// Drop ends somebody's connection without a word, as when a proxy on the way restarts.
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

// Inject sends somebody a text frame as it is, Engine.IO packet type and all: `42["chatMsg",` for example.
func (c *Channel) Inject(user, frame string) error { return c.inject(user, outgoing{packet: frame}) }

// InjectBinary sends somebody a binary frame, which CyTube never does.
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

// OversizeFrame makes an event of that many bytes to inject: valid, of a name that no client knows, and long. It is
// never shorter than an event can be.
func OversizeFrame(bytes int) string {
	const before, after = `42["oversize","`, `"]`
	return before + strings.Repeat("x", max(0, bytes-len(before)-len(after))) + after
}
