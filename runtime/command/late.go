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

// addition is what the bot has sent to the server, which has not shown it yet.
type addition struct {
	media cytube.Media
	// mayLive is whether it may be a live stream.
	mayLive bool
	sent    time.Time
}

// additions are the last ones that the server has not shown yet, or not all of them. It is safe for concurrent use.
type additions struct {
	mu  sync.Mutex
	all []*addition
}

// begin notes an addition, before it is sent.
func (a *additions) begin(media cytube.Media, mayLive bool) *addition {
	one := &addition{media: media, mayLive: mayLive, sent: time.Now()}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all[max(0, len(a.all)+1-maxLate):], one)
	return one
}

// end forgets an addition.
func (a *additions) end(one *addition) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = slices.DeleteFunc(a.all, func(other *addition) bool { return other == one })
}

// shown forgets an addition that the server has shown, unless it is a list, of which more may come.
func (a *additions) shown(one *addition) {
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
		a.shown(one)
	}
	return one
}

// find returns the addition that media are of: of the same, or else the first that they can be.
func (a *additions) find(media cytube.Media) *addition {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := slices.IndexFunc(a.all, func(one *addition) bool { return media.IsOf(one.media) })
	if at < 0 {
		at = slices.IndexFunc(a.all, func(one *addition) bool {
			return canBecome(one.media, media) && time.Since(one.sent) < lateFor
		})
	}
	if at < 0 {
		return nil
	}
	return a.all[at]
}

// refused forgets an addition that the server has refused late.
func (a *additions) refused(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := slices.IndexFunc(a.all, func(one *addition) bool { return one.media.ID == id })
	if at >= 0 {
		a.all = slices.Delete(a.all, at, at+1)
	}
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
		h.late.refused(event.ID)
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
