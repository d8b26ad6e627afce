package simulator

import "slices"

// maxPlaylist is CyTube's default maximum length of a playlist.
const maxPlaylist = 4000

// playlist has the current and the next items of a channel. The server's lock guards it.
type playlist struct {
	items   []*playlistItem
	current *playlistItem
	nextUID int

	position float64 // seconds into the current item; negative while clients load it
	paused   bool
	loop     *timer // runs while the server controls the time of an item that has a length
	updates  int    // seconds since the last mediaUpdate
}

// load renumbers the items, as CyTube does when it loads a channel.
func (p *playlist) load(media []Media, current int) {
	p.items, p.current, p.nextUID = nil, nil, 0
	for i, m := range media {
		item := p.make(m, formatTime(m.Seconds))
		p.items = append(p.items, item)
		if i == current {
			p.current = item
		}
	}
}

func (p *playlist) make(media Media, duration string) *playlistItem {
	item := &playlistItem{media: media, uid: p.nextUID, duration: duration}
	p.nextUID++
	return item
}

func (p *playlist) index(uid int) int {
	return slices.IndexFunc(p.items, func(i *playlistItem) bool { return i.uid == uid })
}

func (p *playlist) find(uid int) *playlistItem {
	if i := p.index(uid); i >= 0 {
		return p.items[i]
	}
	return nil
}

func (p *playlist) findMedia(id string) *playlistItem {
	for _, item := range p.items {
		if item.media.ID == id {
			return item
		}
	}
	return nil
}

func (p *playlist) last() *playlistItem {
	if len(p.items) == 0 {
		return nil
	}
	return p.items[len(p.items)-1]
}

// after returns the item after another; the first follows the last.
func (p *playlist) after(item *playlistItem) *playlistItem {
	return p.items[(p.index(item.uid)+1)%len(p.items)]
}

func (p *playlist) meta() playlistMetaFrame {
	total := 0
	for _, item := range p.items {
		total += item.media.Seconds
	}
	return playlistMetaFrame{Count: len(p.items), RawTime: total, Time: formatTime(total)}
}

func (p *playlist) frames() []playlistItemFrame {
	frames := []playlistItemFrame{}
	for _, item := range p.items {
		frames = append(frames, item.frame())
	}
	return frames
}

// films returns the items without their numbers, and the index of the current one.
func (p *playlist) films() ([]Media, int) {
	films, current := []Media{}, 0
	for i, item := range p.items {
		films = append(films, item.media)
		if item == p.current {
			current = i
		}
	}
	return films, current
}

func (c *Channel) sendPlaylist(m *client) {
	m.emit("setPlaylistMeta", c.playlist.meta())
	if !m.may("seeplaylist") {
		return
	}
	m.emit("playlist", c.playlist.frames())
	if c.playlist.current != nil {
		m.emit("setCurrent", c.playlist.current.uid)
	}
}

func (c *Channel) sendCurrentMedia(to ...*client) {
	if c.playlist.current == nil {
		return
	}
	for _, m := range to {
		m.emit("setCurrent", c.playlist.current.uid)
		m.emit("changeMedia", changeMediaFrame{c.playlist.current.mediaFrame(), c.timeFrame()})
	}
}

// toViewers sends an event to users who may see the playlist, and its new length to all.
func (c *Channel) toViewers(event string, payload any) {
	for _, m := range c.members {
		if m.may("seeplaylist") {
			m.emit(event, payload)
		}
		m.emit("setPlaylistMeta", c.playlist.meta())
	}
}

// remove removes an item from the playlist. If it is the current one, the next one is played.
func (c *Channel) remove(item *playlistItem) {
	p := &c.playlist
	next := p.after(item)
	p.items = slices.Delete(p.items, p.index(item.uid), p.index(item.uid)+1)
	c.record(Entry{Kind: KindDelete, Text: item.media.Title, Count: item.uid})
	c.toViewers("delete", uidFrame{UID: item.uid})
	switch {
	case p.current != item:
	case next == item:
		p.current = nil
		c.stopPlayback()
	default:
		p.current = next
		c.startPlayback(0)
	}
}

// insert inserts an item behind another, or first if there is no other.
func (c *Channel) insert(item, behind *playlistItem) {
	p := &c.playlist
	at, after := 0, any("prepend")
	if behind != nil {
		at, after = p.index(behind.uid)+1, behind.uid
	}
	p.items = slices.Insert(p.items, at, item)
	c.record(Entry{Kind: KindQueue, User: item.media.QueueBy, Text: item.media.Title, Count: item.uid})
	c.toViewers("queue", queueFrame{Item: item.frame(), After: after})
	if len(p.items) == 1 {
		p.current = item
		c.startPlayback(0)
	}
}
