package status

// Reason is a stable CamelCase word for the state of a check, also used as the reason of a RoseyBot's conditions.
type Reason string

// Reasons of any check and of a Report. The comments of this file are the descriptions in docs/api.md.
const (
	ReasonReady    Reason = "Ready"    // every check is OK
	ReasonStarting Reason = "Starting" // the process is starting
	ReasonStopping Reason = "Stopping" // the process is shutting down
)

// Reasons of ChannelCheck.
const (
	ReasonJoined                Reason = "Joined"                // the bot is in the channel
	ReasonServerUnreachable     Reason = "ServerUnreachable"     // the bot has no connection to the CyTube server
	ReasonChannelRefused        Reason = "ChannelRefused"        // the server does not serve a channel of this name
	ReasonChannelPasswordWrong  Reason = "ChannelPasswordWrong"  // the channel wants a password, or another one
	ReasonLoginRefused          Reason = "LoginRefused"          // the password is wrong or the user name is invalid
	ReasonNameTaken             Reason = "NameTaken"             // another user has the bot's guest name
	ReasonLoginLimited          Reason = "LoginLimited"          // the server limits guest logins from one address
	ReasonConnectionLimited     Reason = "ConnectionLimited"     // the server limits connections from one address
	ReasonKicked                Reason = "Kicked"                // a moderator kicked the bot
	ReasonBanned                Reason = "Banned"                // the bot is banned from the channel or the server
	ReasonDisconnected          Reason = "Disconnected"          // the server closed the connection without a reason
	ReasonDuplicateLogin        Reason = "DuplicateLogin"        // somebody else logged in with the bot's account
	ReasonAccountPasswordAbsent Reason = "AccountPasswordAbsent" // the file with the account's password is absent or empty
	ReasonChannelPasswordAbsent Reason = "ChannelPasswordAbsent" // the file with the channel's password is absent or empty

	ReasonStandby         Reason = "Standby"         // another replica is in the channel; this one is ready to take over
	ReasonNoLeader        Reason = "NoLeader"        // a standby sees no replica in the channel
	ReasonLockUnavailable Reason = "LockUnavailable" // the key of the leader election cannot be read or written
)

// Reasons of NATSCheck.
const (
	ReasonConnected       Reason = "Connected"       // the process is connected to NATS
	ReasonNATSUnreachable Reason = "NATSUnreachable" // no NATS server can be reached
	ReasonNATSRefused     Reason = "NATSRefused"     // the NATS server rejects the login, or has too low a limit

	ReasonNATSCredentialsAbsent Reason = "NATSCredentialsAbsent" // the files with the NATS credentials are absent or empty
	ReasonNATSPermissionMissing Reason = "NATSPermissionMissing" // the NATS user may not use a subject that is needed
)

// Reasons of EventsCheck.
const (
	ReasonStreamBound            Reason = "StreamBound"            // events are durable
	ReasonCoreOnly               Reason = "CoreOnly"               // events are not durable, as the configuration allows
	ReasonStreamRefused          Reason = "StreamRefused"          // JetStream refuses the stream or its changed limits
	ReasonJetStreamMissing       Reason = "JetStreamMissing"       // no JetStream, or an administrator's object is absent
	ReasonStreamUnavailable      Reason = "StreamUnavailable"      // the stream exists but does not respond
	ReasonStreamMismatch         Reason = "StreamMismatch"         // a stream or consumer of that name has other settings
	ReasonStreamCapturesRequests Reason = "StreamCapturesRequests" // another stream acknowledges the bot's requests
	ReasonSubjectConflict        Reason = "SubjectConflict"        // another database already consumes these events
)

// Reasons of ServiceCheck.
const (
	ReasonServiceAnswers   Reason = "ServiceAnswers"   // a database service answers the bot
	ReasonServiceAbsent    Reason = "ServiceAbsent"    // no database service answers the bot
	ReasonChannelNotServed Reason = "ChannelNotServed" // the database service does not serve the bot's channel
	ReasonDirect           Reason = "Direct"           // the bot has opened the store itself
)

// Reasons of the check of a plugin.
const (
	ReasonPluginBusy            Reason = "PluginBusy"            // handlers of a plugin do not end, so it takes no call
	ReasonPluginSettingsInvalid Reason = "PluginSettingsInvalid" // a setting of a plugin is unknown or cannot be used
)

// Reasons of PluginsCheck and of a PluginReport.
const (
	ReasonPermissionsNotEnforced Reason = "PermissionsNotEnforced" // NATS lets a plugin do what it is not granted
	ReasonOverridesUnused        Reason = "OverridesUnused"        // an override matches no command
	ReasonPluginsInvalid         Reason = "PluginsInvalid"         // the list of plugins is absent or wrong
	ReasonPluginAbsent           Reason = "PluginAbsent"           // no process of the plugin answers the bot
	ReasonPluginConflict         Reason = "PluginConflict"         // a command of the plugin has the name of another one
	ReasonPluginFailed           Reason = "PluginFailed"           // a built-in plugin ended with an error
)

// Reasons of StoreCheck.
const (
	ReasonStoreOpen        Reason = "StoreOpen"        // the store is open and takes writes
	ReasonStoreUnavailable Reason = "StoreUnavailable" // the store cannot be opened or written
	ReasonStoreFull        Reason = "StoreFull"        // no disk space is left for the database
	ReasonStoreNewer       Reason = "StoreNewer"       // a later version of this program has changed the schema
	ReasonStoreRefused     Reason = "StoreRefused"     // the database server rejects the login or grants too little
	ReasonStoreURLAbsent   Reason = "StoreURLAbsent"   // the file with the database's URL is absent or empty
	ReasonStoreURLInvalid  Reason = "StoreURLInvalid"  // the database's URL, or a file that it names, cannot be used
	ReasonStoreUnsuitable  Reason = "StoreUnsuitable"  // the database is another program's, or its encoding is not UTF8
	ReasonStoreMoved       Reason = "StoreMoved"       // the database file was removed, replaced or overwritten
	ReasonMigrationFailed  Reason = "MigrationFailed"  // the schema could not be migrated

	ReasonChannelOwned       Reason = "ChannelOwned"       // another service owns the channel in the same database
	ReasonChannelListInvalid Reason = "ChannelListInvalid" // the list of channels to serve is absent or wrong
)
