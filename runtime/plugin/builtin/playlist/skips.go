package playlist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

const (
	// votesKey is the key of the votes about what plays.
	votesKey = "votes"
	// maxVotes bounds the votes, and votesKept is how long they are kept if nothing else begins.
	maxVotes, votesKept = 500, 24 * time.Hour
	// skipTime is how long the server may take to skip something. Afterwards people vote anew.
	skipTime = time.Minute
)

// votes are those about what plays, as they are stored.
type votes struct {
	Media string   `json:"media"`
	Names []string `json:"names"` // in lower case
	// Decided is when there were enough, in Unix seconds. 0: there are not yet.
	Decided int64 `json:"decided,omitempty"`
}

var errDecided = plugin.Usage("it is being skipped")

func declareSkips(p *plugin.Plugin) {
	p.Command(plugin.Command{
		Name: "skip", Timeout: actTimeout, Via: []plugin.Via{plugin.Chat}, Cooldown: plugin.Cooldown{User: 3 * time.Second},
		Help:     "Votes to skip what plays.",
		Examples: []plugin.Example{{Say: "!skip", Rank: plugin.Registered, Wrong: `nothing plays`}},
	}, vote)
	p.Command(plugin.Command{
		Name: "dead", Rank: plugin.Moderator, Timeout: actTimeout, Via: []plugin.Via{plugin.Chat},
		Help:     "Removes what plays from the playlist, because it does not play.",
		Examples: []plugin.Example{{Say: "!dead", Wrong: `nothing plays`}},
	}, removeDead)
}

// identity tells what plays from what else may play.
func identity(now *plugin.Playing) string { return fmt.Sprintf("%d %s:%s", now.UID, now.Type, now.ID) }

// playing returns what plays, or a usage error if nothing does.
func playing(ctx context.Context, c *plugin.Channel) (*plugin.Playing, error) {
	state, err := c.State(ctx, plugin.Media)
	if err == nil && state.Playing == nil {
		err = plugin.Usage("nothing plays")
	}
	return state.Playing, err
}

func vote(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	guests := c.Settings().Bool(guestsVote)
	if c.User.Rank < plugin.Registered && !guests {
		return plugin.Reply{}, plugin.Usage("only registered people vote")
	}
	now, err := playing(ctx, c.Channel)
	if err != nil {
		return plugin.Reply{}, err
	}
	people, err := c.State(ctx, plugin.Users)
	if err != nil {
		return plugin.Reply{}, err
	}
	who, at := strings.ToLower(c.User.Name), c.Now()
	var count, need int
	_, err = plugin.Update(ctx, c.KV(), votesKey, func(before votes) (votes, error) {
		after := before.with(identity(now), who, at)
		if after.Decided != 0 {
			return votes{}, errDecided
		}
		present := after.among(people, guests)
		count, need = present.votes, present.needed(c.Settings().Int(skipShare), c.Settings().Int(skipVotes))
		if count >= need {
			after.Decided = at.Unix() // so that two last votes do not skip two items
		}
		return after, nil
	}, plugin.Expires(votesKept))
	switch {
	case err != nil:
		return plugin.Reply{}, err
	case count < need:
		return plugin.Text("%d of %d votes to skip.", count, need), nil
	}
	err = c.Act(ctx, plugin.PlaylistSkip, plugin.Action{UID: now.UID})
	switch {
	case errors.Is(err, plugin.ErrUnconfirmed): // it stays decided for skipTime
		return plugin.Reply{}, err
	case err != nil:
		return plugin.Reply{}, errors.Join(refusal(err), undecide(ctx, c, identity(now)))
	}
	return plugin.Text("Skipped, by %d votes.", count), nil
}

// undecide notes that something was not skipped: who votes next, or again, has it tried again.
func undecide(ctx context.Context, c *plugin.Call, media string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout) // also if the call's time is over
	defer cancel()
	_, err := plugin.Update(ctx, c.KV(), votesKey, func(now votes) (votes, error) {
		if now.Media == media {
			now.Decided = 0
		}
		return now, nil
	}, plugin.Expires(votesKept))
	return err
}

// with returns the votes with one more.
func (v votes) with(media, who string, at time.Time) votes {
	isOld := v.Decided != 0 && at.Sub(time.Unix(v.Decided, 0)) > skipTime
	if v.Media != media || isOld {
		v = votes{Media: media}
	}
	if !slices.Contains(v.Names, who) && len(v.Names) < maxVotes {
		v.Names = append(v.Names, who)
	}
	return v
}

// turnout is how many people there are who may vote, and how many of them did.
type turnout struct{ people, votes int }

// among returns the turnout among those who are present. Who is away and has not voted does not count.
func (v votes) among(state plugin.State, guests bool) (t turnout) {
	voted := map[string]bool{}
	for _, name := range v.Names {
		voted[name] = true
	}
	for _, user := range state.Users {
		if user.Name == state.Self || user.Rank < plugin.Registered && !guests {
			continue
		}
		has := voted[strings.ToLower(user.Name)]
		if has {
			t.votes++
		}
		if has || !user.AFK {
			t.people++
		}
	}
	return t
}

// needed returns how many votes are enough. share is in percent.
func (t turnout) needed(share, least int) int { return max(least, (t.people*share+99)/100) }

// forgetVotes forgets the votes about what played before.
func forgetVotes(ctx context.Context, e *plugin.Event) error {
	_, err := e.KV().Delete(ctx, votesKey)
	return err
}

func removeDead(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	now, err := playing(ctx, c.Channel)
	if err != nil {
		return plugin.Reply{}, err
	}
	title := plugin.OneLine(now.Title, maxTitle)
	if now.UID == 0 { // the bot cannot see the playlist
		err := c.Act(ctx, plugin.PlaylistSkip, plugin.Action{})
		return plugin.Text("Skipped %s", title), refusal(err)
	}
	err = c.Act(ctx, plugin.PlaylistRemove, plugin.Action{UID: now.UID})
	return plugin.Text("Removed %s", title), refusal(err)
}
