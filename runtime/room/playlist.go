package room

import (
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// NoItem is the UID of no playlist item.
const NoItem = -1

// Playlist is what is queued, including what plays.
type Playlist struct {
	// Items are in order. The list is empty while the bot may not see the playlist.
	Items []cytube.Item
	// Count is the number of items, which the server sends to everybody.
	Count int
	// Current is the UID of the item that plays, or NoItem.
	Current int
}

func (p *Playlist) apply(event cytube.Event) {
	switch event := event.(type) {
	case cytube.Playlist:
		p.Items = event.Items
	case cytube.PlaylistMeta:
		p.setCount(event.Count)
	case cytube.SetCurrent:
		p.Current = event.UID
	case cytube.Queue:
		p.remove(event.Item.UID) // an event that is received twice must not add the item twice
		p.insert(event.Item, event.After)
	case cytube.Delete:
		p.remove(event.UID)
	case cytube.MoveVideo:
		if item, found := p.remove(event.UID); found {
			p.insert(item, event.After)
		}
	}
}

func (p *Playlist) setCount(count int) {
	p.Count = count
	if count == 0 {
		p.Items, p.Current = nil, NoItem
	}
}

func (p *Playlist) index(uid int) int {
	return slices.IndexFunc(p.Items, func(item cytube.Item) bool { return item.UID == uid })
}

func (p *Playlist) remove(uid int) (cytube.Item, bool) {
	i := p.index(uid)
	if i < 0 {
		return cytube.Item{}, false
	}
	item := p.Items[i]
	p.Items = slices.Delete(p.Items, i, i+1)
	return item, true
}

// Playing returns the item that plays. found is false if it is not known, since the bot may not see the playlist.
func (p *Playlist) Playing() (item cytube.Item, found bool) {
	i := p.index(p.Current)
	if i < 0 {
		return cytube.Item{}, false
	}
	return p.Items[i], true
}

// Next returns a copy of up to limit items that follow the one that plays: behind the last item comes the first. If the
// item that plays is not known, they are the first ones.
func (p *Playlist) Next(limit int) []cytube.Item {
	from, count := p.index(p.Current), len(p.Items)
	if from >= 0 {
		count-- // what plays does not follow itself
	}
	next := make([]cytube.Item, 0, min(limit, count))
	for i := range cap(next) {
		next = append(next, p.Items[(from+1+i)%len(p.Items)])
	}
	return next
}

// maxItems bounds the list. CyTube's default limit is 4000.
const maxItems = 10_000

// insert adds an item at its place, unless the list is full. An unknown item to follow means the end of the list.
func (p *Playlist) insert(item cytube.Item, after cytube.Place) {
	if len(p.Items) >= maxItems {
		return
	}
	at := len(p.Items)
	if i := p.index(after.UID); i >= 0 && !after.Last {
		at = i + 1
	}
	if after.First {
		at = 0
	}
	p.Items = slices.Insert(p.Items, at, item)
}

// PlaceFor returns the place to move the item at index from to, so that its index becomes to. Both must be indexes of
// Items. CyTube looks for the place in the list without the item.
func (p *Playlist) PlaceFor(from, to int) cytube.Place {
	if to == 0 {
		return cytube.Place{First: true}
	}
	rest := slices.Delete(slices.Clone(p.Items), from, from+1)
	return cytube.Place{UID: rest[to-1].UID}
}

// Playback is what plays and how far it is. The zero value: nothing plays.
type Playback struct {
	// Media has an empty ID when nothing plays.
	Media  cytube.Media
	Paused bool
	// Leader is the user who controls the playback, empty for the server.
	Leader string

	// position is in seconds, as reported at time at.
	position float64
	at       time.Time
}

func (p *Playback) apply(event cytube.Event, at time.Time) {
	switch event := event.(type) {
	case cytube.ChangeMedia:
		p.Media = event.Media
		p.position, p.Paused, p.at = event.Position, event.Paused, at
	case cytube.MediaUpdate:
		p.position, p.Paused, p.at = event.Position, event.Paused, at
	case cytube.SetLeader:
		p.Leader = event.Name
	case cytube.PlaylistMeta:
		if event.Count == 0 {
			*p = Playback{Leader: p.Leader}
		}
	}
}

// Position returns the playback position in seconds, from 0 to the media's length.
func (p *Playback) Position(now time.Time) float64 {
	position := p.position
	if !p.Paused && !p.at.IsZero() {
		position += now.Sub(p.at).Seconds()
	}
	if p.Media.Seconds > 0 {
		position = min(position, float64(p.Media.Seconds))
	}
	return max(0, position)
}

// FormatClock formats a length or a position in seconds as players do: 1:05 or 1:02:03.
func FormatClock(seconds float64) string {
	total := int(max(0, seconds))
	if hours := total / 3600; hours > 0 {
		return fmt.Sprintf("%d:%02d:%02d", hours, total/60%60, total%60)
	}
	return fmt.Sprintf("%d:%02d", total/60, total%60)
}
