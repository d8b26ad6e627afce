package playlist

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

const (
	// lookInterval is how often the plugin looks whether what plays goes on.
	lookInterval = 30 * time.Second
	// slack is how far the position of something that stands still may seem to go, in seconds: the bot goes on with it
	// from one report of the playback leader to the next. It is less than lookInterval.
	slack = 20
	// grace is how long something may stand still at its end.
	grace = 2 * time.Minute
	// claimed is how long no other process of the plugin skips the same.
	claimed  = 10 * time.Minute
	deadKeys = "dead/"
)

// watch sees whether what plays stands still. The server does not play anything itself: it goes on by the clock, or by
// the reports of the playback leader, whose player may be stuck. Of that people would wait for ever.
type watch struct {
	media    string
	position float64   // in seconds
	since    time.Time // when it was first there
}

// look skips what has stood still for as long as it would have taken to its end.
func (w *watch) look(ctx context.Context, c *plugin.Channel) error {
	if !c.Settings().Bool(skipDead) {
		*w = watch{}
		return nil
	}
	state, err := c.State(ctx, plugin.Media)
	if err != nil {
		*w = watch{}
		if errors.Is(err, plugin.ErrAway) {
			return nil // no bot is in the channel
		}
		return err
	}
	now := state.Playing
	if now == nil || now.Paused || now.Seconds == 0 { // a live stream has no end
		*w = watch{}
		return nil
	}
	if media := identity(now); media != w.media || math.Abs(now.Position-w.position) > slack {
		*w = watch{media, now.Position, c.Now()}
		return nil
	}
	left := time.Duration((float64(now.Seconds) - w.position) * float64(time.Second))
	if c.Now().Sub(w.since) < left+grace {
		return nil
	}
	return w.skip(ctx, c, now)
}

func (w *watch) skip(ctx context.Context, c *plugin.Channel, now *plugin.Playing) error {
	key := fmt.Sprintf("%s%x", deadKeys, sha256.Sum256([]byte(w.media))) // an ID can be longer than a key
	isFirst, err := c.KV().Create(ctx, key, true, plugin.Expires(claimed))
	if err != nil || !isFirst { // another process does it, or this one has tried
		return err
	}
	if err := c.Act(ctx, plugin.PlaylistSkip, plugin.Action{UID: now.UID}); err != nil {
		return err
	}
	*w = watch{}
	return c.Say(ctx, plugin.Cut("Skipped "+plugin.OneLine(now.Title, 2*maxTitle)+": it stood still.", plugin.MaxLength))
}
