package simulator

import (
	"fmt"
	"slices"
	"time"
)

type queueRequest struct {
	ID       any     `json:"id"` // text, or false
	Type     string  `json:"type"`
	Pos      string  `json:"pos"` // QueueNext or QueueEnd
	Title    any     `json:"title"`
	Duration float64 `json:"duration"` // in seconds, of live media with an end
	Temp     bool    `json:"temp"`
}

// handleQueue adds an item. As in CyTube, the first checks ignore an invalid item silently.
func (c *client) handleQueue(request queueRequest) {
	if request.Pos != "next" && request.Pos != "end" || request.ID == true {
		c.refused("ignored: queue without an id or with a position other than next and end")
		return
	}
	if !c.allowed("playlistadd") || request.Pos == "next" && !c.allowed("playlistnext") {
		return
	}
	words := c.mayNotAdd(request.Type)
	if words == "" {
		words = c.queue(request)
	}
	if words == "" {
		return
	}
	frame := queueFailFrame{Msg: words, ID: request.ID, Link: request.ID}
	if id, isText := request.ID.(string); isText {
		frame.Link = linkPrefixes[request.Type] + id
	}
	c.emit("queueFail", frame)
}

// queue adds an item, or returns why it cannot.
func (c *client) queue(request queueRequest) string {
	limit := c.srv.options.Limits.Queue
	if c.isModerator() {
		limit = c.srv.options.Limits.QueueModerator
	}
	if c.conn != nil && c.queueLimiter.throttle(limit, time.Now()) {
		return "You are adding videos too quickly"
	}
	id, _ := request.ID.(string)
	media, words := c.srv.lookUp(id, request.Type)
	if words != "" {
		return words
	}
	media.Temp, media.QueueBy = request.Temp || !c.may("addnontemp"), c.name
	if title, given := request.Title.(string); given && (request.Type == "fi" || request.Type == "cu") {
		media.Title = title
	}
	return c.add(media, request)
}

// mayNotAdd returns why the client may not add this kind of media, or nothing if it may.
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

// add adds an item to the playlist, or returns why it cannot.
func (c *client) add(media Media, request queueRequest) string {
	live := slices.Contains(liveTypes, media.Type)
	if live && request.Duration > 0 {
		media.Seconds = int(request.Duration)
	}
	if media.Seconds == 0 && !c.may("playlistaddlive") {
		return "You don't have permission to add livestreams"
	}
	channel := c.channel
	p := &channel.playlist
	if len(p.items) >= maxPlaylist {
		return fmt.Sprintf("Playlist limit reached (%d)", maxPlaylist)
	}
	existing := p.findMedia(media.ID)
	if existing != nil && (request.Pos == "end" || existing == p.current) {
		return "This item is already on the playlist"
	}
	item := p.make(media, queuedDuration(media, live))
	if p.current == nil || request.Pos == "end" {
		channel.insert(item, p.last())
		return ""
	}
	if existing != nil { // move it
		item.media.Temp = existing.media.Temp
		channel.remove(existing)
	}
	channel.insert(item, p.current)
	return ""
}

// queuedDuration returns an item's duration as clients see it until the channel is loaded again.
func queuedDuration(media Media, live bool) string {
	if live && media.Seconds == 0 {
		return "--:--"
	}
	return formatTime(media.Seconds)
}
