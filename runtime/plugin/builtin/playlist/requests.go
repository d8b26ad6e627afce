package playlist

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// Events beside those that the SDK names.
const (
	currentEvent  = "setCurrent" // Data is the UID of what plays now
	playlistEvent = "playlist"   // Data has all items, after a shuffle for example
)

const (
	// requestsKey is the key of what people have added.
	requestsKey = "requests"
	// maxRequests bounds how many are noted, of all people together.
	maxRequests = 400
	// maxWait is after how long an item counts no more as one that waits, whatever has become of it, and unknownWait the
	// same for one that the channel has not shown.
	maxWait, unknownWait = 24 * time.Hour, time.Hour
	// noteTimeout is how long the plugin may take to note what has become of a request.
	noteTimeout = 3 * time.Second
)

// request is an item that somebody has added, as it is stored.
type request struct {
	UID int `json:"uid"` // of the item, once it is known; the first one of a channel is 0
	// Call is the ID of the call, while what becomes of it, and its UID, are not known.
	Call  string `json:"call,omitempty"`
	Who   string `json:"who"`   // in lower case
	At    int64  `json:"at"`    // in Unix seconds
	Waits bool   `json:"waits"` // it has not been played yet
}

func declareRequests(p *plugin.Plugin) {
	p.Command(plugin.Command{
		Name: "request", Aliases: []string{"req"}, Usage: "link", Rank: plugin.Registered, Timeout: actTimeout,
		Via: []plugin.Via{plugin.Chat}, Cooldown: plugin.Cooldown{User: 5 * time.Second},
		Help: "Adds to the end of the playlist.",
		Examples: []plugin.Example{
			{Say: "!request https://youtu.be/dQw4w9WgXcQ", Like: `^Added .+ \[1:30:00\]$`},
			{Say: "!request", Wrong: `expected a link`},
		},
	}, add)
}

func add(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	words := c.Words()
	if len(words) != 1 {
		return plugin.Reply{}, plugin.Usage("expected a link, and nothing else")
	}
	isLimited := c.User.Rank < plugin.Moderator
	if isLimited {
		if err := reserve(ctx, c); err != nil {
			return plugin.Reply{}, err
		}
	}
	item, err := c.Add(ctx, words[0])
	if isLimited {
		if noteErr := settle(ctx, c, item, err); noteErr != nil {
			c.Log().WarnContext(ctx, "what became of a request is not noted", "error", noteErr)
		}
	}
	if err != nil {
		return plugin.Reply{}, refusal(err)
	}
	return plugin.Text("Added %s", describe(item)), nil
}

// refusal returns an error that is shown to the person if the bot or the server has refused what was requested.
func refusal(err error) error {
	if refused, ok := errors.AsType[*plugin.RequestError](err); ok && !errors.Is(err, plugin.ErrUnconfirmed) {
		return plugin.UsageError(errors.New(refused.Why))
	}
	return err
}

// reserve notes that somebody adds an item, before it is added, so that no limit is passed meanwhile. It returns a
// usage error if a limit is reached.
func reserve(ctx context.Context, c *plugin.Call) error {
	waiting, hourly := c.Settings().Int(maxWaiting), c.Settings().Int(maxPerHour)
	who, now := strings.ToLower(c.User.Name), c.Now()
	return change(ctx, c.Channel, func(all []request) ([]request, error) {
		waits, lately := 0, 0
		for _, one := range all {
			if one.Who != who {
				continue
			}
			if one.Waits {
				waits++
			}
			if one.isRecent(now) {
				lately++
			}
		}
		switch {
		case waiting > 0 && waits >= waiting:
			return nil, plugin.Usage("%d of your items wait: at most %d may", waits, waiting)
		case hourly > 0 && lately >= hourly:
			return nil, plugin.Usage("you have added %d items in an hour: at most %d may be", lately, hourly)
		case len(all) >= maxRequests:
			return nil, plugin.Usage("too many items of all people wait: try again later")
		}
		return append(all, request{Call: c.ID, Who: who, At: now.Unix(), Waits: true}), nil
	})
}

// settle notes what has become of a request. If that is not known, it counts as one that waits, for a while.
func settle(ctx context.Context, c *plugin.Call, item plugin.Item, problem error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout) // also if the call's time is over
	defer cancel()
	_, answered := errors.AsType[*plugin.RequestError](problem)
	refused := answered && !errors.Is(problem, plugin.ErrUnconfirmed)
	switch {
	case refused || errors.Is(problem, plugin.ErrAbsent):
		return release(ctx, c.Channel, c.ID)
	case problem != nil:
		return nil
	}
	if err := learn(ctx, c.Channel, c.ID, item.UID); err != nil {
		return err
	}
	// The event that it begins may have come before its UID was noted, so what plays is asked for after that.
	state, err := c.State(ctx, plugin.Media)
	if err != nil || state.Playing == nil || state.Playing.UID != item.UID {
		return err
	}
	return end(ctx, c.Channel, func(uid int) bool { return uid == item.UID })
}

// release removes what was noted of a call because of which nothing was added.
func release(ctx context.Context, c *plugin.Channel, call string) error {
	isMeant := func(one request) bool { return one.Call == call }
	if noted, err := isNoted(ctx, c, isMeant); err != nil || !noted {
		return err // it was released when the call was answered, or its limits do not hold
	}
	return change(ctx, c, func(all []request) ([]request, error) { return slices.DeleteFunc(all, isMeant), nil })
}

// noteRefused notes that the server has refused what somebody wanted to add, also if it does so when the call is long
// over.
func noteRefused(ctx context.Context, e *plugin.Event) error {
	if e.CallID == "" {
		return nil // it is none of ours
	}
	return release(ctx, e.Channel, e.CallID)
}

// learn notes the UID of the item that was added because of a call.
func learn(ctx context.Context, c *plugin.Channel, call string, uid int) error {
	isMeant := func(one request) bool { return one.Call == call }
	return amend(ctx, c, isMeant, func(one *request) { one.UID, one.Call = uid, "" })
}

// noteQueued learns the UID of an item that somebody has added, also if it comes when the call is long over.
func noteQueued(ctx context.Context, e *plugin.Event) error {
	var queued struct {
		Item struct {
			UID *int `json:"uid"`
		} `json:"item"`
	}
	if e.CallID == "" {
		return nil // it is none of ours
	}
	if err := json.Unmarshal(e.Data, &queued); err != nil || queued.Item.UID == nil {
		return nil //nolint:nilerr // it is none of an item
	}
	return learn(ctx, e.Channel, e.CallID, *queued.Item.UID)
}

// change changes what is noted, without what is too old.
func change(ctx context.Context, c *plugin.Channel, do func(all []request) ([]request, error)) error {
	now := c.Now()
	_, err := plugin.Update(ctx, c.KV(), requestsKey, func(all []request) ([]request, error) {
		return do(current(all, now))
	})
	return err
}

// current returns the requests that count still.
func current(all []request, now time.Time) []request {
	kept := []request{}
	for _, one := range all {
		limit := maxWait
		if one.Call != "" {
			limit = unknownWait
		}
		one.Waits = one.Waits && now.Sub(time.Unix(one.At, 0)) < limit
		if one.Waits || one.isRecent(now) {
			kept = append(kept, one)
		}
	}
	return kept
}

// isRecent reports whether it was added in the last hour.
func (r request) isRecent(now time.Time) bool { return now.Sub(time.Unix(r.At, 0)) < time.Hour }

// noteDeleted notes that an item is not in the playlist any more.
func noteDeleted(ctx context.Context, e *plugin.Event) error {
	var item struct {
		UID *int `json:"uid"`
	}
	if err := json.Unmarshal(e.Data, &item); err != nil || item.UID == nil {
		return nil //nolint:nilerr // it is none of an item
	}
	return end(ctx, e.Channel, func(uid int) bool { return uid == *item.UID })
}

// noteCurrent notes that an item begins.
func noteCurrent(ctx context.Context, e *plugin.Event) error {
	var begun int
	if err := json.Unmarshal(e.Data, &begun); err != nil {
		return nil //nolint:nilerr // nothing plays
	}
	return end(ctx, e.Channel, func(uid int) bool { return uid == begun })
}

// noteList notes which items are there at all: somebody has removed many at once, or the server has started again.
func noteList(ctx context.Context, e *plugin.Event) error {
	var items []struct {
		UID int `json:"uid"`
	}
	if err := json.Unmarshal(e.Data, &items); err != nil {
		return nil //nolint:nilerr // the list was too large for the feed
	}
	there := map[int]bool{}
	for _, one := range items {
		there[one.UID] = true
	}
	return end(ctx, e.Channel, func(uid int) bool { return !there[uid] })
}

// end notes that items wait no more.
func end(ctx context.Context, c *plugin.Channel, isMeant func(uid int) bool) error {
	has := func(one request) bool { return one.Waits && one.Call == "" && isMeant(one.UID) }
	return amend(ctx, c, has, func(one *request) { one.Waits = false })
}

// isNoted reports whether a request that is meant is noted.
func isNoted(ctx context.Context, c *plugin.Channel, isMeant func(request) bool) (bool, error) {
	var all []request
	_, err := c.KV().Get(ctx, requestsKey, &all)
	return err == nil && slices.ContainsFunc(all, isMeant), err
}

// amend changes the requests that are meant.
func amend(ctx context.Context, c *plugin.Channel, isMeant func(request) bool, do func(one *request)) error {
	if noted, err := isNoted(ctx, c, isMeant); err != nil || !noted {
		return err // most items are none of ours: nothing is written
	}
	return change(ctx, c, func(all []request) ([]request, error) {
		for i := range all {
			if isMeant(all[i]) {
				do(&all[i])
			}
		}
		return all, nil
	})
}
