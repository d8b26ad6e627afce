package cytube

// Media is something to play.
type Media struct {
	// ID is what the provider calls it: a video's id, or a URL.
	ID string
	// Type is CyTube's two letters for the provider, e.g. "yt".
	Type  string
	Title string
	// Seconds is 0 for a live stream.
	Seconds int
}

// Item is a place in the playlist.
type Item struct {
	UID   int
	Media Media
	// Temp items go after they were played.
	Temp bool
	// QueuedBy is who added it.
	QueuedBy string
}

// Place says where in the playlist: behind the item with that UID, or at one of the ends.
type Place struct {
	UID         int
	First, Last bool
}

type (
	// Playlist is the whole playlist. Who may not see it does not get it.
	Playlist struct{ Items []Item }
	// PlaylistMeta says how much is in the playlist, and everybody gets it.
	PlaylistMeta struct {
		Count int
		// Seconds is how long it is altogether.
		Seconds int
	}
	// PlaylistLocked says which permissions hold: an unlocked playlist has wider ones.
	PlaylistLocked struct{ Locked bool }
	// Queue adds an item.
	Queue struct {
		Item  Item
		After Place
	}
	// QueueFail refuses an item that we wanted to add.
	QueueFail struct{ Message string }
	// Delete takes an item off.
	Delete struct{ UID int }
	// MoveVideo moves an item.
	MoveVideo struct {
		UID   int
		After Place
	}
	// SetTemp says whether an item goes after it was played.
	SetTemp struct {
		UID  int
		Temp bool
	}
	// SetCurrent says which item plays.
	SetCurrent struct{ UID int }
	// ChangeMedia says what plays from now on.
	ChangeMedia struct {
		Media Media
		// Position is in seconds; it is negative while players load.
		Position float64
		Paused   bool
	}
	// MediaUpdate says how far what plays has come.
	MediaUpdate struct {
		Position float64 // seconds
		Paused   bool
	}
	// SetLeader says who leads what plays. Empty: the server does.
	SetLeader struct{ Name string }
	// Voteskip counts who wants to skip what plays. Both are 0 when nobody does.
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
