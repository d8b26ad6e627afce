package command

import (
	"context"
	"slices"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

const (
	// maxLate is how many additions are remembered.
	maxLate = 128
	// lateFor is how long an item with another ID than the bot has sent can be one of them.
	lateFor = 10 * time.Minute
)

// addition is what the bot adds to the playlist.
type addition struct {
	media cytube.Media
	// temp is whether it is removed when it was played, and mayLive whether it may be a live stream.
	temp, mayLive bool
	// plugin is whose it is, and call the ID of the call because of which. Empty: the bot's own, or of no call.
	plugin, call string
	sent         time.Time
}

// additions are the last ones that the server has not shown yet, or not all of them. It is safe for concurrent use.
type additions struct {
	mu  sync.Mutex
	all []*addition
	// awaited is the one that was sent just now. Nil: none.
	awaited *addition
}

// begin notes an addition, before it is sent.
func (a *additions) begin(one *addition) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one.sent = time.Now()
	a.all, a.awaited = append(a.all[max(0, len(a.all)+1-maxLate):], one), one
}

// late notes that the addition that was sent last is waited for no more: it may come late.
func (a *additions) late() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.awaited = nil
}

// end forgets an addition.
func (a *additions) end(one *addition) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = slices.DeleteFunc(a.all, func(other *addition) bool { return other == one })
}

// answered forgets an addition that the server has shown or refused, unless it is a list: of its videos more may come,
// each of which is refused with the ID of the list.
func (a *additions) answered(one *addition) {
	if !isList(one.media) {
		a.end(one)
	}
}

// isList reports whether media are a YouTube playlist, of which the server queues the videos.
func isList(media cytube.Media) bool { return media.Type == "yp" }

// mayBe reports whether media that the bot has added can be those that it has sent last: they are no others that come
// late.
func (a *additions) mayBe(shown, sent cytube.Media) bool {
	if shown.IsOf(sent) {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	isLate := func(one *addition) bool { return shown.IsOf(one.media) }
	return canBecome(sent, shown) && !slices.ContainsFunc(a.all, isLate)
}

// canBecome reports whether the server may show media for those that it was sent. It may queue another ID: that of a
// short link, or of an embed.
func canBecome(sent, shown cytube.Media) bool { return shown.Type == sent.Type || isList(sent) }

// came returns the addition that has come late with media that nobody waits for, or nil, and has it shown.
func (a *additions) came(media cytube.Media) *addition {
	one := a.find(media)
	if one != nil {
		a.answered(one)
	}
	return one
}

// find returns the addition that media are of, or nil: that of the same, or else one that they can be. Of several it is
// the one that is waited for, as mayBe has it, or else the first.
func (a *additions) find(media cytube.Media) *addition {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, isMeant := range []func(*addition) bool{
		func(one *addition) bool { return media.IsOf(one.media) },
		func(one *addition) bool { return canBecome(one.media, media) && time.Since(one.sent) < lateFor },
	} {
		if a.awaited != nil && isMeant(a.awaited) {
			return a.awaited
		}
		if at := slices.IndexFunc(a.all, isMeant); at >= 0 {
			return a.all[at]
		}
	}
	return nil
}

// CauseOf returns which plugin has had an item added that the server shows or refuses by an event, and the ID of the
// call because of which, whether the event comes in time or late. Empty: none, or it did it by itself, or it is the
// refusal of one video of a list. It must be called before Handle with the same event.
func (h *Handler) CauseOf(event cytube.Event) (plugin, call string) {
	var one *addition
	switch event := event.(type) {
	case cytube.Queue:
		if h.Room.IsMe(event.Item.QueuedBy) {
			one = h.late.find(event.Item.Media)
		}
	case cytube.QueueFail:
		if one = h.late.refused(event.ID); one != nil && isList(one.media) {
			return "", ""
		}
	}
	if one == nil {
		return "", ""
	}
	return one.plugin, one.call
}

// refused returns the addition that the server refuses by the ID that it was sent, or nil. An empty one is that of what
// is waited for.
func (a *additions) refused(id string) *addition {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.awaited != nil && (id == "" || id == a.awaited.media.ID) {
		return a.awaited
	}
	if at := slices.IndexFunc(a.all, func(one *addition) bool { return one.media.ID == id }); at >= 0 {
		return a.all[at]
	}
	return nil
}

// handleLate takes an event that nobody waits for. What has come late is removed if it is a live stream and may not be.
func (h *Handler) handleLate(event cytube.Event) {
	switch event := event.(type) {
	case cytube.Queue:
		if !h.Room.IsMe(event.Item.QueuedBy) {
			return
		}
		one := h.late.came(event.Item.Media)
		if one == nil || one.mayLive || event.Item.Media.Seconds > 0 {
			return
		}
		select {
		case h.strays <- event.Item.UID:
		default: // as many are being removed: the connection is stuck
		}
	case cytube.QueueFail:
		if one := h.late.refused(event.ID); one != nil {
			h.late.answered(one)
		}
	}
}

// removeStrays removes live streams that have come late until ctx ends.
func (h *Handler) removeStrays(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case uid := <-h.strays:
			h.removeStray(ctx, uid)
		}
	}
}

func (h *Handler) removeStray(ctx context.Context, uid int) {
	if !h.Leading() {
		return
	}
	limited, cancel := context.WithTimeout(ctx, taskTimeout)
	defer cancel()
	if err := h.Conn.Delete(limited, uid); err != nil {
		h.Log.WarnContext(ctx, "cannot remove a live stream that was added late and must not be there", "item", uid,
			"error", err)
		return
	}
	h.Log.InfoContext(ctx, "live stream that was added late removed: the rank of who added it does not allow it",
		"item", uid)
}
