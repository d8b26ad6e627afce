// Package status is the contract between the processes of the runtime and the operator: the checks of a process and
// their reasons, the /status document made of them, and the port and paths of the HTTP server that serves it.
package status

import "time"

// Component names a process, and so which settings it cannot do without.
type Component string

// The components.
const (
	BotComponent      Component = "bot"
	DatabaseComponent Component = "database"
	// RunComponent is bot, database service and NATS in one process.
	RunComponent Component = "run"
	// CLIComponent is a command of a person at the keyboard, which only needs to find NATS. It has
	// no Report.
	CLIComponent Component = "console"
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
	// Leader is the pod of the bot that is in the channel, as far as this bot knows. Empty without the lock.
	Leader string `json:"leader,omitempty"`
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
	// EventsCheck is OK while events are published as the configuration asks for: durably, or not.
	EventsCheck CheckName = "events"
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
	ReasonReady    Reason = "Ready"    // every check is OK
	ReasonStarting Reason = "Starting" // the process starts
	ReasonStopping Reason = "Stopping" // the process ends

	// Reasons of ChannelCheck.
	ReasonJoined                Reason = "Joined"                // the bot is in the channel
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

	ReasonStandby         Reason = "Standby"         // another bot of ours is in the channel; this one is ready
	ReasonNoLeader        Reason = "NoLeader"        // none of ours is in the channel as far as a standby sees
	ReasonLockUnavailable Reason = "LockUnavailable" // the lock of the one bot in the channel cannot be had

	// Reasons of NATSCheck.
	ReasonConnected       Reason = "Connected"       // the connection to NATS stands
	ReasonNATSUnreachable Reason = "NATSUnreachable" // no NATS server answers
	ReasonNATSRefused     Reason = "NATSRefused"     // the server refuses our credentials or permissions

	ReasonNATSCredentialsAbsent Reason = "NATSCredentialsAbsent" // the files to log in to NATS are absent or empty
	ReasonNATSPermissionMissing Reason = "NATSPermissionMissing" // the account may not use a subject that it needs

	// Reasons of EventsCheck.
	ReasonStreamBound            Reason = "StreamBound"            // events are durable
	ReasonCoreOnly               Reason = "CoreOnly"               // events are not durable, and need not be
	ReasonJetStreamMissing       Reason = "JetStreamMissing"       // the server has no JetStream, or not for our account
	ReasonStreamUnavailable      Reason = "StreamUnavailable"      // the stream exists and does not answer
	ReasonStreamMismatch         Reason = "StreamMismatch"         // a stream of that name has another shape
	ReasonStreamCapturesRequests Reason = "StreamCapturesRequests" // somebody's stream answers our requests
	ReasonSubjectConflict        Reason = "SubjectConflict"        // another database already consumes these events

	// Reasons of ServiceCheck.
	ReasonServiceAnswers Reason = "ServiceAnswers" // a database service answers the bot
	ReasonServiceAbsent  Reason = "ServiceAbsent"  // nobody answers the bot's requests
	ReasonDirect         Reason = "Direct"         // the bot has the store open itself

	// Reasons of StoreCheck.
	ReasonStoreOpen        Reason = "StoreOpen"        // the store is open and takes writes
	ReasonStoreUnavailable Reason = "StoreUnavailable" // cannot be opened or written
	ReasonStoreFull        Reason = "StoreFull"        // no space is left for the database
	ReasonStoreNewer       Reason = "StoreNewer"       // a later version has changed the database
	ReasonStoreRefused     Reason = "StoreRefused"     // the database server does not let us in or permits too little
	ReasonStoreURLAbsent   Reason = "StoreURLAbsent"   // the file with the database's URL is absent or has none
	ReasonMigrationFailed  Reason = "MigrationFailed"  // the schema could not be brought up to date
)
