// Package playlist is a plugin for the playlist: people add to it within limits, see what plays and what follows, and
// vote to skip. What stands still is skipped.
package playlist

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// Version is that of the plugin.
const Version = "1.0.0"

// Names of settings.
const (
	maxWaiting = "maxWaiting"
	maxPerHour = "maxPerHour"
	skipShare  = "skipShare"
	skipVotes  = "skipVotes"
	guestsVote = "guestsVote"
	skipDead   = "skipDead"
)

const (
	// listed is how many of the items that follow are named, and maxTitle how long a title is then, in UTF-16 code units.
	listed, maxTitle = 3, 80
	// actTimeout is how long a call may take that changes the playlist: the bot waits for the server.
	actTimeout = 30 * time.Second
)

// New returns the plugin.
func New() *plugin.Plugin {
	p := plugin.New("playlist", Version)
	declareSettings(p)
	declareRequests(p)
	declareShow(p)
	declareSkips(p)
	p.On(plugin.MediaChanged, forgetVotes)
	p.On(plugin.Queued, noteQueued)
	p.On(plugin.QueueRefused, noteRefused)
	p.On(plugin.Deleted, noteDeleted)
	p.On(playlistEvent, noteList)
	p.On(currentEvent, noteCurrent)
	p.Every(lookInterval, new(watch).look)
	return p
}

func declareSettings(p *plugin.Plugin) {
	p.Setting(plugin.Setting{
		Name: maxWaiting, Default: "5", Check: plugin.Whole(0, 100),
		Help: "How many items that a person has added may wait at the same time. 0: any number. Moderators have no limit.",
	})
	p.Setting(plugin.Setting{
		Name: maxPerHour, Default: "20", Check: plugin.Whole(0, 200),
		Help: "How many items a person may add in an hour. 0: any number. Moderators have no limit.",
	})
	p.Setting(plugin.Setting{
		Name: skipShare, Default: "50", Check: plugin.Whole(1, 100),
		Help: "How many of a hundred people present must vote to skip what plays.",
	})
	p.Setting(plugin.Setting{
		Name: skipVotes, Default: "2", Check: plugin.Whole(1, 1000),
		Help: "The least number of votes to skip what plays, however few people are present.",
	})
	p.Setting(plugin.Setting{
		Name: guestsVote, Default: "false", Check: plugin.Switch,
		Help: "Whether guests vote, and count as present. A person can be several guests.",
	})
	p.Setting(plugin.Setting{
		Name: skipDead, Default: "true", Check: plugin.Switch,
		Help: "Whether what stands still is skipped, after the time in which it would have ended.",
	})
}

func declareShow(p *plugin.Plugin) {
	cooldown := plugin.Cooldown{User: 5 * time.Second, Channel: 2 * time.Second}
	p.Command(plugin.Command{
		Name: "now", Aliases: []string{"np", "nowplaying", "currenttime"}, Cooldown: cooldown,
		Help: "Tells what plays, and how far it is.",
		Examples: []plugin.Example{
			{Say: "!now", Like: `^Nothing plays\.$`}, {Say: "!currenttime", Like: `^Nothing plays\.$`},
		},
	}, tellNow)
	p.Command(plugin.Command{
		Name: "upnext", Aliases: []string{"whatsnext"}, Cooldown: cooldown,
		Help:     "Tells what follows.",
		Examples: []plugin.Example{{Say: "!upnext", Like: `^Nothing follows\.$`}},
	}, tellNext)
	p.Command(plugin.Command{
		Name: "shuffle", Rank: plugin.Moderator, Timeout: actTimeout, Via: []plugin.Via{plugin.Chat},
		Help:     "Shuffles the playlist.",
		Examples: []plugin.Example{{Say: "!shuffle", Like: `^The playlist is shuffled\.$`}},
	}, func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
		err := c.Act(ctx, plugin.PlaylistShuffle, plugin.Action{})
		return plugin.Text("The playlist is shuffled."), refusal(err)
	})
}

const nothingPlays = "Nothing plays."

func tellNow(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	state, err := c.State(ctx, plugin.Media)
	if err != nil {
		return plugin.Reply{}, err
	}
	now := state.Playing
	if now == nil {
		return plugin.Text(nothingPlays), nil
	}
	details := []string{clock(now.Position)}
	if now.Seconds > 0 {
		details[0] += " of " + clock(float64(now.Seconds))
	}
	if now.Paused {
		details = append(details, "paused")
	}
	if by := plugin.OneLine(now.QueuedBy, maxTitle); by != "" && by != state.Self {
		details = append(details, "added by "+by)
	}
	return plugin.Text("Now: %s (%s)", plugin.OneLine(now.Title, 2*maxTitle), strings.Join(details, ", ")), nil
}

func tellNext(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	state, err := c.State(ctx, plugin.Playlist)
	switch {
	case err != nil:
		return plugin.Reply{}, err
	case len(state.Next) == 0 && state.PlaylistItems > 1:
		return plugin.Text("The bot cannot see the playlist."), nil
	case len(state.Next) == 0:
		return plugin.Text("Nothing follows."), nil
	}
	var items []string
	for _, one := range state.Next[:min(len(state.Next), listed)] {
		items = append(items, describe(one))
	}
	text := fmt.Sprintf("Next: %s (%d in the playlist)", strings.Join(items, " · "), state.PlaylistItems)
	return plugin.Text("%s", plugin.Cut(text, plugin.MaxLength)), nil
}

// describe returns the title and the length of an item.
func describe(one plugin.Item) string {
	length := "live"
	if one.Seconds > 0 {
		length = clock(float64(one.Seconds))
	}
	return plugin.OneLine(one.Title, maxTitle) + " [" + length + "]"
}

// clock returns a number of seconds as players show it.
func clock(seconds float64) string {
	total := int(seconds)
	if total >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", total/3600, total/60%60, total%60)
	}
	return fmt.Sprintf("%d:%02d", total/60, total%60)
}
