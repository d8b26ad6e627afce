package bot

import (
	"strings"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/speech"
)

// channel is what the bot knows about the channel it is in.
type channel struct {
	// self is our name there, empty for an anonymous watcher or before logging in.
	self  string
	rank  float64
	users userList
	// connected counts everybody, the nameless too; nil until the server said it.
	connected *int

	permissions permissions
	playlist    playlist
	playing     playing
	// poll is nil while there is none.
	poll    *cytube.Poll
	emotes  emotes
	options cytube.ChannelOptions
	// motd is HTML.
	motd     string
	style    cytube.CSSJS
	drinks   int
	voteskip cytube.Voteskip
	// leader leads what plays; the server does when it is empty.
	leader string
}

func newChannel() *channel {
	return &channel{rank: -1, users: userList{}, emotes: emotes{}, playlist: playlist{current: noItem}}
}

// apply takes in what concerns only the state.
func (c *channel) apply(event cytube.Event) {
	c.users.apply(event)
	c.permissions.apply(event)
	c.playlist.apply(event)
	c.playing.apply(event)
	c.emotes.apply(event)
	c.applyPoll(event)
	switch event := event.(type) {
	case cytube.Rank:
		c.rank = event.Rank
	case cytube.ChannelOptions:
		c.options = event
	case cytube.SetMOTD:
		c.motd = event.HTML
	case cytube.CSSJS:
		c.style = event
	case cytube.DrinkCount:
		c.drinks = event.Count
	case cytube.Voteskip:
		c.voteskip = event
	case cytube.SetLeader:
		c.leader = event.Name
	}
}

func (c *channel) applyPoll(event cytube.Event) {
	switch event := event.(type) {
	case cytube.NewPoll:
		c.poll = &event.Poll
	case cytube.UpdatePoll:
		c.poll = &event.Poll
	case cytube.ClosePoll:
		c.poll = nil
	}
}

// connectedUsers counts everybody. The server tells it at most every ten seconds, so the user list can
// be ahead of it; everybody in the list is connected.
func (c *channel) connectedUsers() int {
	if c.connected == nil {
		return len(c.users)
	}
	return max(*c.connected, len(c.users))
}

// mayChat is false for an anonymous watcher, a muted bot, and one whose rank is too low.
func (c *channel) mayChat() bool {
	return c.self != "" && c.may(permissionChat, c.rank) && !c.me().Muted
}

// may says whether a rank is enough for something, by CyTube's name for it.
func (c *channel) may(permission string, rank float64) bool {
	return c.permissions.allow(permission, rank)
}

// flood returns the channel's own limit for the bot's lines. Nil: it has none for moderators, or none at all.
func (c *channel) flood() *cytube.FloodLimit {
	if c.rank >= moderatorRank {
		return nil
	}
	return c.options.Flood
}

// chatPermission reports whether the bot may chat.
func (c *channel) chatPermission() speech.Permission {
	switch {
	case c.self == "" || c.permissions.ranks == nil:
		return speech.PermissionUnknown
	case c.me().Muted:
		return speech.PermissionMuted
	case !c.mayChat():
		return speech.PermissionRankTooLow
	}
	return speech.PermissionGranted
}

func (c *channel) me() cytube.User { return c.users[strings.ToLower(c.self)] }

func (c *channel) isMe(name string) bool { return c.self != "" && strings.EqualFold(name, c.self) }
