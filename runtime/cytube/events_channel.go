package cytube

import "time"

// Media is a video, live stream or media file.
type Media struct {
	// ID is the provider's ID of it, or a URL.
	ID string
	// Type is CyTube's two-letter name of the provider, e.g. "yt".
	Type  string
	Title string
	// Seconds is 0 for a live stream.
	Seconds int
}

// Item is an item of the playlist.
type Item struct {
	UID   int
	Media Media
	// Temp is true for an item that is removed after it was played.
	Temp bool
	// QueuedBy is the user who added it.
	QueuedBy string
}

// Place is a position in the playlist: after the item with that UID, or at one of the ends.
type Place struct {
	UID         int
	First, Last bool
}

type (
	// Playlist is the whole playlist. Only users who may see it receive it.
	Playlist struct{ Items []Item }
	// PlaylistMeta is the size of the playlist. Everybody receives it.
	PlaylistMeta struct {
		Count int
		// Seconds is the total length.
		Seconds int
	}
	// PlaylistLocked locks or unlocks the playlist: an unlocked one has permissions of its own, which are wider.
	PlaylistLocked struct{ Locked bool }
	// Queue adds an item.
	Queue struct {
		Item  Item
		After Place
	}
	// QueueFail rejects an item that the bot wanted to add.
	QueueFail struct{ Message string }
	// Delete removes an item.
	Delete struct{ UID int }
	// MoveVideo moves an item.
	MoveVideo struct {
		UID   int
		After Place
	}
	// SetTemp changes whether an item is removed after it was played.
	SetTemp struct {
		UID  int
		Temp bool
	}
	// SetCurrent changes the current item.
	SetCurrent struct{ UID int }
	// ChangeMedia starts playing another medium.
	ChangeMedia struct {
		Media Media
		// Position is in seconds. It is negative while players load.
		Position float64
		Paused   bool
	}
	// MediaUpdate is the position of what plays, sent every few seconds.
	MediaUpdate struct {
		Position float64 // seconds
		Paused   bool
	}
	// SetLeader changes the leader of playback. Empty: the server leads.
	SetLeader struct{ Name string }
	// Voteskip is the number of votes to skip the current item, and the number needed. Both are 0 if there are none.
	Voteskip struct{ Count, Need int }
)

// EventName is "playlist".
func (Playlist) EventName() string { return "playlist" }

// EventName is "setPlaylistMeta".
func (PlaylistMeta) EventName() string { return "setPlaylistMeta" }

// EventName is "setPlaylistLocked".
func (PlaylistLocked) EventName() string { return "setPlaylistLocked" }

// EventName is "queue".
func (Queue) EventName() string { return "queue" }

// EventName is "queueFail".
func (QueueFail) EventName() string { return "queueFail" }

// EventName is "delete".
func (Delete) EventName() string { return "delete" }

// EventName is "moveVideo".
func (MoveVideo) EventName() string { return "moveVideo" }

// EventName is "setTemp".
func (SetTemp) EventName() string { return "setTemp" }

// EventName is "setCurrent".
func (SetCurrent) EventName() string { return "setCurrent" }

// EventName is "changeMedia".
func (ChangeMedia) EventName() string { return "changeMedia" }

// EventName is "mediaUpdate".
func (MediaUpdate) EventName() string { return "mediaUpdate" }

// EventName is "setLeader".
func (SetLeader) EventName() string { return "setLeader" }

// EventName is "voteskip".
func (Voteskip) EventName() string { return "voteskip" }

// FloodLimit accepts Burst lines at once and then Sustained lines a second. After Cooldown without a line, Burst lines
// are accepted again.
type FloodLimit struct {
	Burst     int
	Sustained float64
	Cooldown  time.Duration
}

type (
	// Permissions are the lowest ranks that may do something, by CyTube's names such as "chat" or "playlistadd".
	Permissions struct{ Ranks map[string]float64 }
	// ChannelOptions are those options of the channel that the bot uses.
	ChannelOptions struct {
		AllowVoteskip bool
		// Flood limits the lines of users below moderator. Nil: no limit besides that of the server.
		Flood *FloodLimit
	}
	// ClearChat clears the chat.
	ClearChat struct{ By string }
)

// EventName is "setPermissions".
func (Permissions) EventName() string { return "setPermissions" }

// EventName is "channelOpts".
func (ChannelOptions) EventName() string { return "channelOpts" }

// EventName is "clearchat".
func (ClearChat) EventName() string { return "clearchat" }
