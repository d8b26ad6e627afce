package config

// Ports and paths of a pod. The operator mounts and probes them, the runtime serves and reads them.
const (
	// HTTPPort serves the HTTP paths below.
	HTTPPort = 8080

	// HealthPath answers 200 while the process works at all (liveness).
	HealthPath = "/healthz"
	// ReadyPath answers 200 when Report.Ready is true, else 503 (readiness).
	ReadyPath = "/readyz"
	// StatusPath answers 200 with a Report as JSON, ready or not.
	StatusPath = "/status"
	// MetricsPath answers with Prometheus metrics.
	MetricsPath = "/metrics"

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

	// DataDir is where the claim is mounted in the database service's pod.
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

	// DefaultRunHTTPAddress is for `rosey run`: a person's own machine need not show itself to its network.
	DefaultRunHTTPAddress = "127.0.0.1:8080"
	// DefaultConsoleNATSURL is where the commands of a person at the keyboard look for NATS.
	DefaultConsoleNATSURL = "nats://127.0.0.1:4222"
)
