package room

import (
	"strings"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// anonymousRank is the rank of a connection without a name.
const anonymousRank = -1

// Room is the state of one channel as one connection sees it. Use New. Only Apply and Disconnect change the fields.
type Room struct {
	// Self is the bot's name as the server spells it. It is empty for an anonymous watcher and before the login.
	Self string
	// Rank is the bot's rank, -1 before the server has sent one.
	Rank  float64
	Users Users
	// UsersSince is the time of the first user list. The zero time: the users are not known yet.
	UsersSince time.Time
	Playlist   Playlist
	Playback   Playback
	// Poll is the last poll that was open since the bot joined, nil if there was none.
	Poll *Poll
	// AllowVoteskip reports whether the channel lets users vote to skip what plays.
	AllowVoteskip bool

	// connected is the server's number of connections, nil before it has sent one.
	connected   *int
	permissions permissions
	// flood is the channel's own limit on the lines of users below moderator, nil without one.
	flood *cytube.FloodLimit
}

// New returns the state of a channel of which nothing is known yet.
func New() *Room {
	return &Room{Rank: anonymousRank, Users: Users{}, Playlist: Playlist{Current: NoItem}}
}

// Change is what an event changed about who is there. The zero value: nothing.
type Change struct {
	// Left are the users who left, sorted by name, and Joined those who joined, in the server's order. All of Left left
	// before the first of Joined came.
	Left, Joined []cytube.User
	// Rank reports whether the bot's own rank has changed.
	Rank bool
	// Connected reports whether the server sent a number of connections, which may be the one it sent before.
	Connected bool
}

// Apply changes the state according to an event that arrived at the given time, and returns what changed. Events that
// concern no part of the state change nothing.
func (r *Room) Apply(event cytube.Event, at time.Time) Change {
	r.permissions.apply(event)
	r.Playlist.apply(event)
	r.Playback.apply(event, at)
	r.Poll = r.Poll.after(event)
	switch event := event.(type) {
	case cytube.Joined:
		r.Self = event.Name
	case cytube.Rank:
		changed := r.Rank != event.Rank
		r.Rank = event.Rank
		return Change{Rank: changed}
	case cytube.UserCount:
		r.connected = &event.Count
		return Change{Connected: true}
	case cytube.ChannelOptions:
		r.AllowVoteskip, r.flood = event.AllowVoteskip, event.Flood
	case cytube.UserList:
		return r.applyUserList(event.Users, at)
	default:
		return r.Users.apply(event)
	}
	return Change{}
}

func (r *Room) applyUserList(users []cytube.User, at time.Time) Change {
	first := r.UsersSince.IsZero()
	if first {
		r.UsersSince = at
	}
	change := Change{Left: r.Users.missing(users)}
	for _, user := range change.Left {
		r.Users.remove(user.Name)
	}
	for _, user := range users {
		if r.Users.add(user) || first {
			change.Joined = append(change.Joined, user)
		}
	}
	return change
}

// Disconnect applies the end of the connection: from then on the bot sees neither who is there nor what plays. The
// Change has everybody as Left.
func (r *Room) Disconnect() Change {
	change := Change{Left: r.Users.Sorted()}
	r.Users, r.connected, r.Playback = Users{}, nil, Playback{}
	return change
}

// ConnectedKnown reports whether the server has sent a number of connections.
func (r *Room) ConnectedKnown() bool { return r.connected != nil }

// Connected returns the number of connections, those without a name included. The server sends it at most every ten
// seconds, so the user list can be ahead of it; everybody in the list is connected.
func (r *Room) Connected() int {
	if r.connected == nil {
		return len(r.Users)
	}
	return max(*r.connected, len(r.Users))
}

// Me returns the bot's entry in the user list. It is the zero User while the bot is not in the list.
func (r *Room) Me() cytube.User {
	me, _ := r.Users.Find(r.Self)
	return me
}

// IsMe reports whether a name is the bot's own. An anonymous watcher has none.
func (r *Room) IsMe(name string) bool { return r.Self != "" && strings.EqualFold(name, r.Self) }

// Allows reports whether a rank suffices for a permission. It is false for every rank while the server has not sent
// the permissions, and for a permission that it did not send.
func (r *Room) Allows(permission Permission, rank float64) bool {
	return r.permissions.allow(permission, rank)
}

// PermissionsKnown reports whether the server has sent the permissions.
func (r *Room) PermissionsKnown() bool { return r.permissions.ranks != nil }

// MayChat reports whether the bot may chat: it has a name, its rank suffices and it is not muted.
func (r *Room) MayChat() bool {
	return r.Self != "" && r.Allows(PermissionChat, r.Rank) && !r.Me().Muted
}

// FloodLimit returns the channel's own limit on the bot's lines, nil where only the server's applies: the channel's is
// for users below moderator.
func (r *Room) FloodLimit() *cytube.FloodLimit {
	if r.Rank >= cytube.ModeratorRank {
		return nil
	}
	return r.flood
}

// Snapshot is a copy of the state at one moment, for people: it is the channel in the response of status.StatePath. It
// shares nothing with the Room.
type Snapshot struct {
	// Server and Name are the server's URL and the channel's name. Package bot sets them: a Room does not know them.
	Server string `json:"server"`
	Name   string `json:"name"`
	// Self is the bot's name, empty for an anonymous watcher.
	Self string `json:"self"`
	// Users are those with a name, sorted by name.
	Users []cytube.User `json:"users"`
	// Connected is the number of connections, those without a name included.
	Connected int `json:"connected"`
	// Playing is nil when nothing plays.
	Playing *Playing `json:"playing,omitempty"`
	// Items is the number of items in the playlist.
	Items int `json:"playlistItems"`
	// PlaybackLeader is the user who controls the playback, empty for the server.
	PlaybackLeader string `json:"leader,omitempty"`
}

// Playing is the media that plays.
type Playing struct {
	Title string `json:"title"`
	// Seconds is the length. 0: a live stream.
	Seconds int `json:"seconds"`
	// Position is in seconds.
	Position float64 `json:"position"`
	Paused   bool    `json:"paused"`
}

// Snapshot returns a copy of the state as it is at the given time.
func (r *Room) Snapshot(now time.Time) Snapshot {
	snapshot := Snapshot{
		Self: r.Self, Users: append([]cytube.User{}, r.Users.Sorted()...), Connected: r.Connected(),
		Items: r.Playlist.Count, PlaybackLeader: r.Playback.Leader,
	}
	if media := r.Playback.Media; media.ID != "" {
		snapshot.Playing = &Playing{
			Title: media.Title, Seconds: media.Seconds, Position: r.Playback.Position(now), Paused: r.Playback.Paused,
		}
	}
	return snapshot
}
