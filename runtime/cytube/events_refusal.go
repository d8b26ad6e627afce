package cytube

import (
	"strings"
	"time"
)

// How the server refuses what a client does. Much it refuses without a word.
type (
	// ErrorMsg is a refusal of something we did.
	ErrorMsg struct{ Message string }
	// NoFlood refuses a line or a command, with CyTube's name for what was tried.
	NoFlood struct{ Action, Message string }
	// Cooldown refuses a line because there were too many.
	Cooldown struct {
		// Wait is how long until the next is taken.
		Wait time.Duration
	}
	// SpamFiltered refuses a line because of what is in it or how new we are.
	SpamFiltered struct{ Reason string }
)

// IsMute is true when what was refused was a line of somebody who is muted. There is no code for it.
func (n NoFlood) IsMute() bool {
	return n.Action == "chat" && strings.Contains(strings.ToLower(n.Message), "muted")
}

// EventName is "errorMsg".
func (ErrorMsg) EventName() string { return "errorMsg" }

// EventName is "noflood".
func (NoFlood) EventName() string { return "noflood" }

// EventName is "cooldown".
func (Cooldown) EventName() string { return "cooldown" }

// EventName is "spamFiltered".
func (SpamFiltered) EventName() string { return "spamFiltered" }
