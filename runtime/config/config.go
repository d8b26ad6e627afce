// Package config is what the operator and the runtime agree on: the configuration file,
// the ports and paths of a pod, and the shape and the reasons of /status.
//
// It is the only package of the runtime that the operator imports.
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
	// NATS is the bus between bot and database service.
	NATS NATS `json:"nats,omitzero"`
	// Database is where the database service keeps its rows. `rosey bot` does not read it.
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
}

// Database says which store the service opens.
type Database struct {
	// SQLite is a database in one file.
	SQLite *SQLite `json:"sqlite,omitempty"`
}

// SQLite is a database in one file.
type SQLite struct {
	// Path is the database file. Its folder must exist; the file is made when absent.
	Path string `json:"path"`
}

// HTTP is the listener of health, status and metrics.
type HTTP struct {
	// Address is host:port as net.Listen takes it. Default: ":8080".
	Address string `json:"address,omitempty"`
}
