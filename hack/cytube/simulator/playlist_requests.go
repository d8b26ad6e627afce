package simulator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

type queueRequest struct {
	ID       any     `json:"id"`
	Type     string  `json:"type"`
	Pos      string  `json:"pos"`
	Title    any     `json:"title"`
	Duration float64 `json:"duration"`
	Temp     bool    `json:"temp"`
}

type moveRequest struct {
	From  int `json:"from"`
	After any `json:"after"`
}

type tempRequest struct {
	UID  int  `json:"uid"`
	Temp bool `json:"temp"`
}

// handleQueue adds a film. The first things that are wrong with one make CyTube ignore it without a word.
func (c *client) handleQueue(request queueRequest) {
	id, isText := request.ID.(string)
	if request.Pos != "next" && request.Pos != "end" || !isText {
		c.refused("ignored: queue without an id or with a position other than next and end")
		return
	}
	if !c.allowed("playlistadd") || request.Pos == "next" && !c.allowed("playlistnext") {
		return
	}
	fail := func(words string) {
		frame := queueFailFrame{Msg: words, ID: id, Link: linkPrefixes[request.Type] + id}
		c.emit("queueFail", frame)
	}
	if words := c.mayNotAdd(request.Type); words != "" {
		fail(words)
		return
	}
	limit := c.srv.options.Limits.Queue
	if c.isModerator() {
		limit = c.srv.options.Limits.QueueModerator
	}
	if c.conn != nil && c.queueLimiter.throttle(limit, time.Now()) {
		fail("You are adding videos too quickly")
		return
	}
	media, words := c.srv.lookUp(id, request.Type)
	if words != "" {
		fail(words)
		return
	}
	media.Temp, media.QueueBy = request.Temp || !c.may("addnontemp"), c.name
	if title, given := request.Title.(string); given && (request.Type == "fi" || request.Type == "cu") {
		media.Title = title
	}
	if words := c.add(media, request); words != "" {
		fail(words)
	}
}

// mayNotAdd says which kinds of media need more than the permission to add.
func (c *client) mayNotAdd(kind string) string {
	const denied = "You don't have permission to add "
	switch {
	case kind == "yp" && !c.may("playlistaddlist"):
		return denied + "playlists"
	case slices.Contains(liveTypes, kind) && !c.may("playlistaddlive"):
		return denied + "live media"
	case kind == "cu" && !c.may("playlistaddcustom"):
		return denied + "custom embeds"
	case (kind == "fi" || kind == "cm") && !c.may("playlistaddrawfile"):
		return denied + "raw video files"
	default:
		return ""
	}
}

// add puts a film on the playlist, or says why not.
func (c *client) add(media Media, request queueRequest) string {
	channel := c.channel
	p := &channel.playlist
	duration := formatTime(media.Seconds)
	switch {
	case request.Duration > 0 && slices.Contains(liveTypes, media.Type):
		media.Seconds = int(request.Duration)
		duration = formatTime(media.Seconds)
	case media.Seconds == 0 && !c.may("playlistaddlive"):
		return "You don't have permission to add livestreams"
	case slices.Contains(liveTypes, media.Type):
		duration = "--:--"
	}
	if len(p.items) >= maxPlaylist {
		return fmt.Sprintf("Playlist limit reached (%d)", maxPlaylist)
	}
	existing := slices.IndexFunc(p.items, func(i *playlistItem) bool { return i.media.ID == media.ID })
	if existing >= 0 && (request.Pos == "end" || p.items[existing] == p.current) {
		return "This item is already on the playlist"
	}
	item := p.make(media, duration)
	switch {
	case p.current != nil && request.Pos == "next":
		if existing >= 0 {
			old := p.items[existing]
			item.media.Temp = old.media.Temp
			channel.remove(old)
		}
		channel.insert(item, p.current)
	case len(p.items) == 0:
		channel.insert(item, nil)
	default:
		channel.insert(item, p.items[len(p.items)-1])
	}
	return ""
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
	c.channel.record(Entry{Kind: KindTemp, User: c.name, Text: fmt.Sprint(request.Temp), Count: request.UID})
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

// numbered reads a payload that is the number of an item.
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
