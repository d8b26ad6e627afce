package config_test

import (
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// base is a configuration that each test completes.
const base = "channel: {name: m}\nnats: {url: \"nats://n\"%}\n"

func TestRequirementsOfModes(t *testing.T) {
	tests := map[string]struct {
		component   status.Component
		nats, other string
		want        string // empty: no error
	}{
		"direct without NATS": {status.BotComponent, "-", "mode: direct\ndatabase: {sqlite: {path: /d}}", ""},
		"direct without a store": {
			status.BotComponent, "-", "mode: direct", "database: expected one of sqlite and postgres",
		},
		"NATS mode without NATS": {status.BotComponent, "-", "", "nats.url: required"},
		"no such mode":           {status.BotComponent, "", "mode: both", `mode: "both", expected one of nats, direct`},
		"two stores": {
			status.DatabaseComponent, "", "database: {sqlite: {path: /d}, postgres: {urlFile: /u}}",
			"database: both sqlite and postgres",
		},
		"postgres": {status.DatabaseComponent, "", "database: {postgres: {urlFile: /u}}", ""},
		"postgres without a file": {
			status.DatabaseComponent, "", "database: {postgres: {}}", "database.postgres.urlFile: \"\", expected the path",
		},
		"fallback without postgres": {
			status.BotComponent, "", "database: {directFallback: true}", "database.directFallback: needs database.postgres",
		},
		"standby": {status.BotComponent, "", "standby: true\naccount: {username: R}", ""},
		"standby file without an account": {
			status.BotComponent, "", "standbyFile: /etc/rosey/standby", "standbyFile: needs account.username",
		},
		"standby without an account": {
			status.BotComponent, "", "standby: true", "standby: needs account.username",
		},
		"standby without JetStream": {
			status.BotComponent, ", jetStream: {mode: never}", "standby: true\naccount: {username: R}",
			"standby: needs JetStream",
		},
		"too many replicas": {
			status.BotComponent, ", jetStream: {replicas: 6}", "", "nats.jetStream.replicas: 6, expected 1 to 5",
		},
		"age without a unit": {
			status.BotComponent, ", jetStream: {maxAge: \"72\"}", "", `nats.jetStream.maxAge: "72", expected a duration`,
		},
		"retention too short": {
			status.DatabaseComponent, "", "database: {sqlite: {path: /d}, retention: {chat: 59m}}",
			`database.retention.chat: "59m", expected a duration of at least 1h`,
		},
		"people retained too briefly": {
			status.DatabaseComponent, "", "database: {sqlite: {path: /d}, retention: {people: 1m}}",
			`database.retention.people: "1m", expected a duration of at least 1h`,
		},
		"limit too low": {
			status.DatabaseComponent, "", "database: {sqlite: {path: /d}, limits: {textBytes: 10}}",
			"database.limits.textBytes: 10, expected 1024 to 65536",
		},
		"limit as a text": {
			status.DatabaseComponent, "", "database: {sqlite: {path: /d}, limits: {kvBytes: 1Mi}}",
			"database.limits.kvBytes: text, expected a whole number",
		},
		"retention forever": {
			status.DatabaseComponent, "", "database: {sqlite: {path: /d}, retention: {chat: forever}}", "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(base, "%", test.nats, 1) + test.other
			if test.nats == "-" {
				text = "channel: {name: m}\n" + test.other
			}
			_, err := config.Parse([]byte(text), test.component)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("error is %v, want none", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error is %v, want it to contain %q", err, test.want)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[config.Duration]time.Duration{"90m": 90 * time.Minute, config.Forever: -1, "": 0} {
		if got := text.Time(); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}
