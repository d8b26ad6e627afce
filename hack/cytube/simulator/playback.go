package simulator

import (
	"slices"
	"time"
)

const (
	// leadIn is the time for clients to load an item before it starts, in seconds.
	leadIn = 3
	// playOut is the time from the end of an item to the next one, in seconds.
	playOut = 2
	// updateInterval is the number of seconds between two mediaUpdate frames.
	updateInterval = 5
)

func (c *Channel) timeFrame() timeFrame {
	return timeFrame{CurrentTime: c.playlist.position, Paused: c.playlist.paused}
}

func (c *Channel) stopPlayback() {
	c.playlist.loop.stop()
	c.playlist.loop = nil
}

// startPlayback plays the current item from a position, and resets drinks and votes to skip.
func (c *Channel) startPlayback(position float64) {
	p := &c.playlist
	c.stopPlayback()
	if p.current == nil {
		return
	}
	hasLength := p.current.media.Seconds > 0
	if position == 0 && hasLength && c.leader == nil {
		position = -leadIn
	}
	p.position, p.paused = position, position < 0
	c.record(Entry{Kind: KindMedia, Text: p.current.media.Title, Count: p.current.uid})
	c.sendCurrentMedia(c.members...)
	c.drinks = 0
	c.broadcast("drinkCount", 0)
	c.resetVoteskip()
	c.lead()
}

// lead starts the clock of an item that has a length, unless there is a leader or the channel is empty.
func (c *Channel) lead() {
	p := &c.playlist
	if p.loop != nil || c.leader != nil || len(c.members) == 0 || p.current == nil || p.current.media.Seconds == 0 {
		return
	}
	p.loop = c.srv.after(time.Second, func() {
		p.loop = nil
		c.tick()
		c.lead()
	})
}

// tick advances the current item by one second.
func (c *Channel) tick() {
	p := &c.playlist
	if p.current == nil || c.leader != nil || len(c.members) == 0 {
		return
	}
	before := p.position
	p.position++
	p.updates++
	switch {
	case before < 0 && p.position >= 0:
		p.position, p.paused, p.updates = 0, false, 0
		c.broadcast("mediaUpdate", c.timeFrame())
	case p.position >= float64(p.current.media.Seconds+playOut):
		c.playNext()
	case p.updates%updateInterval == 0:
		c.broadcast("mediaUpdate", c.timeFrame())
	}
}

// playNext plays the next item and removes the current one if it is temporary.
func (c *Channel) playNext() {
	p := &c.playlist
	if p.current == nil {
		return
	}
	if p.current.media.Temp {
		c.remove(p.current)
		return
	}
	p.current = p.after(p.current)
	c.startPlayback(0)
}

type mediaUpdateRequest struct {
	ID          string  `json:"id"`
	CurrentTime float64 `json:"currentTime"`
	Paused      bool    `json:"paused"`
}

// handleMediaUpdate handles the leader's playback time.
func (c *client) handleMediaUpdate(request mediaUpdateRequest) {
	p := &c.channel.playlist
	if c.channel.leader != c || p.current == nil || p.current.media.ID != request.ID ||
		slices.Contains(liveTypes, p.current.media.Type) {
		c.refused("ignored: not the leader, or of another item")
		return
	}
	p.position, p.paused = request.CurrentTime, request.Paused
	c.channel.broadcast("mediaUpdate", c.channel.timeFrame())
}
