package config

import "strconv"

// setting describes one key beyond its type.
type setting struct {
	// about is one sentence for help texts and the schema.
	about string
	// flag is the command line flag. Empty: made from the path.
	flag string
	// pattern is what the text must look like, and expected says so in words. Empty: anything.
	pattern, expected string
	// values are all that is allowed. Nil: anything.
	values []string
	// least and most bound a number.
	least, most int
	// standard is the value if there is none.
	standard string
}

const (
	accountExpected = "1 to 20 letters, digits, '-' and '_'"
	channelExpected = "1 to 30 letters, digits, '-' and '_'"
	serverExpected  = "http(s)://host[:port] without a path"
	prefixExpected  = "one token without '.', '*', '>' or spaces that does not start with '$' or '_'"
	natsExpected    = "nats://, tls://, ws:// or wss:// and host[:port]"
	addressExpected = "[host]:port"
	lengthExpected  = "a duration such as 72h or 90m"
	keepExpected    = "a duration of at least 1h such as 150h, or forever"
	signExpected    = "1 to 5 characters without spaces that do not begin with '/'"
)

const natsPattern = `(nats|tls|ws|wss)://[^@,/\s]+/?`

const (
	lengthPattern = `^([0-9]+(\.[0-9]+)?(h|m|s))+$`
	keepPattern   = `^(([0-9]+(\.[0-9]+)?(h|m|s))+|forever)$`
)

// settings has every key of Config, which a test sees to.
var settings = map[string]setting{
	"channel.server": {
		about: "Base URL of the CyTube site, without a path", flag: "server",
		pattern: `^[Hh][Tt][Tt][Pp][Ss]?://[^/@?#\s]+/*$`, expected: serverExpected, standard: DefaultServer,
	},
	"channel.name": {
		about: "Name of the channel, as in its URL", flag: "channel",
		pattern: `^[A-Za-z0-9_-]{1,30}$`, expected: channelExpected,
	},
	"channel.passwordFile": {
		about: "File with the channel's password, or FILE#/pointer for a text in a JSON or YAML file",
	},
	"account.username": {
		about: "Name of the CyTube account, or of a guest; without it the bot watches without a name", flag: "username",
		pattern: `^[A-Za-z0-9_-]{1,20}$`, expected: accountExpected,
	},
	"account.passwordFile": {
		about: "File with the account's password, or FILE#/pointer for a text in a JSON or YAML file; " +
			"without it the name is a guest's",
		flag: "password-file",
	},
	"nats.url": {
		about: "NATS servers, comma separated, without user and password", flag: "nats",
		pattern: `^\s*` + natsPattern + `\s*(,\s*` + natsPattern + `\s*)*$`, expected: natsExpected,
	},
	"nats.subjectPrefix": {
		about: "First token of all subjects; it tells bots on one NATS apart", flag: "prefix",
		pattern: `^[^.*>\s$_][^.*>\s]*$`, expected: prefixExpected, standard: DefaultSubjectPrefix,
	},
	"mode": {
		about:  "How the bot reaches its database: over NATS, or by opening it itself",
		values: []string{ModeNATS, ModeDirect}, standard: ModeNATS,
	},
	"standby": {
		about: "Whether several bots run with this configuration: one in the channel, the others ready to take over; " +
			"needs JetStream and account.username",
		standard: "false",
	},
	"nats.credentialsDir": {
		about: "Folder with nats.creds, username and password, token, or nkey, read at every connect",
	},
	"nats.tlsDir": {
		about: "Folder with ca.crt and, for a client's certificate, tls.crt and tls.key, read at every connect",
	},
	"nats.jetStream.mode": {
		about:  "Whether a stream keeps events until they are stored: auto where the server has JetStream",
		values: []string{JetStreamAuto, JetStreamAlways, JetStreamNever}, standard: JetStreamAuto,
	},
	"nats.jetStream.replicas": {
		about: "How many NATS servers keep the stream",
		least: 1, most: maxStreamReplicas, standard: strconv.Itoa(DefaultStreamReplicas),
	},
	"nats.jetStream.maxAge": {
		about:   "How long the stream keeps an event",
		pattern: lengthPattern, expected: lengthExpected, standard: string(DefaultStreamMaxAge),
	},
	"nats.jetStream.maxBytes": {
		about: "How much the stream keeps, in bytes",
		least: minStreamBytes, most: maxStreamBytes, standard: strconv.Itoa(DefaultStreamMaxBytes),
	},
	"database.postgres.urlFile": {
		about:   "File with the URL of a PostgreSQL database, or FILE#/pointer for a text in a JSON or YAML file",
		pattern: `^.+$`, expected: "the path of a file with the database's URL",
	},
	"database.directFallback": {
		about:    "Whether the bot writes to PostgreSQL itself while NATS is away",
		standard: "false",
	},
	"database.retention.chat": {
		about:   "How long lines of chat are kept",
		pattern: keepPattern, expected: keepExpected, standard: string(DefaultKeepChat),
	},
	"database.retention.userCounts": {
		about:   "How long samples of the number of users are kept",
		pattern: keepPattern, expected: keepExpected, standard: string(DefaultKeepUserCounts),
	},
	"database.retention.outbound": {
		about:   "How long lines are kept that the bot has said or given up",
		pattern: keepPattern, expected: keepExpected, standard: string(DefaultKeepOutbound),
	},
	"database.sqlite.path": {
		about: "Database file; its folder must exist", flag: "database",
		pattern: `^.+$`, expected: "the path of the database file",
	},
	"commands.chat": {
		about: "Whether the bot answers everybody's commands in the chat, such as !help", standard: "true",
	},
	"commands.pm": {
		about: "Whether the bot takes moderators' commands by private message", standard: "true",
	},
	"commands.prefix": {
		about:   "What a command in the chat begins with",
		pattern: `^[^/\s]\S{0,4}$`, expected: signExpected, standard: DefaultCommandPrefix,
	},
	"commands.cooldownSeconds": {
		about: "How long somebody waits between two commands in the chat, in seconds",
		least: 0, most: maxCooldownSeconds, standard: strconv.Itoa(defaultCooldownSeconds),
	},
	"http.address": {
		about: "Where health, status and metrics are served", flag: "http",
		pattern: `^.*:[^:]*$`, expected: addressExpected, standard: DefaultHTTPAddress,
	},
	"logLevel": {
		about:  "From which level on the log tells",
		values: []string{"debug", "info", "warn", "error"}, standard: DefaultLogLevel,
	},
}
