package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

const full = `
channel: {server: "https://CyTu.be/", name: movienight, passwordFile: /c/password}
account: {username: Rosey, passwordFile: /a/password}
nats: {url: "nats://a:4222,nats://b:4222", subjectPrefix: mine}
database: {sqlite: {path: /data/rosey.db}}
http: {address: "127.0.0.1:9"}
logLevel: debug
`

// commands returns the default commands, except for PM.
func commands(pm bool) config.Commands {
	return config.Commands{
		Chat: new(true), PM: &pm, Prefix: "!", CooldownSeconds: new(5), ChannelCooldownSeconds: new(0)}
}

// withDefaults returns a configuration with the defaults of keys that most of the tests leave out.
func withDefaults(c config.Config) config.Config {
	c.Mode = config.ModeNATS
	c.NATS.JetStream = config.JetStream{
		Mode: config.JetStreamAuto, Replicas: 1, MaxAge: "72h", MaxBytes: 64 << 20, MaxMessageBytes: 128 << 10,
		Provisioning: config.ProvisioningAutomatic,
	}
	c.Database.Retention = config.Retention{
		Chat: "150h", UserCounts: "720h", Media: "2160h", Outbound: "168h", People: "forever",
	}
	c.Database.Limits = c.Database.Limits.WithDefaults()
	c.Web = config.Web{Listen: ":8081", People: config.PeoplePublic, BasePath: "/"}
	c.Database.Backup.Every, c.Database.Backup.Keep = "24h", 7
	return c
}

func TestParseFull(t *testing.T) {
	got, err := config.Parse([]byte(full), status.DatabaseComponent)
	if err != nil {
		t.Fatal(err)
	}
	want := withDefaults(config.Config{
		Channel:  config.Channel{Server: "https://cytu.be", Name: "movienight", PasswordFile: "/c/password"},
		Account:  &config.Account{Username: "Rosey", PasswordFile: "/a/password"},
		NATS:     config.NATS{URL: "nats://a:4222,nats://b:4222", SubjectPrefix: "mine"},
		Database: config.Database{SQLite: &config.SQLite{Path: "/data/rosey.db"}},
		Commands: commands(true),
		HTTP:     config.HTTP{Address: "127.0.0.1:9"},
		LogLevel: "debug",
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestParseDefaults(t *testing.T) {
	got, err := config.Parse([]byte(`{"channel":{"name":"m"},"nats":{"url":"nats://n"}}`), status.BotComponent)
	if err != nil {
		t.Fatal(err)
	}
	want := withDefaults(config.Config{
		Channel:  config.Channel{Server: "https://cytu.be", Name: "m"},
		NATS:     config.NATS{URL: "nats://n", SubjectPrefix: "rosey"},
		Commands: commands(true),
		HTTP:     config.HTTP{Address: ":8080"},
		LogLevel: "info",
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestParseErrors(t *testing.T) {
	tests := map[string]struct{ old, new, want string }{
		"unknown key": {"logLevel", "loglevle", `loglevle: no such key, expected one of account, `},
		"wrong type":  {"name: movienight", "name: [a]", "channel.name: a list, expected text"},
		"a number":    {"name: movienight", "name: 2026", "channel.name: a number, expected text: put it in quotes"},
		"nested key":  {"subjectPrefix", "prefix", "nats.prefix: no such key, expected one of credentialsDir, jetStream, "},
		"password":    {"passwordFile: /a/password", "password: pw", "account.passwordFile names"},
		"text as section": {
			`{url: "nats://a:4222,nats://b:4222", subjectPrefix: mine}`, "pw", "nats: text, expected a section",
		},
		"key twice":       {"logLevel: debug", "logLevel: info\nlogLevel: debug", `line 8: key "logLevel" already set`},
		"not YAML":        {"logLevel: debug", "logLevel: *pw", "expected YAML or JSON"},
		"odd key":         {"logLevel: debug", "{{pw}}: debug", "expected YAML"},
		"channel name":    {"name: movienight", "name: movie night", `channel.name: "movie night", expected 1 to 30`},
		"no channel name": {"name: movienight, ", "", `channel.name: "", expected 1 to 30`},
		"server":          {"https://CyTu.be/", "cytu.be", `channel.server: "cytu.be", expected http(s)://`},
		"server path":     {"https://CyTu.be/", "https://cytu.be/r/x", `channel.server: "https://cytu.be/r/x"`},
		"user name":       {"Rosey", "Rosey the Robot", `account.username: "Rosey the Robot", expected 1 to 20`},
		"nats scheme":     {"nats://b:4222", "http://b:4222", `nats.url: "http://b:4222", expected nats://`},
		"nats password":   {"nats://b:4222", "nats://u:pw@b:4222", "nats.url: must not contain a user, a password"},
		"server password": {"https://CyTu.be/", "https://u:pw@cytu.be", "channel.server: a value that may contain"},
		"server query":    {"https://CyTu.be/", "https://cytu.be/?password=pw", "channel.server: a value that may contain"},
		"database URL": {"{sqlite: {path: /data/rosey.db}}", "{postgres: {urlFile: 'postgres://u:pw@h/db'}}",
			"database.postgres.urlFile: a value that may contain a password, expected the path of a file"},
		"database URL with a query": {"{sqlite: {path: /data/rosey.db}}",
			"{postgres: {urlFile: 'postgres://h/db?user=u&password=pw'}}", "urlFile: a value that may contain a password"},
		"connection string": {"{sqlite: {path: /data/rosey.db}}", "{postgres: {urlFile: 'host=h Password=pw'}}",
			"urlFile: a value that may contain a password"},
		"base path": {"logLevel: debug", "web: {basePath: rosey}",
			`web.basePath: "rosey", expected a path that begins`},
		"people": {"logLevel: debug", "web: {people: all}",
			`web.people: "all", expected one of public, tokensOnly`},
		"prefix":            {"mine", "a.b", `nats.subjectPrefix: "a.b", expected one token`},
		"prefix letters":    {"mine", "kino/1", `nats.subjectPrefix: "kino/1", expected one token of at most 128 letters`},
		"prefix underscore": {"mine", "_INBOX", `nats.subjectPrefix: "_INBOX", expected one token`},
		"address":           {"127.0.0.1:9", "9", `http.address: "9", expected [host]:port`},
		"command prefix":    {"logLevel: debug", "commands: {prefix: /a}", `commands.prefix: "/a", expected 1 to 5`},
		"line length":       {"name: movienight", "name: m, maxMessageLength: 39", "39, expected 0 or 40 to 1000"},
		"line length long":  {"name: movienight", "name: m, maxMessageLength: 1001", "1001, expected 0 or 40 to 1000"},
		"cooldown":          {"logLevel: debug", "commands: {cooldownSeconds: -1}", "cooldownSeconds: -1, expected 0 to"},
		"cooldown as text":  {"logLevel: debug", "commands: {cooldownSeconds: a}", "text, expected a whole number"},
		"switch":            {"logLevel: debug", "commands: {pm: 1}", "commands.pm: a number, expected true or false"},
		"log level":         {"debug", "loud", `logLevel: "loud", expected one of debug, info, warn, error`},
		"no store":          {"{sqlite: {path: /data/rosey.db}}", "{}", "database: expected one of sqlite and postgres"},
		"no path":           {"{path: /data/rosey.db}", "{}", "database.sqlite.path: required"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse([]byte(strings.Replace(full, test.old, test.new, 1)), status.DatabaseComponent)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v, want it to contain %q", err, test.want)
			}
			if strings.Contains(err.Error(), "pw") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

// Secrets in NATS URLs appear in no error, however the URL is written.
func TestSecretsInNATSURLsAreNotShown(t *testing.T) {
	for _, url := range []string{
		"nats://u:hush@n", "nats://hush@n", "nats://u:1,hush@n", "nats://u:hush,1@n", "nats://u:1,hush,2@n", "nats://u:hush",
		"nats://n?password=hush", "nats://n/?token=hush", "nats://n:4222/hush", "nats://n#hush", "nats://n,nats://u:hush@m",
		"u:hush@n", "http://u:hush@n", "nats://u:h/hush@n", "nats://u:%hush@n", "nats://n?password=1,hush",
		"nats://n, hush@m",
	} {
		_, err := config.Sources{Flags: map[string]string{
			"channel.name": "m", "nats.url": url, "database.sqlite.path": "/data/rosey.db",
		}}.Load(status.DatabaseComponent)
		if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "nats.url") {
			t.Errorf("%s: error is %v", url, err)
		}
	}
}

func TestParseReportsEverythingAtOnce(t *testing.T) {
	_, err := config.Parse([]byte(`{}`), status.DatabaseComponent)
	for _, want := range []string{"channel.name", "nats.url", "database:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want it to name %s", err, want)
		}
	}
}

func TestReadSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	if _, err := config.ReadSecret(path); !errors.Is(err, config.ErrSecretAbsent) {
		t.Errorf("absent file: %v", err)
	}
	for content, want := range map[string]string{"pw\n": "pw", "p w \r\n": "p w ", "pw": "pw"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := config.ReadSecret(path); err != nil || got != want {
			t.Errorf("ReadSecret of %q = %q, %v; want %q", content, got, err, want)
		}
	}
	if err := os.WriteFile(path, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadSecret(path); !errors.Is(err, config.ErrSecretAbsent) {
		t.Errorf("empty file: %v", err)
	}
}
