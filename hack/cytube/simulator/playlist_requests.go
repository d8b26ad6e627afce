package simulator

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

type moveRequest struct {
	From  int `json:"from"`
	After any `json:"after"`
}

type tempRequest struct {
	UID  int  `json:"uid"`
	Temp bool `json:"temp"`
}

func (c *client) handleSetTemp(request tempRequest) {
	if !c.allowed("settemp") {
		return
	}
	item := c.channel.playlist.find(request.UID)
	if item == nil {
		c.refused("ignored: no such item")
		return
	}
	item.media.Temp = request.Temp
	c.channel.record(Entry{Kind: KindTemp, User: c.name, Text: strconv.FormatBool(request.Temp), Count: request.UID})
	c.channel.broadcast("setTemp", request)
}

func (c *client) handleMoveMedia(request moveRequest) {
	if !c.allowed("playlistmove") {
		return
	}
	p := &c.channel.playlist
	from := p.find(request.From)
	behind, isNumber := request.After.(float64)
	if from == nil || isNumber && (int(behind) == request.From || p.find(int(behind)) == nil) {
		c.refused("ignored: no such item")
		return
	}
	p.items = slices.Delete(p.items, p.index(from.uid), p.index(from.uid)+1)
	at := 0
	switch {
	case isNumber:
		at = p.index(int(behind)) + 1
	case request.After == "append":
		at = len(p.items)
	}
	p.items = slices.Insert(p.items, at, from)
	c.channel.record(Entry{Kind: KindMove, User: c.name, Text: from.media.Title, Count: from.uid})
	c.channel.broadcast("moveVideo", request)
}

// numbered decodes a payload that is the number of an item.
func (c *client) numbered(payload json.RawMessage) *playlistItem {
	var uid float64
	if json.Unmarshal(payload, &uid) == nil {
		if item := c.channel.playlist.find(int(uid)); item != nil {
			return item
		}
	}
	c.refused("ignored: no such item")
	return nil
}

func (c *client) handleDelete(payload json.RawMessage) {
	if !c.allowed("playlistdelete") {
		return
	}
	if item := c.numbered(payload); item != nil {
		c.channel.remove(item)
	}
}

func (c *client) handleJumpTo(payload json.RawMessage) {
	if !c.allowed("playlistjump") {
		return
	}
	item := c.numbered(payload)
	if item == nil {
		return
	}
	p := &c.channel.playlist
	old := p.current
	p.current = item
	if old != nil && old.media.Temp && old != item {
		c.channel.remove(old)
	}
	c.channel.startPlayback(0)
}

func (c *client) handlePlayNext() {
	if c.allowed("playlistjump") {
		c.channel.playNext()
	}
}

func (c *client) handleRequestPlaylist() {
	if c.conn != nil && c.playlistLimiter.throttle(Flood{Burst: 1, Cooldown: time.Minute}, time.Now()) {
		c.emit("errorMsg", errorFrame{
			Msg: "Get Playlist URLs is limited to 1 usage every 60 seconds.  " +
				"Please try again later.",
			Code: "REQ_PLAYLIST_LIMIT_REACHED",
		})
		return
	}
	c.channel.sendPlaylist(c)
}

func (c *client) handleClearPlaylist() {
	if !c.allowed("playlistclear") {
		return
	}
	p := &c.channel.playlist
	p.items, p.current = nil, nil
	c.channel.stopPlayback()
	c.channel.record(Entry{Kind: KindDelete, User: c.name, Text: "everything"})
	c.channel.broadcast("playlist", p.frames())
	c.channel.broadcast("setPlaylistMeta", p.meta())
}

func (c *client) handleShufflePlaylist() {
	if !c.allowed("playlistshuffle") {
		return
	}
	p := &c.channel.playlist
	current, position := p.current, p.position
	//nolint:gosec // the order of a shuffled playlist is not a secret
	rand.Shuffle(len(p.items), func(i, j int) { p.items[i], p.items[j] = p.items[j], p.items[i] })
	for i, item := range p.items {
		item.uid = p.nextUID
		p.nextUID++
		if item == current {
			p.items = slices.Insert(slices.Delete(p.items, i, i+1), 0, item)
		}
	}
	c.channel.record(Entry{Kind: KindMove, User: c.name, Text: "everything"})
	for _, m := range c.channel.members {
		if m.may("seeplaylist") {
			m.emit("playlist", p.frames())
		}
	}
	if len(p.items) > 0 {
		p.current = p.items[0]
		c.channel.startPlayback(position)
	}
}
