// Package config is the configuration of every rosey command: the schema of its file, the loader that puts environment
// variables and flags over it, and the paths at which the operator mounts the files it names.
package config

// Config is the configuration of every `rosey` command: a file, with environment and flags over it.
// Each key is described in settings.go, which the JSON schema and the flags are made from.
//
// Secrets are never in it: it names files that hold them, so that the file can be a
// ConfigMap and a secret can be rotated without a new configuration.
type Config struct {
	// Channel is the CyTube channel the bot sits in and the database service answers for.
	Channel Channel `json:"channel"`
	// Account is who the bot is in the channel. Absent: an anonymous watcher.
	Account *Account `json:"account,omitempty"`
	// Mode is how the bot reaches its database: ModeNATS or ModeDirect. Default: ModeNATS.
	Mode string `json:"mode,omitempty"`
	// Standby says that several bots run with this configuration. One is in the channel, the others stand
	// by; none joins without the lock, which needs JetStream, and none is anonymous.
	Standby bool `json:"standby,omitempty"`
	// NATS is the bus between bot and database service. ModeDirect does not read it.
	NATS NATS `json:"nats,omitzero"`
	// Database is where the rows are kept. `rosey bot` reads it in ModeDirect and for DirectFallback.
	Database Database `json:"database,omitzero"`
	// Commands says which commands of users the bot answers.
	Commands Commands `json:"commands,omitzero"`
	// HTTP serves health, status and metrics.
	HTTP HTTP `json:"http,omitzero"`
	// LogLevel is debug, info, warn or error. Default: info.
	LogLevel string `json:"logLevel,omitempty"`
}

// Channel names one channel on one CyTube server.
type Channel struct {
	// Server is the base URL of the CyTube site, without a path. Default: https://cytu.be.
	Server string `json:"server,omitempty"`
	// Name is the channel's name as in its URL: 1 to 30 letters, digits, '-' and '_'.
	Name string `json:"name"`
	// PasswordFile holds the channel's password, for a channel that asks for one; see ReadSecret.
	PasswordFile string `json:"passwordFile,omitempty"`
}

// Account is a CyTube login.
type Account struct {
	// Username is the account's or the guest's name: 1 to 20 letters, digits, '-' and '_'.
	Username string `json:"username"`
	// PasswordFile holds the account's password; see ReadSecret. Empty: a guest.
	PasswordFile string `json:"passwordFile,omitempty"`
}

// NATS says how to reach the bus and which part of it is ours.
type NATS struct {
	// URL is one or several NATS URLs, comma separated, without user and password.
	URL string `json:"url,omitempty"`
	// SubjectPrefix is the one token before ".db.…" and ".events.…". Default: rosey.
	SubjectPrefix string `json:"subjectPrefix,omitempty"`
	// CredentialsDir is a folder with the files of one way to log in: NATSCredsFile; NATSUserFile and
	// NATSPasswordFile; NATSTokenFile; or NATSNKeyFile. They are read at every connect. Empty: no login.
	CredentialsDir string `json:"credentialsDir,omitempty"`
	// TLSDir is a folder with TLSCAFile and, for a server that asks for a client's certificate, TLSCertFile
	// and TLSKeyFile. They are read at every connect. Empty: the system's roots where the URL asks for TLS.
	TLSDir string `json:"tlsDir,omitempty"`
	// JetStream makes published events durable.
	JetStream JetStream `json:"jetStream,omitzero"`
}

// JetStream says how the stream is made that keeps events until they are stored.
type JetStream struct {
	// Mode is JetStreamAuto, JetStreamAlways or JetStreamNever. Default: JetStreamAuto.
	Mode string `json:"mode,omitempty"`
	// Replicas is how many NATS servers keep the stream: 1 to 5. Default: 1.
	Replicas int `json:"replicas,omitempty"`
	// MaxAge is how long an event is kept. Default: 72h.
	MaxAge Duration `json:"maxAge,omitempty"`
	// MaxBytes is how much the stream keeps, in bytes. Default: 256 MiB.
	MaxBytes int `json:"maxBytes,omitempty"`
}

// Database says which store is opened, one of SQLite and Postgres, and what is kept in it.
type Database struct {
	// SQLite is a database in one file.
	SQLite *SQLite `json:"sqlite,omitempty"`
	// Postgres is a database on a PostgreSQL server.
	Postgres *Postgres `json:"postgres,omitempty"`
	// DirectFallback has the bot write to PostgreSQL itself while NATS is away.
	DirectFallback bool `json:"directFallback,omitempty"`
	// Retention is how long rows are kept.
	Retention Retention `json:"retention,omitzero"`
}

// SQLite is a database in one file.
type SQLite struct {
	// Path is the database file. Its folder must exist; the file is made when absent.
	Path string `json:"path"`
}

// Postgres is a database on a PostgreSQL server.
type Postgres struct {
	// URLFile holds the connection URL, postgres://user:password@host:port/database; see ReadSecret. It is
	// read at every connect.
	URLFile string `json:"urlFile"`
}

// Retention is how long rows are kept, Forever or at least an hour.
type Retention struct {
	// Chat is for lines of chat. Default: 150h.
	Chat Duration `json:"chat,omitempty"`
	// UserCounts is for the samples of how many are there. Default: 720h.
	UserCounts Duration `json:"userCounts,omitempty"`
	// Outbound is for lines that were sent or given up. Default: 168h.
	Outbound Duration `json:"outbound,omitempty"`
}

// HTTP is the listener of health, status and metrics.
type HTTP struct {
	// Address is host:port as net.Listen takes it. Default: ":8080".
	Address string `json:"address,omitempty"`
}
