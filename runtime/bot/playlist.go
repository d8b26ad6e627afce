package bot

import (
	"slices"

	"rosey.dev/rosey/runtime/cytube"
)

// noItem is the UID of nothing.
const noItem = -1

// playlist is what waits to be played.
type playlist struct {
	// items are in order. There are none while we may not see them.
	items []cytube.Item
	// count is how many there are, which everybody is told.
	count int
	// current is the UID of what plays, or noItem.
	current int
	locked  bool
}

func (p *playlist) apply(event cytube.Event) {
	switch event := event.(type) {
	case cytube.Playlist:
		p.items = event.Items
	case cytube.PlaylistMeta:
		p.setCount(event.Count)
	case cytube.PlaylistLocked:
		p.locked = event.Locked
	case cytube.SetCurrent:
		p.current = event.UID
	case cytube.Queue:
		p.remove(event.Item.UID) // told twice it is one item all the same
		p.insert(event.Item, event.After)
	case cytube.Delete:
		p.remove(event.UID)
	case cytube.MoveVideo:
		if item, known := p.remove(event.UID); known {
			p.insert(item, event.After)
		}
	case cytube.SetTemp:
		if at := p.index(event.UID); at >= 0 {
			p.items[at].Temp = event.Temp
		}
	}
}

func (p *playlist) setCount(count int) {
	p.count = count
	if count == 0 {
		p.items, p.current = nil, noItem
	}
}

func (p *playlist) index(uid int) int {
	return slices.IndexFunc(p.items, func(item cytube.Item) bool { return item.UID == uid })
}

func (p *playlist) remove(uid int) (cytube.Item, bool) {
	at := p.index(uid)
	if at < 0 {
		return cytube.Item{}, false
	}
	item := p.items[at]
	p.items = slices.Delete(p.items, at, at+1)
	return item, true
}

// insert puts an item where it belongs; behind one that we do not know it goes to the end.
func (p *playlist) insert(item cytube.Item, after cytube.Place) {
	at := len(p.items)
	if behind := p.index(after.UID); behind >= 0 && !after.Last {
		at = behind + 1
	}
	if after.First {
		at = 0
	}
	p.items = slices.Insert(p.items, at, item)
}

// placeFor is where the item at one index has to go to be at another, both counted from 0: the place is
// counted in the list without the item.
func (p *playlist) placeFor(from, to int) cytube.Place {
	if to == 0 {
		return cytube.Place{First: true}
	}
	rest := slices.Delete(slices.Clone(p.items), from, from+1)
	return cytube.Place{UID: rest[to-1].UID}
}
