package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// may reports whether a rank is sufficient for an action in the channel. An unlocked playlist has other permissions.
func (c *Channel) may(rank float64, permission string) bool {
	if strings.HasPrefix(permission, "playlist") && c.openPlaylist {
		if open, ok := c.permissions["o"+permission]; ok && rank >= open {
			return true
		}
	}
	return rank >= c.permissions[permission]
}

func (c *client) may(permission string) bool { return c.channel.may(c.rank(), permission) }

// allowed is like may for an action of the client, and records a refusal in the log. CyTube ignores such actions.
func (c *client) allowed(permission string) bool {
	if c.may(permission) {
		return true
	}
	c.refused(fmt.Sprintf("ignored: %s needs rank %v, has %v", permission, c.channel.permissions[permission], c.rank()))
	return false
}

func (c *client) handleSetPermissions(payload json.RawMessage) {
	var changes map[string]float64
	if json.Unmarshal(payload, &changes) != nil {
		return
	}
	if c.rank() < 3 {
		c.kick("Attempted setPermissions as a non-admin")
		return
	}
	permissions := maps.Clone(c.channel.permissions)
	for name, rank := range changes {
		if _, known := permissions[name]; known {
			permissions[name] = rank
		}
	}
	c.channel.permissions = permissions
	c.channel.record(Entry{Kind: KindPermissions, User: c.name})
	c.channel.broadcast("setPermissions", permissions)
}

func (c *client) handleTogglePlaylistLock() {
	if !c.allowed("playlistlock") {
		return
	}
	channel := c.channel
	channel.openPlaylist = !channel.openPlaylist
	channel.record(Entry{Kind: KindLock, User: c.name, Text: strconv.FormatBool(!channel.openPlaylist)})
	channel.broadcast("setPlaylistLocked", !channel.openPlaylist)
}
