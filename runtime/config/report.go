package config

import "time"

// Component names a process, and so which settings it cannot do without.
type Component string

// The components.
const (
	BotComponent      Component = "bot"
	DatabaseComponent Component = "database"
	// RunComponent is bot, database service and NATS in one process.
	RunComponent Component = "run"
	// ConsoleComponent is a command of a person at the keyboard, which only needs to find NATS. It has
	// no Report.
	ConsoleComponent Component = "console"
)

// Report is the body of StatusPath: whether a process does its job and, if not, why, in words.
//
// Programs may rely on Ready, Reason and the checks' names and reasons; messages are for people.
type Report struct {
	Component Component `json:"component"`
	Version   string    `json:"version"`
	// Ready is true when every check is OK.
	Ready bool `json:"ready"`
	// Reason and Message are those of the first check that is not OK, or ReasonReady.
	Reason  Reason  `json:"reason"`
	Message string  `json:"message"`
	Checks  []Check `json:"checks"`
	// Started is when the process started.
	Started time.Time `json:"started"`
}

// CheckName names one thing that a process needs for its job.
type CheckName string

// The checks of the components.
const (
	// ChannelCheck is OK while the bot is in its channel, under its name if it has one.
	ChannelCheck CheckName = "channel"
	// NATSCheck is OK while the connection to NATS stands and what must be subscribed is subscribed.
	NATSCheck CheckName = "nats"
	// ServiceCheck is OK while a database service answers the bot.
	ServiceCheck CheckName = "service"
	// StoreCheck is OK while the service's store is open and takes writes.
	StoreCheck CheckName = "store"
)

// Check is the state of one thing that a process needs.
type Check struct {
	Name    CheckName `json:"name"`
	OK      bool      `json:"ok"`
	Reason  Reason    `json:"reason"`
	Message string    `json:"message"`
	// Since is when OK or Reason last changed.
	Since time.Time `json:"since"`
}

// Reason is a stable CamelCase word for a state, also used as the reason of a RoseyBot's conditions.
type Reason string

// The reasons, with the check they belong to.
const (
	ReasonReady    Reason = "Ready"
	ReasonStarting Reason = "Starting"
	ReasonStopping Reason = "Stopping"

	// Reasons of ChannelCheck.
	ReasonJoined                Reason = "Joined"
	ReasonServerUnreachable     Reason = "ServerUnreachable"     // no connection to the CyTube server
	ReasonChannelRefused        Reason = "ChannelRefused"        // the server does not know or want the channel
	ReasonChannelPasswordWrong  Reason = "ChannelPasswordWrong"  // the channel wants another password than ours
	ReasonLoginRefused          Reason = "LoginRefused"          // wrong password, invalid name
	ReasonNameTaken             Reason = "NameTaken"             // a guest name that somebody has
	ReasonLoginLimited          Reason = "LoginLimited"          // guest logins from one address are limited
	ReasonConnectionLimited     Reason = "ConnectionLimited"     // connections from one address are limited
	ReasonKicked                Reason = "Kicked"                // somebody kicked the bot
	ReasonBanned                Reason = "Banned"                // the channel or the site does not let the bot in
	ReasonDisconnected          Reason = "Disconnected"          // the server ended the connection without a reason
	ReasonDuplicateLogin        Reason = "DuplicateLogin"        // somebody else logged in with the bot's account
	ReasonAccountPasswordAbsent Reason = "AccountPasswordAbsent" // the account password's file is absent or empty
	ReasonChannelPasswordAbsent Reason = "ChannelPasswordAbsent" // the channel password's file is absent or empty

	// Reasons of NATSCheck.
	ReasonConnected       Reason = "Connected"
	ReasonNATSUnreachable Reason = "NATSUnreachable"
	ReasonNATSRefused     Reason = "NATSRefused" // the server refuses our credentials or permissions

	// Reasons of ServiceCheck.
	ReasonServiceAnswers Reason = "ServiceAnswers"
	ReasonServiceAbsent  Reason = "ServiceAbsent" // nobody answers the bot's requests

	// Reasons of StoreCheck.
	ReasonStoreOpen        Reason = "StoreOpen"
	ReasonStoreUnavailable Reason = "StoreUnavailable" // cannot be opened or written
	ReasonStoreFull        Reason = "StoreFull"        // no space is left for the database
	ReasonStoreNewer       Reason = "StoreNewer"       // a later version has changed the database
)
