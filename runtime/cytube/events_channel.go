package cytube

import "time"

// Poll is a question to the channel.
type Poll struct {
	// Title and Options are HTML.
	Title   string
	Options []string
	// Counts are the votes for each option: a number, or with "?" one that not everybody may see.
	Counts []string
	// Initiator is who asks.
	Initiator string
}

// Emote is a word that is shown as a picture.
type Emote struct {
	Name string `json:"name"`
	// Image is the picture's URL.
	Image string `json:"image"`
}

// FloodLimit lets Burst lines through at once and then Sustained a second; after Cooldown without a
// line the burst may be used again.
type FloodLimit struct {
	Burst     int
	Sustained float64
	Cooldown  time.Duration
}

type (
	// Permissions says which rank may do what, by CyTube's names such as "chat" or "playlistadd".
	Permissions struct{ Ranks map[string]float64 }
	// ChannelOptions is how the channel is set up. Its password, which moderators are sent, is not kept.
	ChannelOptions struct {
		PageTitle     string
		AllowVoteskip bool
		VoteskipRatio float64
		AFKTimeout    time.Duration
		// Flood limits the lines of users below moderator. Nil: the channel has no limit of its own.
		Flood *FloodLimit
	}
	// CSSJS is the channel's own style and script.
	CSSJS struct{ CSS, JS string }
	// SetMOTD is the message of the day.
	SetMOTD struct{ HTML string }
	// DrinkCount counts the drinks called while something plays.
	DrinkCount struct{ Count int }
	// EmoteList is all emotes of the channel.
	EmoteList struct{ Emotes []Emote }
	// UpdateEmote adds an emote or changes its picture.
	UpdateEmote struct{ Emote Emote }
	// RenameEmote gives an emote another name.
	RenameEmote struct {
		Old   string
		Emote Emote
	}
	// RemoveEmote takes an emote away.
	RemoveEmote struct{ Name string }
	// NewPoll opens a poll.
	NewPoll struct{ Poll Poll }
	// UpdatePoll says how the votes of the open poll stand.
	UpdatePoll struct{ Poll Poll }
	// ClosePoll ends the poll.
	ClosePoll struct{}
	// ClearChat says that the lines so far are to be forgotten.
	ClearChat struct{ By string }
)

// EventName is "setPermissions".
func (Permissions) EventName() string { return "setPermissions" }

// EventName is "channelOpts".
func (ChannelOptions) EventName() string { return "channelOpts" }

// EventName is "channelCSSJS".
func (CSSJS) EventName() string { return "channelCSSJS" }

// EventName is "setMotd".
func (SetMOTD) EventName() string { return "setMotd" }

// EventName is "drinkCount".
func (DrinkCount) EventName() string { return "drinkCount" }

// EventName is "emoteList".
func (EmoteList) EventName() string { return "emoteList" }

// EventName is "updateEmote".
func (UpdateEmote) EventName() string { return "updateEmote" }

// EventName is "renameEmote".
func (RenameEmote) EventName() string { return "renameEmote" }

// EventName is "removeEmote".
func (RemoveEmote) EventName() string { return "removeEmote" }

// EventName is "newPoll".
func (NewPoll) EventName() string { return "newPoll" }

// EventName is "updatePoll".
func (UpdatePoll) EventName() string { return "updatePoll" }

// EventName is "closePoll".
func (ClosePoll) EventName() string { return "closePoll" }

// EventName is "clearchat".
func (ClearChat) EventName() string { return "clearchat" }
