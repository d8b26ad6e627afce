package cytube

import (
	"encoding/json"
	"fmt"
)

var playlistDecoders = map[string]decoder{
	Playlist{}.EventName():       as(playlistOf),
	PlaylistMeta{}.EventName():   as(func(p wirePlaylistMeta) Event { return PlaylistMeta{p.Count, int(p.RawTime)} }),
	PlaylistLocked{}.EventName(): as(func(locked bool) Event { return PlaylistLocked{Locked: locked} }),
	Queue{}.EventName():          as(func(q wireQueue) Event { return Queue{Item: q.Item.item(), After: Place(q.After)} }),
	QueueFail{}.EventName():      as(func(f wireRefusal) Event { return QueueFail{Message: f.Msg} }),
	Delete{}.EventName():         as(func(u wireUID) Event { return Delete{UID: u.UID} }),
	MoveVideo{}.EventName():      as(func(m wireMove) Event { return MoveVideo{UID: m.From, After: Place(m.After)} }),
	SetTemp{}.EventName():        as(func(u wireUID) Event { return SetTemp(u) }),
	SetCurrent{}.EventName():     as(func(uid int) Event { return SetCurrent{UID: uid} }),
	ChangeMedia{}.EventName():    as(changeMedia),
	MediaUpdate{}.EventName():    as(func(t wireTime) Event { return MediaUpdate(t) }),
	SetLeader{}.EventName():      as(func(name string) Event { return SetLeader{Name: name} }),
	Voteskip{}.EventName():       as(func(v wireVoteskip) Event { return Voteskip(v) }),
}

type wireMedia struct {
	ID      string  `json:"id"`
	Type    string  `json:"type"`
	Title   string  `json:"title"`
	Seconds float64 `json:"seconds"`
}

func (m wireMedia) media() Media {
	return Media{ID: m.ID, Type: m.Type, Title: m.Title, Seconds: int(m.Seconds)}
}

type wireItem struct {
	Media   wireMedia `json:"media"`
	UID     int       `json:"uid"`
	Temp    bool      `json:"temp"`
	QueueBy string    `json:"queueby"`
}

func (i wireItem) item() Item {
	return Item{UID: i.UID, Media: i.Media.media(), Temp: i.Temp, QueuedBy: i.QueueBy}
}

func playlistOf(items []wireItem) Event {
	list := Playlist{Items: make([]Item, 0, len(items))}
	for _, item := range items {
		list.Items = append(list.Items, item.item())
	}
	return list
}

type wirePlaylistMeta struct {
	Count   int     `json:"count"`
	RawTime float64 `json:"rawTime"` // seconds
}

type wireQueue struct {
	Item  wireItem  `json:"item"`
	After wirePlace `json:"after"`
}

type wireMove struct {
	From  int       `json:"from"`
	After wirePlace `json:"after"`
}

// wirePlace is the number of an item, or one of two words.
type wirePlace Place

const (
	placeFirst = "prepend"
	placeLast  = "append"
)

// UnmarshalJSON implements json.Unmarshaler.
func (p *wirePlace) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case `"` + placeFirst + `"`:
		p.First = true
		return nil
	case `"` + placeLast + `"`:
		p.Last = true
		return nil
	}
	if err := json.Unmarshal(data, &p.UID); err != nil {
		return fmt.Errorf("decoding a place in the playlist: %w", err)
	}
	return nil
}

// onWire is what UnmarshalJSON reads.
func (p Place) onWire() any {
	switch {
	case p.First:
		return placeFirst
	case p.Last:
		return placeLast
	}
	return p.UID
}

type wireUID struct {
	UID  int  `json:"uid"`
	Temp bool `json:"temp"`
}

type wireTime struct {
	Position float64 `json:"currentTime"` // seconds
	Paused   bool    `json:"paused"`
}

type wireChangeMedia struct {
	wireMedia
	wireTime
}

func changeMedia(m wireChangeMedia) Event {
	return ChangeMedia{Media: m.media(), Position: m.Position, Paused: m.Paused}
}

type wireVoteskip struct {
	Count int `json:"count"`
	Need  int `json:"need"`
}
