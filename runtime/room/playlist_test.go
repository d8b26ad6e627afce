package room_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
)

// queued returns the events that put items with the UIDs 0 to count-1 into the playlist.
func queued(count int) []cytube.Event {
	var events []cytube.Event
	for uid := range count {
		events = append(events, cytube.Queue{Item: cytube.Item{UID: uid}, After: cytube.Place{Last: true}})
	}
	return events
}

func uids(r *room.Room) []int {
	uids := []int{}
	for _, item := range r.Playlist.Items {
		uids = append(uids, item.UID)
	}
	return uids
}

func TestPlaylist(t *testing.T) {
	t.Parallel()
	item := cytube.Item{UID: 9}
	tests := map[string]struct {
		event cytube.Event
		want  []int
	}{
		"queue at the end":            {cytube.Queue{Item: item, After: cytube.Place{Last: true}}, []int{0, 1, 2, 9}},
		"queue at the beginning":      {cytube.Queue{Item: item, After: cytube.Place{First: true}}, []int{9, 0, 1, 2}},
		"queue after an item":         {cytube.Queue{Item: item, After: cytube.Place{UID: 1}}, []int{0, 1, 9, 2}},
		"queue after an unknown item": {cytube.Queue{Item: item, After: cytube.Place{UID: 77}}, []int{0, 1, 2, 9}},
		"queue an item twice":         {cytube.Queue{Item: cytube.Item{UID: 0}, After: cytube.Place{UID: 1}}, []int{1, 0, 2}},
		"delete":                      {cytube.Delete{UID: 1}, []int{0, 2}},
		"delete an unknown item":      {cytube.Delete{UID: 77}, []int{0, 1, 2}},
		"move":                        {cytube.MoveVideo{UID: 0, After: cytube.Place{UID: 2}}, []int{1, 2, 0}},
		"move an unknown item":        {cytube.MoveVideo{UID: 77, After: cytube.Place{UID: 2}}, []int{0, 1, 2}},
		"whole list":                  {cytube.Playlist{Items: []cytube.Item{item}}, []int{9}},
		"empty list":                  {cytube.PlaylistMeta{Count: 0}, []int{}},
		"number of items":             {cytube.PlaylistMeta{Count: 3}, []int{0, 1, 2}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := apply(append(queued(3), test.event)...)
			if diff := cmp.Diff(test.want, uids(r)); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCurrentItem(t *testing.T) {
	t.Parallel()
	r, _ := apply(append(queued(2), cytube.SetCurrent{UID: 1})...)
	if r.Playlist.Current != 1 {
		t.Errorf("playlist %+v", r.Playlist)
	}
	r.Apply(cytube.PlaylistMeta{Count: 0}, start)
	if r.Playlist.Current != room.NoItem || room.New().Playlist.Current != room.NoItem {
		t.Errorf("an empty playlist has the current item %d", r.Playlist.Current)
	}
}

func TestPlaceFor(t *testing.T) {
	t.Parallel()
	for from := range 4 {
		for to := range 4 {
			r, _ := apply(queued(4)...)
			r.Apply(cytube.MoveVideo{UID: from, After: r.Playlist.PlaceFor(from, to)}, start)
			if got := uids(r); len(got) != 4 || got[to] != from {
				t.Errorf("from %d to %d: %v", from, to, got)
			}
		}
	}
}

func TestPosition(t *testing.T) {
	t.Parallel()
	change := func(position float64, seconds int, paused bool) cytube.Event {
		return cytube.ChangeMedia{Media: cytube.Media{ID: "a", Seconds: seconds}, Position: position, Paused: paused}
	}
	tests := map[string]struct {
		events []cytube.Event
		after  time.Duration
		want   float64
	}{
		"nothing plays":      {after: time.Minute},
		"playing":            {events: []cytube.Event{change(10, 100, false)}, after: 20 * time.Second, want: 30},
		"paused":             {events: []cytube.Event{change(10, 100, true)}, after: 20 * time.Second, want: 10},
		"past the end":       {events: []cytube.Event{change(95, 100, false)}, after: 20 * time.Second, want: 100},
		"live":               {events: []cytube.Event{change(95, 0, false)}, after: 20 * time.Second, want: 115},
		"players still load": {events: []cytube.Event{change(-3, 100, false)}, after: time.Second, want: 0},
		"updated a second later": {
			events: []cytube.Event{change(10, 100, true), cytube.MediaUpdate{Position: 40}}, after: 3 * time.Second, want: 42,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := apply(test.events...)
			if got := r.Playback.Position(start.Add(test.after)); got != test.want {
				t.Errorf("at %v s, want %v s", got, test.want)
			}
		})
	}
}

func TestEmptyPlaylistEndsPlayback(t *testing.T) {
	t.Parallel()
	r, _ := apply(
		cytube.PlaylistMeta{Count: 2}, cytube.SetLeader{Name: "alice"},
		cytube.ChangeMedia{Media: cytube.Media{ID: "a", Title: "Alien", Seconds: 7020}},
		cytube.PlaylistMeta{Count: 1},
	)
	if r.Playback.Media.Title != "Alien" || r.Playlist.Count != 1 {
		t.Errorf("plays %+v, %d items", r.Playback.Media, r.Playlist.Count)
	}
	r.Apply(cytube.PlaylistMeta{Count: 0}, start)
	if r.Playback.Media != (cytube.Media{}) || r.Playlist.Count != 0 || r.Playback.Leader != "alice" {
		t.Errorf("plays %+v, %d items, leader %q", r.Playback.Media, r.Playlist.Count, r.Playback.Leader)
	}
}
