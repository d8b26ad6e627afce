package config

// Paths of a pod. The operator mounts them, the runtime reads them.
const (
	// ConfigDir holds the configuration files, mounted from a ConfigMap.
	ConfigDir = "/etc/rosey"
	// BotFile and DatabaseFile are the configuration files' names in ConfigDir, one for each
	// component, so that a setting of one does not restart the other.
	BotFile      = "bot.yaml"
	DatabaseFile = "database.yaml"

	// AccountSecretDir and ChannelSecretDir hold a file SecretFile each, mounted from optional Secrets.
	AccountSecretDir = "/var/run/rosey/account"
	ChannelSecretDir = "/var/run/rosey/channel"
	// SecretFile is the name of a password's file in its folder.
	SecretFile = "password"

	// NATSCredentialsDir, NATSTLSDir and PostgresSecretDir are mounted from optional Secrets.
	NATSCredentialsDir = "/var/run/rosey/nats"
	NATSTLSDir         = "/var/run/rosey/nats-tls"
	PostgresSecretDir  = "/var/run/rosey/postgres"
	// PostgresURLFile is the name of the URL's file in PostgresSecretDir.
	PostgresURLFile = "url"

	// The files of NATS.CredentialsDir, called like the keys of a Secret.
	NATSCredsFile    = "nats.creds"
	NATSUserFile     = "username"
	NATSPasswordFile = "password"
	NATSTokenFile    = "token"
	NATSNKeyFile     = "nkey"
	// The files of NATS.TLSDir, called like the keys of a Secret of type kubernetes.io/tls.
	TLSCAFile   = "ca.crt"
	TLSCertFile = "tls.crt"
	TLSKeyFile  = "tls.key"

	// PodNameVariable and PodUIDVariable are the environment variables that tell a process its pod. The
	// name is shown to people; the UID stays the same when the container restarts and never comes again.
	PodNameVariable = "POD_NAME"
	PodUIDVariable  = "POD_UID"

	// DataDir is where the claim is mounted in the pod that has the store open.
	DataDir = "/var/lib/rosey"
	// SQLiteFile is the database's file name in DataDir.
	SQLiteFile = "rosey.db"
)

// Defaults for what a configuration may leave out.
const (
	DefaultServer        = "https://cytu.be"
	DefaultSubjectPrefix = "rosey"
	DefaultHTTPAddress   = ":8080"
	DefaultLogLevel      = "info"

	DefaultStreamReplicas          = 1
	DefaultStreamMaxAge   Duration = "72h"
	DefaultStreamMaxBytes          = 256 << 20

	DefaultKeepChat       Duration = "150h"
	DefaultKeepUserCounts Duration = "720h"
	DefaultKeepOutbound   Duration = "168h"

	// DefaultRunHTTPAddress is for `rosey run`: a person's own machine need not show itself to its network.
	DefaultRunHTTPAddress = "127.0.0.1:8080"
	// DefaultCLINATSURL is where the commands of a person at the keyboard look for NATS.
	DefaultCLINATSURL = "nats://127.0.0.1:4222"
)
