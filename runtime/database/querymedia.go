package database

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

const (
	// maxPlays bounds the plays that one request reads, and playsPortion those that are read at a time.
	maxPlays     = 50_000
	playsPortion = 1_000
)

// mediaQuery is bus.MediaRequest as clients send it.
type mediaQuery struct {
	span
	page
	By       bus.MediaBy `json:"by"`
	Username text        `json:"username"`
	origin
}

func (q mediaQuery) check() error {
	return firstError(q.span.check(), q.page.check(), checkWords("username", q.Username),
		checkOneOf("by", q.By, bus.MediaPlays, bus.MediaByItem, bus.MediaByUser))
}

func (q mediaQuery) cost() queryCost {
	if q.Username != "" || q.By == bus.MediaByItem || q.By == bus.MediaByUser {
		return readsMuch
	}
	return readsLittle
}

// media answers bus.QueryMedia.
func (e *Engine) media(ctx context.Context, channel store.Channel, request mediaQuery, in queryInput) (any, error) {
	if request.By == bus.MediaByItem || request.By == bus.MediaByUser {
		return e.mostPlayed(ctx, channel, request, in)
	}
	result := bus.MediaReply{Success: true, Items: []bus.MediaItem{}}
	var places []place
	limit, query := request.limit(), store.PlayQuery{Span: request.times(), After: request.Cursor.position()}
	read, err := e.readPlays(ctx, channel, query, limit+1, func(play store.Play) bool {
		if request.matches(play) {
			result.Items = append(result.Items, mediaItem(play))
			places = append(places, placeOf(play.At, play.EventID))
		}
		return len(result.Items) <= limit
	})
	if err != nil {
		return nil, err
	}
	if read.more { // of a user of whom there are few plays
		result.Next = read.last.encode()
	}
	shown := fits(result.Items[:min(limit, len(result.Items))], in.maxBytes)
	if shown < len(result.Items) {
		result.Next = places[shown-1].encode()
	}
	result.Items = result.Items[:shown]
	return result, nil
}

// matches reports whether a play was queued by the user of the request.
func (q mediaQuery) matches(play store.Play) bool {
	return q.Username == "" || store.Fold(play.QueuedBy) == store.Fold(string(q.Username))
}

func mediaItem(play store.Play) bus.MediaItem {
	return bus.MediaItem{AtMS: play.At.UnixMilli(), Plays: 1, Media: bus.Media{
		Type: play.Type, ID: play.ID, Title: play.Title, Seconds: int(play.Seconds), QueuedBy: play.QueuedBy,
	}}
}

// playsRead says how far plays were read.
type playsRead struct {
	last place
	more bool // there may be more plays behind last
}

// readPlays calls do for each play, the newest first, until it returns false, or maxPlays or maxSearchTime are met.
func (e *Engine) readPlays(
	ctx context.Context, channel store.Channel, query store.PlayQuery, portion int, do func(store.Play) bool,
) (read playsRead, err error) {
	until := time.Now().Add(maxSearchTime)
	for count := 0; count < maxPlays && (count == 0 || time.Now().Before(until)); count += query.Limit {
		query.Limit = min(portion, maxPlays-count)
		plays, err := e.store.Plays(ctx, channel, query)
		if err != nil {
			return read, err
		}
		for _, play := range plays {
			read.last = placeOf(play.At, play.EventID)
			if !do(play) {
				return read, nil
			}
			query.After = &store.Position{At: play.At, ID: play.EventID}
		}
		if len(plays) < query.Limit {
			return read, nil
		}
		portion = playsPortion
	}
	read.more = true
	return read, nil
}

// mostPlayed counts plays by item, or by who queued them.
func (e *Engine) mostPlayed(
	ctx context.Context, channel store.Channel, request mediaQuery, in queryInput,
) (any, error) {
	counts := map[string]*bus.MediaItem{}
	read, err := e.readPlays(ctx, channel, store.PlayQuery{Span: request.times()}, playsPortion,
		func(play store.Play) bool {
			if request.matches(play) {
				countPlay(counts, request.By, play)
			}
			return true
		})
	if err != nil {
		return nil, err
	}
	result := bus.MediaReply{Success: true, Items: []bus.MediaItem{}}
	if read.more {
		result.CountedFromMS = read.last.At
	}
	var places []place
	for key, item := range counts {
		places = append(places, place{ID: key, At: item.AtMS, Value: int64(item.Plays)})
	}
	slices.SortFunc(places, comparePlays)
	for _, at := range places {
		if request.Cursor.set && comparePlays(at, request.Cursor.place) <= 0 {
			continue
		}
		if len(result.Items) == request.limit() {
			result.Next = "more"
			break
		}
		result.Items = append(result.Items, *counts[at.ID])
	}
	shown := fits(result.Items, in.maxBytes)
	if shown < len(result.Items) || result.Next != "" {
		last := result.Items[shown-1]
		result.Next = place{ID: keyOfPlay(request.By, last.Media), At: last.AtMS, Value: int64(last.Plays)}.encode()
	}
	result.Items = result.Items[:shown]
	return result, nil
}

// comparePlays orders the most played first, of these the last played, and then by key.
func comparePlays(a, b place) int {
	return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(b.At, a.At), strings.Compare(a.ID, b.ID))
}

// countPlay counts a play, which is older than those before. The newest one says how the item and the user are written.
func countPlay(counts map[string]*bus.MediaItem, by bus.MediaBy, play store.Play) {
	item := mediaItem(play)
	key := keyOfPlay(by, item.Media)
	if known := counts[key]; known != nil {
		known.Plays++
		return
	}
	if by == bus.MediaByUser {
		item.Media = bus.Media{QueuedBy: item.QueuedBy}
	} else {
		item.QueuedBy = ""
	}
	counts[key] = &item
}

// keyOfPlay returns what plays are counted by.
func keyOfPlay(by bus.MediaBy, media bus.Media) string {
	if by == bus.MediaByUser {
		return store.Fold(media.QueuedBy)
	}
	return store.MediaPlayed{Type: media.Type, ID: media.ID}.ItemKey()
}
