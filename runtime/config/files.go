package config

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Paths and environment variables of a pod. The operator sets them, the runtime reads them.
const (
	// ConfigDir holds the configuration files, mounted from a ConfigMap.
	ConfigDir = "/etc/rosey"
	// BotFile, DatabaseFile and WebFile are the names of the configuration files in ConfigDir. There is one for each
	// component, so that a changed setting of one does not restart the others.
	BotFile      = "bot.yaml"
	DatabaseFile = "database.yaml"
	WebFile      = "web.yaml"
	// PluginFile is that of a plugin with a process of its own.
	PluginFile = "plugin.yaml"
	// StandbyFile is the name of the file in ConfigDir that Config.StandbyFile names.
	StandbyFile = "standby"

	// AccountSecretDir and ChannelSecretDir hold one SecretFile each, mounted from optional Secrets.
	AccountSecretDir = "/var/run/rosey/account"
	ChannelSecretDir = "/var/run/rosey/channel"
	// SecretFile is the name of a password's file in its directory.
	SecretFile = "password"

	// NATSCredentialsDir, NATSTLSDir and PostgresSecretDir are mounted from optional Secrets.
	NATSCredentialsDir = "/var/run/rosey/nats"
	NATSTLSDir         = "/var/run/rosey/nats-tls"
	PostgresSecretDir  = "/var/run/rosey/postgres"
	// PostgresURLFile is the name of the file with the database's URL in PostgresSecretDir.
	PostgresURLFile = "url"

	// TelemetrySecretDir and TelemetryTLSDir are mounted from optional Secrets.
	TelemetrySecretDir = "/var/run/rosey/telemetry"
	TelemetryTLSDir    = "/var/run/rosey/telemetry-tls"
	// WebTokensDir is mounted from an optional Secret: Web.TokensDir.
	WebTokensDir = "/var/run/rosey/web-tokens"
	// TelemetryHeadersFile is the name of the file with headers in TelemetrySecretDir.
	TelemetryHeadersFile = "headers"

	// The files in NATS.CredentialsDir, named like the keys of the Secret.
	NATSCredsFile    = "nats.creds"
	NATSUserFile     = "username"
	NATSPasswordFile = "password"
	NATSTokenFile    = "token"
	NATSNKeyFile     = "nkey"
	// The files in NATS.TLSDir and Telemetry.TLSDir, named like the keys of a Secret of type kubernetes.io/tls.
	TLSCAFile   = "ca.crt"
	TLSCertFile = "tls.crt"
	TLSKeyFile  = "tls.key"

	// PodNameVariable and PodUIDVariable are the environment variables with the name and UID of the pod. The name is
	// for people; the UID stays the same when a container restarts, and no other pod ever has it.
	PodNameVariable = "POD_NAME"
	PodUIDVariable  = "POD_UID"

	// ChannelsDir is mounted from a ConfigMap with the files ChannelsFile, which Database.ChannelsFile names, and
	// ProvenanceFile, which Database.ProvenanceFile names.
	ChannelsDir    = "/var/run/rosey/channels"
	ChannelsFile   = "channels.yaml"
	ProvenanceFile = "provenance.yaml"

	// LiveDir is mounted from a ConfigMap with the files CommandsFile and PluginsFile, which are read while processes run.
	LiveDir      = "/var/run/rosey/live"
	CommandsFile = "commands.yaml"
	PluginsFile  = "plugins.yaml"

	// PluginHostFile is the name of the configuration file of the host of the built-in plugins in ConfigDir.
	PluginHostFile = "plugin-host.yaml"
	// PluginSettingsDir is mounted from a ConfigMap, with one file for each setting of a plugin.
	PluginSettingsDir = "/etc/rosey/plugin-settings"
	// PluginVariablePrefix begins the names of the environment variables that users give the built-in plugins. No library
	// and no setting of the runtime has such a name: others would say where the process sends its credentials.
	PluginVariablePrefix = "PLUGIN_"

	// DataDir is the mount path of the PersistentVolumeClaim in the pod that opens the store.
	DataDir = "/var/lib/rosey"
	// BackupsDir is the mount path of the PersistentVolumeClaim for backups.
	BackupsDir = "/var/lib/rosey-backups"
	// SQLiteFile is the name of the database file in DataDir.
	SQLiteFile = "rosey.db"
)

// ErrSecretAbsent is the error for a secret whose file is absent or empty: its Secret may be created later.
var ErrSecretAbsent = errors.New("absent or empty")

// ReadSecret returns the content of a secret's file, without the byte order mark and the line end that editors add. A
// source of the form FILE#/pointer is a text inside a JSON or YAML file, at a JSON pointer (RFC 6901). Callers read a
// secret at each use, so that a rotated one takes effect without a restart. The error is ErrSecretAbsent if there is no
// secret.
func ReadSecret(source string) (string, error) {
	data, err := ReadBoundedFile(source, maxSecretBytes)
	if errors.Is(err, os.ErrNotExist) {
		if at := strings.LastIndex(source, "#/"); at >= 0 {
			return readSecretInside(source[:at], source[at+1:])
		}
		return "", fmt.Errorf("secret file %s: %w", source, ErrSecretAbsent)
	}
	if err != nil {
		return "", fmt.Errorf("reading secret file: %w", err)
	}
	text, err := decodeText(data)
	if err != nil {
		return "", fmt.Errorf("secret file %s: %w", source, err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("secret file %s: %w", source, ErrSecretAbsent)
	}
	return secret, nil
}

func readSecretInside(file, pointer string) (string, error) {
	absent := fmt.Errorf("secret %s in file %s: %w", pointer, file, ErrSecretAbsent)
	data, err := ReadBoundedFile(file, maxConfigBytes)
	if errors.Is(err, os.ErrNotExist) {
		return "", absent
	}
	if err != nil {
		return "", fmt.Errorf("reading secret file: %w", err)
	}
	content, err := parseDocument(data)
	if err != nil {
		return "", fmt.Errorf("secret file %s: %w", file, err)
	}
	switch secret := resolvePointer(map[string]any(content), pointer).(type) {
	case nil:
		return "", absent
	case string:
		if secret == "" {
			return "", absent
		}
		return secret, nil
	default:
		return "", fmt.Errorf("secret %s in file %s: %s, expected text", pointer, file, typeName(secret))
	}
}

// resolvePointer returns the value at a JSON pointer, nil if there is none.
func resolvePointer(value any, pointer string) any {
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[unescape.Replace(token)]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(inner) {
				return nil
			}
			value = inner[i]
		default:
			return nil
		}
	}
	return value
}
