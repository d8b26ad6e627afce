package config

import (
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"rosey.dev/rosey/runtime/status"
)

// Kind is the type of a setting.
type Kind string

// The kinds. Their values are how error messages name them.
const (
	TextKind   Kind = "text"
	NumberKind Kind = "a whole number"
	SwitchKind Kind = "true or false"
	// DecimalKind is of no setting of its own, but of values in lists and tables.
	DecimalKind Kind = "a number"
	// ListKind and TableKind are settings with values inside, of which elements.go has the limits. Their flags and
	// variables have YAML or JSON.
	ListKind  Kind = "a list"
	TableKind Kind = "a section with keys"
)

// Key is one setting.
type Key struct {
	// Path is its place in the file, for example "channel.name".
	Path string
	// Flag is the name of its command line flag, without dashes, and Variable that of its environment variable.
	Flag, Variable string
	Kind           Kind
	// Usage describes it in one sentence. Default is its value if none is set; empty: none.
	Usage, Default string

	// pattern is a regular expression for a text, and expected describes it. Empty: any text.
	pattern, expected string
	// valid reports whether a text that matches pattern is right. Nil: it is.
	valid func(text string) bool
	// values are the allowed texts. Nil: any text.
	values []string
	// minimum and maximum are the limits of a number. orZero: 0 is allowed too.
	minimum, maximum int
	orZero           bool
	// maxLength bounds a text in characters, and maxItems a list or a table. 0: it is not bounded.
	maxLength, maxItems int
	// keys is a regular expression for the keys of a table, and expected describes it.
	keys string
	// required: the value must be in the section that contains it.
	required bool
}

// CommandsSuffix ends the names of the files in Web.TokensDir whose owners may send lines that begin with "/".
const CommandsSuffix = ".commands"

// Defaults that other packages use too.
const (
	DefaultServer        = "https://cytu.be"
	DefaultSubjectPrefix = "rosey"
	// DefaultRunHTTPAddress is for `rosey run`: on a user's own machine nothing is served to the network by default.
	DefaultRunHTTPAddress = "127.0.0.1:8080"
	// DefaultPluginHTTPAddress is for one plugin: any free port, since `rosey run` is on the same machine.
	DefaultPluginHTTPAddress = "127.0.0.1:0"
	// DefaultCLINATSURL is for commands that a user runs by hand.
	DefaultCLINATSURL = "nats://127.0.0.1:4222"

	DefaultChatRetention       Duration = "150h"
	DefaultUserCountsRetention Duration = "720h"
	DefaultMediaRetention      Duration = "2160h"
	DefaultOutboundRetention   Duration = "168h"
	DefaultPeopleRetention     Duration = Forever
)

const (
	durationPattern = `^([0-9]+(\.[0-9]+)?(h|m|s))+$`
	portPattern     = `(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})`
	hostPattern     = `([A-Za-z0-9._-]+|\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\])`
	natsURLPattern  = `(nats|tls|ws|wss)://` + hostPattern + `(:` + portPattern + `)?/?`
)

// settings describes each key of Config. Path, Variable and Kind follow from the field, and so does Flag where the
// table has none.
var settings = map[string]Key{
	"name": {
		Usage:   "Namespace and name of the RoseyBot; the operator sets it",
		pattern: `^[a-z0-9-]{1,63}/[a-z0-9-]{1,63}$`, expected: "namespace/name of a RoseyBot",
	},
	"channel.server": {
		Usage: "Base URL of the CyTube site, without a path", Flag: "server", Default: DefaultServer,
		pattern: `^[Hh][Tt][Tt][Pp][Ss]?://[^/@?#\s]+/*$`, expected: "http(s)://host[:port] without a path",
		valid: validServer,
	},
	"channel.name": {
		Usage: "Name of the channel, as in its URL", Flag: "channel",
		pattern: `^[A-Za-z0-9_-]{1,30}$`, expected: "1 to 30 letters, digits, '-' and '_'",
	},
	"channel.passwordFile": {
		Usage: "File with the channel's password, or FILE#/pointer for a text in a JSON or YAML file",
	},
	"channel.maxMessageLength": {
		Usage: "Maximum length of a line on the server (its max-chat-message-length), in UTF-16 code units; " +
			"0: 320, and less if the server cuts lines earlier",
		minimum: 40, maximum: 1000, orZero: true, Default: "0",
	},
	"account.username": {
		Usage: "Name of the CyTube account or guest; without it the bot is an anonymous watcher", Flag: "username",
		pattern: `^[A-Za-z0-9_-]{1,20}$`, expected: "1 to 20 letters, digits, '-' and '_'",
	},
	"account.passwordFile": {
		Usage: "File with the account's password, or FILE#/pointer for a text in a JSON or YAML file; " +
			"without it the bot logs in as a guest",
		Flag: "password-file",
	},
	"mode": {
		Usage:  "How the bot reaches its database: over NATS, or by opening it itself (direct)",
		values: []string{ModeNATS, ModeDirect}, Default: ModeNATS,
	},
	"standby": {
		Usage: "Whether several bots run with this configuration: one in the channel, the others ready to take over; " +
			"needs JetStream and account.username",
		Default: "false",
	},
	"standbyFile": {
		Usage: "File with true or false, which is read while the bot runs and replaces standby; with it the only bot takes " +
			"part in the election where it can, so that a standby can be added without a restart",
	},
	"nats.url": {
		Usage: "URLs of NATS servers, comma separated, without user and password", Flag: "nats",
		pattern:  `^\s*` + natsURLPattern + `\s*(,\s*` + natsURLPattern + `\s*)*$`,
		expected: "nats://, tls://, ws:// or wss:// and host[:port], with a port from 1 to 65535",
	},
	"nats.subjectPrefix": {
		Usage: "First token of all subjects; different for each bot on the same NATS", Flag: "prefix",
		pattern:  `^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$`,
		expected: "one token of at most 128 letters, digits, '-' and '_' that begins with a letter or a digit",
		Default:  DefaultSubjectPrefix,
	},
	"nats.credentialsDir": {
		Usage: "Directory with nats.creds, username and password, token, or nkey; read at every connect",
	},
	"nats.tlsDir": {
		Usage: "Directory with ca.crt and, for a client certificate, tls.crt and tls.key; read at every connect",
	},
	"nats.jetStream.mode": {
		Usage:  "Whether a stream keeps events until they are stored; auto: if the NATS server has JetStream",
		values: []string{JetStreamAuto, JetStreamAlways, JetStreamNever}, Default: JetStreamAuto,
	},
	"nats.jetStream.replicas": {
		Usage:   "Number of NATS servers that keep a copy of the stream",
		minimum: 1, maximum: 5, Default: "1",
	},
	"nats.jetStream.maxAge": {
		Usage:   "How long the stream keeps an event",
		pattern: durationPattern, expected: "a duration such as 72h or 90m", Default: "72h",
	},
	"nats.jetStream.maxBytes": {
		Usage: "Maximum size of the stream in bytes, which the NATS server reserves",
		// The minimum leaves room for the largest message that a server accepts by default.
		minimum: 1 << 20, maximum: 1 << 40, Default: strconv.Itoa(64 << 20),
	},
	"nats.jetStream.maxMessageBytes": {
		Usage:   "Maximum size of a message in the stream in bytes; the NATS server refuses larger ones",
		minimum: 16 << 10, maximum: 8 << 20, Default: strconv.Itoa(128 << 10),
	},
	"nats.jetStream.provisioning": {
		Usage: "Who creates the stream, its consumer and the bucket of the leader election: bot and database service, " +
			"or an administrator (manual), for example with rosey nats create",
		values: []string{ProvisioningAutomatic, ProvisioningManual}, Default: ProvisioningAutomatic,
	},
	"database.sqlite.path": {
		Usage: "Database file; its directory must exist", Flag: "database",
		pattern: `^.+$`, expected: "the path of the database file",
	},
	"database.postgres.urlFile": {
		Usage:   "File with the URL of a PostgreSQL database, or FILE#/pointer for a text in a JSON or YAML file",
		pattern: `^.+$`, expected: "the path of a file with the database's URL, not the URL", valid: validURLFile,
	},
	"database.channelsFile": {
		Usage: "File with a list of more channels that the database service serves, each with server and name; " +
			"read again while it runs",
	},
	"database.provenanceFile": {
		Usage: "File that says where the database comes from, for taking over the stream of one that is gone; " +
			"the operator writes it",
	},
	"database.takeOver": {
		Usage: "ID of a database that is gone for good, whose stream of events this one takes over; followed by " +
			"+replay, all events that are still in the stream are stored",
		pattern:  `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\+replay)?$`,
		expected: "the ID of a database, as the message about the conflict says, or ID+replay",
	},
	"database.directFallback": {
		Usage:   "Whether the bot writes to PostgreSQL itself while NATS is down",
		Default: "false",
	},
	"database.retention.chat": retentionKey("How long lines of chat are kept", DefaultChatRetention),
	"database.retention.userCounts": retentionKey("How long samples of the number of users are kept",
		DefaultUserCountsRetention),
	"database.retention.media": retentionKey("How long the record of what was played is kept", DefaultMediaRetention),
	"database.retention.outbound": retentionKey("How long outbound lines are kept after they were said or abandoned",
		DefaultOutboundRetention),
	"database.retention.people": retentionKey("How long a user who is not seen any more is kept, with joins, leaves "+
		"and counts", DefaultPeopleRetention),
	"database.limits.messageBytes": limitKey(128<<10, 64<<10, 1<<20, "Maximum size of an event or a request in bytes"),
	"database.limits.textBytes": limitKey(16<<10, 1<<10, MaxTextBytes,
		"Maximum size of a line of chat, of the details of an action and of a text of the status, in bytes"),
	"database.limits.nameBytes": limitKey(128, 32, 512, "Maximum size of the name of a user or a channel in bytes"),
	"database.limits.channelRows": limitKey(5_000_000, 10_000, 1<<31-1,
		"Maximum number of rows of a channel: chat, joins and leaves, stays of bots, samples, actions, reports of what "+
			"was played, hours in which somebody wrote, and outbound lines"),
	"database.limits.channelBytes": limitKey(512<<20, 1<<20, 1<<40,
		"Maximum size of the rows that channelRows counts, in bytes"),
	"database.limits.people": limitKey(100_000, 1_000, 10_000_000,
		"Maximum number of users that are known of a channel"),
	"database.limits.outboundWaiting": limitKey(1_000, 10, 100_000,
		"Maximum number of outbound lines of a channel that wait to be said"),
	"database.limits.kvKeys": limitKey(10_000, 10, 1_000_000, "Maximum number of keys of a plugin in a channel"),
	"database.limits.kvBytes": limitKey(16<<20, 128<<10, 1<<30,
		"Maximum size of the keys and values of a plugin in a channel, in bytes"),
	"database.limits.kvPlugins": limitKey(100, 1, 1_000, "Maximum number of plugins that have keys in a channel"),
	"database.limits.kvChannelBytes": limitKey(128<<20, 128<<10, 1<<40,
		"Maximum size of the keys and values of all plugins in a channel, in bytes"),
	"database.limits.deadLetters": limitKey(10_000, 100, 1_000_000,
		"Maximum number of dead letters, of which the oldest are removed"),
	"database.limits.deadLetterBytes": limitKey(64<<20, 1<<20, 1<<30,
		"Maximum size of all dead letters in bytes"),
	"database.backup.directory": {
		Usage: "Directory for backups of the SQLite database, which are made while it is used; created if absent " +
			"(default: only rosey run makes some, in its data directory)",
	},
	"database.backup.every": {
		Usage:   "Time between two backups",
		Default: "24h", pattern: `^(([0-9]+(\.[0-9]+)?(h|m|s))+|never)$`,
		expected: "a duration of at least 1h such as 24h, or never", valid: validBackupInterval,
	},
	"database.backup.keep": {Usage: "Number of backups that are kept", Default: "7", minimum: 1, maximum: 1000},
	"commands.chat": {
		Usage:   "Whether the bot answers everybody's commands in the chat, such as !help",
		Default: "true",
	},
	"commands.pm": {Usage: "Whether the bot executes commands of moderators by private message", Default: "true"},
	"commands.prefix": {
		Usage:   "What a command in the chat begins with",
		pattern: `^[^/\s]\S{0,4}$`, expected: "1 to 5 characters without spaces that do not begin with '/'",
		Default: "!",
	},
	"commands.cooldownSeconds": {
		Usage:   "Seconds that a user waits between two commands in the chat",
		minimum: 0, maximum: 3600, Default: "5",
	},
	"commands.channelCooldownSeconds": {
		Usage:   "Seconds that everybody waits after a command in the chat",
		minimum: 0, maximum: 3600, Default: "0",
	},
	"commands.overrides": {
		Usage: "Changes to commands, by NAME for one of the bot or by PLUGIN.NAME for one of a plugin: disabled, name, " +
			"rank, allow and deny (users), cooldown (userSeconds, channelSeconds)",
		maxItems: MaxOverrides, keys: `^([a-z0-9]{1,30}[.])?[a-z0-9_-]{1,30}$`,
		expected: "the name of a command in lower case, or PLUGIN.NAME",
	},
	"commands.ignore": {
		Usage:    "Users whose lines call no command, such as other bots; the lines are stored all the same",
		maxItems: MaxIgnored,
	},
	"commandsFile": {
		Usage: "File with the section commands, which is read while the bot runs and replaces it, so that a change needs " +
			"no restart",
	},
	"plugins": {
		Usage: "Plugins that the bot may call, each with name, builtin, config and grants; where two have a command of the " +
			"same name, the first one has it",
		maxItems: MaxPlugins,
	},
	"pluginsFile": {
		Usage: "File with the list plugins, which is read while the bot runs and replaces it, so that a change needs no " +
			"restart",
	},
	"web.listen": {
		Usage:   "Address of the pages of rosey web; rosey run serves them at http.address",
		pattern: `^.*:[^:]*$`, expected: "[host]:port", Default: ":" + strconv.Itoa(status.PagesPort), valid: validAddress,
	},
	"web.public": {
		Usage: "Whether everybody who reaches the pages may read; otherwise reading needs a token too, except on a " +
			"loopback address",
		Default: "false",
	},
	"web.people": {
		Usage: "Who sees the pages about individual people: everybody who may read, only who has a token (tokensOnly), or " +
			"nobody (off)",
		values: []string{PeoplePublic, PeopleTokensOnly, PeopleOff}, Default: PeoplePublic,
	},
	"web.tokensDir": {
		Usage: "Directory with the tokens of those who may send lines: a file for each person, named like the person; a " +
			"name that ends in " + CommandsSuffix + " may send commands too; read while the process runs",
	},
	"web.host": {
		Usage: "Host name under which a proxy on this machine serves the pages, without a port; at a loopback address, " +
			"requests for other hosts than it and this machine are refused, and requests for it need a token even there",
		pattern:  `^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`,
		expected: "the name of a host, such as movies.example.org",
	},
	"web.basePath": {
		Usage:   "Path below which the pages are, for a proxy that does not strip it",
		pattern: `^/([A-Za-z0-9._~-]+/?)*$`, expected: "a path that begins with /, of letters, digits and ._~-",
		Default: "/",
	},
	"plugin.name": {
		Usage:   "Name of the plugin in the configuration of its bot (default: the name that the program has)",
		pattern: `^[a-z0-9]{1,30}$`, expected: "1 to 30 lower-case letters and digits",
	},
	"plugin.settings": {
		Usage: "Directory with a file for each setting of the plugin, or a file in YAML or JSON with all of them; read " +
			"while it runs",
	},
	"http.address": {
		Usage: "Address of the HTTP server for health, status and metrics", Flag: "http",
		pattern: `^.*:[^:]*$`, expected: "[host]:port", Default: ":8080",
		valid: validAddress,
	},
	"telemetry.endpoint": {
		Usage: "URL of a receiver of traces by the OpenTelemetry protocol (OTLP), without user and password; what the " +
			"other keys of telemetry leave out is taken from the variables OTEL_* (default: OTEL_EXPORTER_OTLP_ENDPOINT, or " +
			"else nothing is traced)",
		pattern:  `^https?://` + hostPattern + `(:` + portPattern + `)?(/[A-Za-z0-9._~/-]*)?$`,
		expected: "http:// or https://, host[:port] and an optional path",
		valid:    validEndpoint,
	},
	"telemetry.protocol": {
		Usage: "How traces are sent; receivers usually listen at port 4318 for http/protobuf and at 4317 for grpc " +
			"(default: OTEL_EXPORTER_OTLP_PROTOCOL, or else " + OTLPHTTP + ")",
		values: []string{OTLPHTTP, OTLPGRPC},
	},
	"telemetry.samplingRatio": {
		Usage: "Part of the traces that is recorded, from 0 to 1 in quotes; a request with a trace of its own is recorded " +
			"if that trace is (default: OTEL_TRACES_SAMPLER, or else all)",
		pattern:  `^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$`,
		expected: "a decimal number from 0 to 1 with at most 6 digits after the point",
	},
	"telemetry.headersFile": {
		Usage: "File with headers for the receiver, one key=value on each line or several separated by commas; read at " +
			"each export (default: OTEL_EXPORTER_OTLP_HEADERS)",
	},
	"telemetry.tlsDir": {
		Usage: "Directory with ca.crt and, for a client certificate, tls.crt and tls.key, for the receiver of traces; read " +
			"at every connect",
	},
	"telemetry.resourceAttributes": {
		Usage: "More attributes of the process in its traces, as key=value,key=value with values as in a URL; those of " +
			"OTEL_RESOURCE_ATTRIBUTES with other keys remain",
		pattern:  `^[^\s,=%]+=[^\s,]*(,[^\s,=%]+=[^\s,]*)*$`,
		expected: "key=value, or several separated by commas, with values as in a URL",
		valid:    validAttributes,
	},
	"logLevel": {
		Usage:  "Lowest level of log messages",
		values: []string{"debug", "info", "warn", "error"}, Default: "info",
	},
}

func retentionKey(usage string, kept Duration) Key {
	return Key{
		Usage: usage, Default: string(kept), pattern: `^(([0-9]+(\.[0-9]+)?(h|m|s))+|forever)$`,
		expected: "a duration of at least 1h such as 150h, or forever", valid: validRetention,
	}
}

// Keys returns all settings, in the order of Config's fields.
func Keys() []Key {
	var keys []Key
	walk(reflect.TypeFor[Config](), "", func(path string, kind Kind) {
		key := settings[path]
		key.Path, key.Kind = path, kind
		if key.Flag == "" {
			key.Flag = strings.ReplaceAll(separateWords(path, '-'), ".", "-")
		}
		key.Variable = variablePrefix + strings.ToUpper(strings.ReplaceAll(separateWords(path, '_'), ".", "_"))
		keys = append(keys, key)
	})
	return keys
}

const variablePrefix = "ROSEY_"

// walk calls visit for the keys of a struct and of the structs in it.
func walk(structure reflect.Type, path string, visit func(path string, kind Kind)) {
	for name, field := range fields(structure) {
		inner := join(path, name)
		if kind := kindOf(field.Type); kind != "" {
			visit(inner, kind)
			continue
		}
		walk(indirect(field.Type), inner, visit)
	}
}

// fields returns an iterator over the fields of a struct, by their names in the file.
func fields(structure reflect.Type) func(yield func(string, reflect.StructField) bool) {
	return func(yield func(string, reflect.StructField) bool) {
		for field := range structure.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !yield(name, field) {
				return
			}
		}
	}
}

// kindOf returns the kind of a field, which is empty for a section.
func kindOf(t reflect.Type) Kind {
	switch t = indirect(t); t.Kind() {
	case reflect.Struct:
		return ""
	case reflect.Slice:
		return ListKind
	case reflect.Map:
		return TableKind
	case reflect.Float64:
		return DecimalKind
	case reflect.Bool:
		return SwitchKind
	case reflect.Int:
		return NumberKind
	default:
		return TextKind
	}
}

func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// separateWords turns passwordFile into password-file.
func separateWords(name string, separator rune) string {
	var text strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			text.WriteRune(separator)
		}
		text.WriteRune(unicode.ToLower(r))
	}
	return text.String()
}
