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

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedenceOfSources(t *testing.T) {
	loaded, err := config.Sources{
		File: write(t, "bot.yaml", full),
		Environment: []string{
			"ROSEY_CHANNEL_NAME=fromenv", "ROSEY_ACCOUNT_USERNAME=Envy", "ROSEY_LOG_LEVEL=", "ROSEY_NATS_SUBJECT_PREFIX=env",
			"ROSEY_COMMANDS_CHAT=false", "ROSEY_COMMANDS_COOLDOWN_SECONDS=8", "PATH=/bin",
		},
		Flags: map[string]string{"channel.name": "fromflag", "http.address": ":1", "commands.cooldownSeconds": "9"},
	}.Load(status.BotComponent)
	if err != nil {
		t.Fatal(err)
	}
	want := withDefaults(config.Config{
		Channel:  config.Channel{Server: "https://cytu.be", Name: "fromflag", PasswordFile: "/c/password"},
		Account:  &config.Account{Username: "Envy", PasswordFile: "/a/password"},
		NATS:     config.NATS{URL: "nats://a:4222,nats://b:4222", SubjectPrefix: "env"},
		Database: config.Database{SQLite: &config.SQLite{Path: "/data/rosey.db"}},
		Commands: config.Commands{
			Chat: new(false), PM: new(true), Prefix: "!", CooldownSeconds: new(9), ChannelCooldownSeconds: new(0)},
		HTTP:     config.HTTP{Address: ":1"},
		LogLevel: "debug",
	})
	if diff := cmp.Diff(want, loaded.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if len(loaded.Warnings) != 0 {
		t.Errorf("warnings %v", loaded.Warnings)
	}
}

func TestOptionalFile(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent.yaml")
	sources := config.Sources{
		File: absent, Optional: true,
		Flags: map[string]string{"channel.name": "m", "nats.url": "nats://n", "account.username": "Rosey"},
	}
	loaded, err := sources.Load(status.BotComponent)
	if err != nil || loaded.File != "" || loaded.Account == nil || loaded.Account.Username != "Rosey" {
		t.Errorf("%+v, %v", loaded, err)
	}
	delete(sources.Flags, "channel.name")
	if _, err := sources.Load(status.BotComponent); err == nil || !strings.Contains(err.Error(), absent) {
		t.Errorf("the error does not say that there is no file: %v", err)
	}
	sources.Optional = false
	if _, err := sources.Load(status.BotComponent); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a required file is absent: %v", err)
	}
}

func TestErrorsNameTheOrigin(t *testing.T) {
	file := write(t, "bot.yaml", full)
	for name, test := range map[string]struct {
		sources config.Sources
		want    string
	}{
		"file": {config.Sources{Flags: map[string]string{"nats.url": "nats://n"}}, `channel.name: "", expected 1 to 30`},
		"variable": {
			config.Sources{File: file, Environment: []string{"ROSEY_LOG_LEVEL=loud"}},
			`logLevel (from ROSEY_LOG_LEVEL): "loud"`,
		},
		"flag": {
			config.Sources{File: file, Flags: map[string]string{"http.address": "9"}},
			`http.address (from --http): "9"`,
		},
		"switch": {config.Sources{File: file, Environment: []string{"ROSEY_COMMANDS_PM=x"}}, `(from ROSEY_COMMANDS_PM): "x"`},
		"flag over variable": {config.Sources{
			File: file, Environment: []string{"ROSEY_LOG_LEVEL=info"}, Flags: map[string]string{"logLevel": "loud"},
		}, `logLevel (from --log-level): "loud"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.sources.Load(status.BotComponent)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want it to contain %s", err, test.want)
			}
		})
	}
}

func TestUnknownVariables(t *testing.T) {
	loaded, err := config.Sources{
		File: write(t, "bot.yaml", full),
		Environment: []string{
			"ROSEY_CHANEL_NAME=x", "ROSEY_ACCOUNT_PASSWORD=secret", "ROSEY_NATS_SERVICE_HOST=10.0.0.1",
			"ROSEY_NATS_PORT=tcp://x",
			"ROSEY_NATS_PORT_4222_TCP_ADDR=10.0.0.1", config.FileVariable + "=x",
		},
	}.Load(status.BotComponent)
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Warning{
		{Key: "ROSEY_ACCOUNT_PASSWORD", Text: "an environment variable without effect: a password is read from the file " +
			"that ROSEY_ACCOUNT_PASSWORD_FILE names"},
		{Key: "ROSEY_CHANEL_NAME", Text: "an environment variable without effect: there is no such setting"},
	}
	if diff := cmp.Diff(want, loaded.Warnings); diff != "" {
		t.Error(diff)
	}
}

func TestRequiredKeys(t *testing.T) {
	for component, want := range map[status.Component]string{
		status.BotComponent:      "channel.name nats.url",
		status.DatabaseComponent: "channel.name nats.url database",
		status.RunComponent:      "channel.name",
		status.WebComponent:      "channel.name nats.url",
		status.CLIComponent:      "",
	} {
		_, err := config.Sources{}.Load(component)
		for _, key := range []string{"channel.name", "nats.url", "database"} {
			if missing := err != nil && strings.Contains(err.Error(), key+": "); missing != strings.Contains(want, key) {
				t.Errorf("%s: %v, want %q", component, err, want)
			}
		}
	}
}

func TestReadSecretInsideAFile(t *testing.T) {
	file := write(t, "config.json", `{"platforms":[{"user":["Rosey","pw"],"a/b":"slash","empty":"","n":5}]}`)
	for pointer, want := range map[string]string{"/platforms/0/user/1": "pw", "/platforms/0/a~1b": "slash"} {
		if got, err := config.ReadSecret(file + "#" + pointer); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", pointer, got, err, want)
		}
	}
	for _, pointer := range []string{
		"/platforms/0/user/2", "/platforms/-1", "/platforms/x/y/z", "/platforms/0/empty", "/no",
	} {
		if _, err := config.ReadSecret(file + "#" + pointer); !errors.Is(err, config.ErrSecretAbsent) {
			t.Errorf("%s: %v", pointer, err)
		}
	}
	_, err := config.ReadSecret(file + "#/platforms/0/n")
	if err == nil || !strings.Contains(err.Error(), "expected text") {
		t.Errorf("a number: %v", err)
	}
	broken := write(t, "config.json", "{{pw}}: [\n")
	if _, err := config.ReadSecret(broken + "#/a"); err == nil || strings.Contains(err.Error(), "pw") {
		t.Errorf("a broken file: %v", err)
	}
}
