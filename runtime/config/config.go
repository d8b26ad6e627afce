package config

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config is the configuration of every rosey command. What a key means to its user, its default and its limits are in
// the table of keys.go.
type Config struct {
	// Name is the namespace and name of the RoseyBot that the process belongs to. Empty: it belongs to none. In a
	// database that several services use, it tells that a service with another subject prefix is the same one.
	Name string `json:"name,omitempty"`
	// Channel is the CyTube channel that the bot joins and whose rows the database service stores.
	Channel Channel `json:"channel"`
	// Account is the bot's login at CyTube. Nil: the bot watches without a name.
	Account *Account `json:"account,omitempty"`
	// Mode is how the bot reaches its database: ModeNATS or ModeDirect.
	Mode string `json:"mode,omitempty"`
	// Standby is true if several bots run with this configuration, of which the elected leader is in the channel. It
	// needs JetStream for the election, and an account, since nothing keeps two anonymous bots out of one channel.
	Standby bool `json:"standby,omitempty"`
	// StandbyFile is the name of a file with the value of Standby, true or false. It is read while the bot runs, so that
	// a standby can be added without a restart of the bot that is in the channel. Empty: Standby does not change.
	StandbyFile string `json:"standbyFile,omitempty"`
	// NATS is the message bus between bot and database service. Not used in ModeDirect.
	NATS NATS `json:"nats,omitzero"`
	// Database is where rows are stored. `rosey bot` uses it in ModeDirect and for DirectFallback only.
	Database Database `json:"database,omitzero"`
	// Commands are the commands of users that the bot answers.
	Commands Commands `json:"commands,omitzero"`
	// CommandsFile is the name of a file with the content of Commands. It is read while the bot runs; see Live. Empty:
	// Commands does not change.
	CommandsFile string `json:"commandsFile,omitempty"`
	// Plugins are the plugins that the bot may call. Those before have precedence where two have a command of one name.
	Plugins []Plugin `json:"plugins,omitempty"`
	// PluginsFile is the name of a file with the content of Plugins, as CommandsFile. Empty: Plugins does not change.
	PluginsFile string `json:"pluginsFile,omitempty"`
	// Web is the pages for the people of the channel.
	Web Web `json:"web,omitzero"`
	// Plugin is about the process of one plugin.
	Plugin PluginProcess `json:"plugin,omitzero"`
	// HTTP is the server of health, status and metrics.
	HTTP HTTP `json:"http,omitzero"`
	// Telemetry is where traces are sent.
	Telemetry Telemetry `json:"telemetry,omitzero"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `json:"logLevel,omitempty"`
}

// Channel is one channel on one CyTube server.
type Channel struct {
	// Server is the base URL of the CyTube site, without a path.
	Server string `json:"server,omitempty"`
	// Name is the channel's name as in its URL.
	Name string `json:"name"`
	// PasswordFile holds the channel's password; see ReadSecret. Empty: the channel has none.
	PasswordFile string `json:"passwordFile,omitempty"`
	// MaxMessageLength is the maximum length of a line on the server, in UTF-16 code units: its setting
	// max-chat-message-length. 0: CyTube's default, and less if the server turns out to cut lines earlier.
	MaxMessageLength int `json:"maxMessageLength,omitempty"`
}

// Account is a login at CyTube.
type Account struct {
	// Username is the name of the account or the guest.
	Username string `json:"username"`
	// PasswordFile holds the account's password; see ReadSecret. Empty: a guest.
	PasswordFile string `json:"passwordFile,omitempty"`
}

// The values of Config.Mode.
const (
	// ModeNATS publishes events to a database service.
	ModeNATS = "nats"
	// ModeDirect opens the store in the bot's own process, without NATS.
	ModeDirect = "direct"
)

// NATS is how to connect to NATS, and which subjects and stream to use there.
type NATS struct {
	// URL is one or several NATS URLs, comma separated, without user and password.
	URL string `json:"url,omitempty"`
	// SubjectPrefix is the first token of all subjects, before ".db.…" and ".events.…".
	SubjectPrefix string `json:"subjectPrefix,omitempty"`
	// CredentialsDir is a directory with the files of one way to log in: NATSCredsFile; NATSUserFile and
	// NATSPasswordFile; NATSTokenFile; or NATSNKeyFile. They are read at every connect. Empty: no login.
	CredentialsDir string `json:"credentialsDir,omitempty"`
	// TLSDir is a directory with TLSCAFile and, for a server that asks for a client certificate, TLSCertFile and
	// TLSKeyFile. They are read at every connect. Empty: the system's root certificates, where the URL asks for TLS.
	TLSDir string `json:"tlsDir,omitempty"`
	// JetStream is the stream that makes published events durable.
	JetStream JetStream `json:"jetStream,omitzero"`
}

// JetStream is the configuration of the stream that keeps events until they are stored.
type JetStream struct {
	// Mode is JetStreamAuto, JetStreamAlways or JetStreamNever.
	Mode string `json:"mode,omitempty"`
	// Replicas is the number of NATS servers that keep a copy of the stream.
	Replicas int `json:"replicas,omitempty"`
	// MaxAge is how long the stream keeps an event.
	MaxAge Duration `json:"maxAge,omitempty"`
	// MaxBytes is the size of the stream.
	MaxBytes int `json:"maxBytes,omitempty"`
	// MaxMessageBytes is the size of the largest message in the stream.
	MaxMessageBytes int `json:"maxMessageBytes,omitempty"`
	// Provisioning is ProvisioningAutomatic or ProvisioningManual.
	Provisioning string `json:"provisioning,omitempty"`
}

// The values of JetStream.Provisioning.
const (
	// ProvisioningAutomatic creates the stream, its consumer and the bucket of the election, and updates their limits.
	ProvisioningAutomatic = "automatic"
	// ProvisioningManual uses what an administrator has created, as it is.
	ProvisioningManual = "manual"
)

// The values of JetStream.Mode.
const (
	// JetStreamAuto uses JetStream where the server has it and permits it; elsewhere a check reports its absence.
	JetStreamAuto = "auto"
	// JetStreamAlways waits for JetStream.
	JetStreamAlways = "always"
	// JetStreamNever uses core NATS alone.
	JetStreamNever = "never"
)

// Database is which store is opened, SQLite or Postgres, how long it keeps rows, and how many.
type Database struct {
	SQLite   *SQLite   `json:"sqlite,omitempty"`
	Postgres *Postgres `json:"postgres,omitempty"`
	// ChannelsFile lists the channels that the database service serves besides Config.Channel; see ChannelList. It is
	// read again while the service runs. Empty: there are none.
	ChannelsFile string `json:"channelsFile,omitempty"`
	// ProvenanceFile says where the database comes from; see Provenance. It is read again while the stream of events
	// belongs to another database. Empty: nothing is known.
	ProvenanceFile string `json:"provenanceFile,omitempty"`
	// TakeOver is the ID of the database whose stream of events this one takes over, followed by "+replay" if it is to
	// store all events that the stream still has. Empty: none.
	TakeOver string `json:"takeOver,omitempty"`
	// DirectFallback makes the bot write to PostgreSQL itself while NATS is down.
	DirectFallback bool `json:"directFallback,omitempty"`
	// Retention is how long rows are kept.
	Retention Retention `json:"retention,omitzero"`
	// Limits bound what clients can send and have kept.
	Limits Limits `json:"limits,omitzero"`
	// Backup is how an SQLite database is copied while it is used.
	Backup Backup `json:"backup,omitzero"`
}

// SQLite is a database in one file.
type SQLite struct {
	// Path is the database file. Its directory must exist; the file is created when absent.
	Path string `json:"path"`
}

// Postgres is a database on a PostgreSQL server.
type Postgres struct {
	// URLFile holds the connection URL, postgres://user:password@host:port/database; see ReadSecret. It is read at
	// every connect.
	URLFile string `json:"urlFile"`
}

// Backup is where and how often an SQLite database is copied.
type Backup struct {
	// Directory is created if it is absent. Empty: no backups are made, except by `rosey run`.
	Directory string `json:"directory,omitempty"`
	// Every is the time between two backups, at least MinBackupInterval, or Never.
	Every Duration `json:"every,omitempty"`
	// Keep is how many backups are kept.
	Keep int `json:"keep,omitempty"`
}

// MinBackupInterval is the shortest time between two backups.
const MinBackupInterval = time.Hour

// Retention is how long rows are kept: Forever, or at least MinRetention.
type Retention struct {
	// Chat is for lines of chat.
	Chat Duration `json:"chat,omitempty"`
	// UserCounts is for the periodic samples of the number of users.
	UserCounts Duration `json:"userCounts,omitempty"`
	// Media is for what was played.
	Media Duration `json:"media,omitempty"`
	// Outbound is for outbound lines that were said or abandoned.
	Outbound Duration `json:"outbound,omitempty"`
	// People is for users, counted from when they were last seen, with their joins, leaves and counts, those of
	// their lines by hours included.
	People Duration `json:"people,omitempty"`
}

// MinRetention is the shortest retention. A client that repeats a request gets the reply to the first attempt, which is
// read from the rows that the first attempt stored, so they must not be removed too early.
const MinRetention = time.Hour

// Commands are the commands of users that `rosey bot` answers. Its pointers are not nil in a configuration that was
// loaded.
type Commands struct {
	// Chat is true if the bot answers everybody's commands in the chat, such as !help.
	Chat *bool `json:"chat,omitempty"`
	// PM is true if the bot executes commands of moderators by private message.
	PM *bool `json:"pm,omitempty"`
	// Prefix is what a command in the chat begins with.
	Prefix string `json:"prefix,omitempty"`
	// CooldownSeconds is the time a user waits between two commands in the chat.
	CooldownSeconds *int `json:"cooldownSeconds,omitempty"`
	// ChannelCooldownSeconds is the time everybody waits after a command in the chat.
	ChannelCooldownSeconds *int `json:"channelCooldownSeconds,omitempty"`
	// Overrides are by the name of a command or by an alias: NAME for one of the bot, in the chat and by private message,
	// or, if the bot has none of that name, for each plugin's; PLUGIN.NAME for one of a plugin, whose fields have
	// precedence.
	Overrides map[string]CommandOverride `json:"overrides,omitempty"`
	// Ignore are users whose lines call nothing, such as other bots. What they say is stored like that of others.
	Ignore []string `json:"ignore,omitempty"`
}

// Web is who may see the pages for the people of the channel, and where they are.
type Web struct {
	// Listen is the host:port of `rosey web`, as for net.Listen. `rosey run` serves the pages at HTTP.Address.
	Listen string `json:"listen,omitempty"`
	// Public is true if whoever reaches the pages may read. Otherwise reading needs a token, except where the pages are
	// served on a loopback address alone. Outbound lines and the health of the processes need a token in any case.
	Public bool `json:"public,omitempty"`
	// People is who may see the pages about individual people: PeoplePublic, PeopleTokensOnly or PeopleOff.
	People string `json:"people,omitempty"`
	// TokensDir is a directory with one file for each person who may log in: the name of the file is the person's, its
	// content is the token. It is read while the process runs. Empty: nobody may log in.
	TokensDir string `json:"tokensDir,omitempty"`
	// Host is the name, without a port, by which a proxy on this machine serves the pages of a loopback address. Requests
	// for it are not those of this machine. Empty: there is no such proxy.
	Host string `json:"host,omitempty"`
	// BasePath is the path below which the pages are, for a proxy that does not strip it.
	BasePath string `json:"basePath,omitempty"`
}

// The values of Web.People.
const (
	// PeoplePublic shows them to everybody who may read.
	PeoplePublic = "public"
	// PeopleTokensOnly shows them to those who have a token.
	PeopleTokensOnly = "tokensOnly"
	// PeopleOff shows them to nobody.
	PeopleOff = "off"
)

// HTTP is the listener of health, status and metrics.
type HTTP struct {
	// Address is host:port, as for net.Listen.
	Address string `json:"address,omitempty"`
}

// Telemetry is where traces are sent. What it leaves out, the environment variables of OpenTelemetry decide. Without an
// endpoint in either, nothing is traced.
type Telemetry struct {
	// Endpoint is the URL of a receiver of the OpenTelemetry protocol, http(s)://host[:port], without credentials. A path
	// may follow with OTLPHTTP, to which /v1/traces is added. Empty: OTEL_EXPORTER_OTLP_ENDPOINT.
	Endpoint string `json:"endpoint,omitempty"`
	// Protocol is OTLPHTTP or OTLPGRPC. Empty: OTEL_EXPORTER_OTLP_PROTOCOL, or else OTLPHTTP.
	Protocol string `json:"protocol,omitempty"`
	// SamplingRatio is the part of the traces that is recorded, a decimal number from 0 to 1. A request with a trace of
	// its own is recorded if that trace is. Empty: OTEL_TRACES_SAMPLER, or else all.
	SamplingRatio string `json:"samplingRatio,omitempty"`
	// HeadersFile has headers for the receiver, in the form of OTEL_EXPORTER_OTLP_HEADERS or one on each line. It is read
	// at each export. Empty: OTEL_EXPORTER_OTLP_HEADERS.
	HeadersFile string `json:"headersFile,omitempty"`
	// TLSDir is a directory with the files of NATS.TLSDir, for the receiver. Empty: the system's root certificates.
	TLSDir string `json:"tlsDir,omitempty"`
	// ResourceAttributes describe the process in its traces, in the form of OTEL_RESOURCE_ATTRIBUTES, whose attributes of
	// other names remain.
	ResourceAttributes string `json:"resourceAttributes,omitempty"`
}

// Ratio returns SamplingRatio as a number, or nil if there is none. That it is a number was checked when the
// configuration was loaded.
func (t Telemetry) Ratio() *float64 {
	ratio, err := strconv.ParseFloat(t.SamplingRatio, 64)
	if err != nil {
		return nil
	}
	return &ratio
}

// Attributes returns the values of ResourceAttributes, decoded, by their keys. Their form was checked when the
// configuration was loaded.
func (t Telemetry) Attributes() map[string]string {
	attributes := map[string]string{}
	for pair := range strings.SplitSeq(t.ResourceAttributes, ",") {
		key, value, found := strings.Cut(pair, "=")
		if decoded, err := url.PathUnescape(value); found && err == nil {
			attributes[key] = decoded
		}
	}
	return attributes
}

// The values of Telemetry.Protocol, which are those of OTEL_EXPORTER_OTLP_PROTOCOL.
const (
	// OTLPHTTP sends traces in requests of HTTP.
	OTLPHTTP = "http/protobuf"
	// OTLPGRPC sends traces over gRPC.
	OTLPGRPC = "grpc"
)

// Duration is a duration as Go writes it, such as 72h or 1h30m, or where a setting allows it Forever or Never.
type Duration string

// Forever is the Duration without an end, and Never the interval of what is not done.
const (
	Forever Duration = "forever"
	Never   Duration = "never"
)

// Time returns the duration: negative for Forever, and zero for Never and for an empty or invalid text, which a
// configuration that was loaded does not contain.
func (d Duration) Time() time.Duration {
	if d == Forever {
		return -1
	}
	length, err := time.ParseDuration(string(d))
	if err != nil {
		return 0
	}
	return length
}
