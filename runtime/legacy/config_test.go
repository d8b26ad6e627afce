package legacy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/legacy"
	"rosey.dev/rosey/runtime/status"
)

// v2 has every section of a Rosey v2 file.
const v2 = `{
  "version": "2.0",
  "nats": {"url": "nats://localhost:4222", "connection_timeout": 5, "max_reconnect_attempts": -1, "reconnect_delay": 2},
  "database": {"path": "data/bot_data.db", "run_as_service": true},
  "platforms": [
    {"type": "cytube", "name": "primary", "enabled": true, "domain": "https://cytu.be",
     "channel": ["movienight", "open-sesame"], "user": ["Rosey", "correct-horse"],
     "restart_delay": 5.0, "response_timeout": 1},
    {"domain": "https://other.example", "channel": "second", "user": ["Other", "battery-staple"]}
  ],
  "shell": {"enabled": false, "host": "localhost", "port": 5555},
  "logging": {"level": "WARNING", "chat_log_file": "chat.log", "media_log_file": null},
  "llm": {"enabled": false, "openai": {"api_key": "sk-staple", "timeout": 30},
          "triggers": {"commands": ["!ai", "!ask"], "keywords": [{"phrases": ["rosey"], "probability": 0}]}},
  "plugins": {"enabled": true, "directory": "plugins/", "auto_reload": false},
  "proxy": "localhost:1080", "retry": 0, "retry_delay": 1, "nonsense": 1
}`

// writeConfig writes a configuration file and returns its path.
func writeConfig(t testing.TB, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func loadConfig(file string, component status.Component) (config.Loaded, error) {
	return config.Sources{File: file, Convert: legacy.ConvertConfig}.Load(component)
}

func TestConvertConfig(t *testing.T) {
	file := writeConfig(t, v2)
	for _, component := range []status.Component{
		status.BotComponent, status.DatabaseComponent, status.RunComponent, status.CLIComponent,
	} {
		loaded, err := loadConfig(file, component)
		if err != nil {
			t.Fatalf("%s: %v", component, err)
		}
		address := ":8080"
		if component == status.RunComponent {
			address = config.DefaultRunHTTPAddress
		}
		want := config.Config{
			Channel: config.Channel{
				Server: "https://cytu.be", Name: "movienight", PasswordFile: file + "#/platforms/0/channel/1",
			},
			Account: &config.Account{Username: "Rosey", PasswordFile: file + "#/platforms/0/user/1"},
			Mode:    config.ModeNATS,
			NATS: config.NATS{
				URL: "nats://localhost:4222", SubjectPrefix: "rosey",
				JetStream: config.JetStream{Mode: config.JetStreamAuto, Replicas: 1, MaxAge: "72h", MaxBytes: 64 << 20,
					MaxMessageBytes: 128 << 10, Provisioning: config.ProvisioningAutomatic},
			},
			Database: config.Database{
				SQLite: &config.SQLite{Path: "data/bot_data.rosey.db"},
				Retention: config.Retention{
					Chat: "150h", UserCounts: "forever", Media: "2160h", Outbound: "168h", People: "forever",
				},
				Limits: config.Limits{}.WithDefaults(),
				Backup: config.Backup{Every: "24h", Keep: 7},
			},
			Web:  config.Web{Listen: ":8081", People: "public", BasePath: "/"},
			HTTP: config.HTTP{Address: address},
			Commands: config.Commands{
				Chat: new(true), PM: new(false), Prefix: "!", CooldownSeconds: new(5), ChannelCooldownSeconds: new(0)},
			LogLevel: "warn",
		}
		if diff := cmp.Diff(want, loaded.Config); diff != "" || !loaded.Converted {
			t.Errorf("%s (-want +got):\n%s", component, diff)
		}
		for source, password := range map[string]string{
			loaded.Account.PasswordFile: "correct-horse", loaded.Channel.PasswordFile: "open-sesame",
		} {
			if got, err := config.ReadSecret(source); err != nil || got != password {
				t.Errorf("%s: %q, %v", source, got, err)
			}
		}
	}
}

func TestConvertConfigWarnings(t *testing.T) {
	loaded, err := loadConfig(writeConfig(t, v2), status.BotComponent)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, warning := range loaded.Warnings {
		keys = append(keys, warning.Key)
	}
	want := strings.Fields(`database.path database.run_as_service
		llm logging.chat_log_file logging.media_log_file
		nats.connection_timeout nats.max_reconnect_attempts nats.reconnect_delay nonsense
		platforms[0].name platforms[0].response_timeout platforms[0].restart_delay platforms[0].type
		platforms[1].channel platforms[1].domain platforms[1].user
		plugins.auto_reload plugins.directory plugins.enabled proxy retry retry_delay
		shell.host shell.port`)
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	text := fmt.Sprint(loaded.Warnings)
	for _, secret := range []string{"horse", "staple", "sesame"} {
		if strings.Contains(text, secret) {
			t.Errorf("a warning shows a secret: %s", text)
		}
	}
}

func TestConvertConfigUserAndChannel(t *testing.T) {
	for name, test := range map[string]struct{ old, new, username, passwordFile, channelPasswordFile string }{
		"guest":          {`["Rosey", "correct-horse"]`, `["Rosey"]`, "Rosey", "", "#/platforms/0/channel/1"},
		"empty password": {`["Rosey", "correct-horse"]`, `["Rosey", ""]`, "Rosey", "", "#/platforms/0/channel/1"},
		"plain text":     {`["Rosey", "correct-horse"]`, `"Rosey"`, "", "", "#/platforms/0/channel/1"},
		"nobody":         {`["Rosey", "correct-horse"]`, `null`, "", "", "#/platforms/0/channel/1"},
		"open channel":   {`["movienight", "open-sesame"]`, `"movienight"`, "Rosey", "#/platforms/0/user/1", ""},
		"without scheme": {`https://cytu.be`, `cytu.be`, "Rosey", "#/platforms/0/user/1", "#/platforms/0/channel/1"},
		"no URL": {
			`"url": "nats://localhost:4222", `, "", "Rosey", "#/platforms/0/user/1", "#/platforms/0/channel/1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeConfig(t, strings.Replace(v2, test.old, test.new, 1))
			loaded, err := loadConfig(file, status.BotComponent)
			if err != nil {
				t.Fatal(err)
			}
			account := config.Account{}
			if loaded.Account != nil {
				account = *loaded.Account
			}
			got := []string{account.Username, account.PasswordFile, loaded.Channel.PasswordFile, loaded.Channel.Name}
			want := []string{test.username, test.passwordFile, test.channelPasswordFile, "movienight"}
			for i := range got {
				got[i] = strings.TrimPrefix(got[i], file)
			}
			if diff := cmp.Diff(want, got); diff != "" || loaded.Channel.Server != "https://cytu.be" {
				t.Errorf("server %s (-want +got):\n%s", loaded.Channel.Server, diff)
			}
		})
	}
}

func TestConvertConfigErrors(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"channel name":    {`"movienight"`, `"movie night"`, `channel.name (from platforms[0].channel): "movie night"`},
		"channel type":    {`["movienight", "open-sesame"]`, `{"open-sesame":1}`, `platforms[0].channel: a section`},
		"no channel":      {`"channel": ["movienight", "open-sesame"],`, ``, `platforms[0].channel: required`},
		"user type":       {`["Rosey", "correct-horse"]`, `["Rosey", 5]`, `platforms[0].user[1]: a number, expected text`},
		"too many":        {`["Rosey", "correct-horse"]`, `["a","b","correct-horse"]`, `platforms[0].user: a list, expected`},
		"shell":           {`"shell": {"enabled": false`, `"shell": {"enabled": 1`, `shell.enabled: a number, expected true`},
		"disabled":        {`"enabled": true, "domain"`, `"enabled": false, "domain"`, `platforms[0].enabled: false`},
		"domain":          {`"https://cytu.be"`, `17`, `platforms[0].domain: a number, expected text`},
		"level":           {`"WARNING"`, `"LOUD"`, `logLevel (from logging.level): "loud", expected one of debug`},
		"NATS":            {`"nats://localhost:4222"`, `"http://x"`, `nats.url (from nats.url): "http://x"`},
		"another version": {`"2.0"`, `"1.0"`, `version: expected none, or "2.0" in a configuration file of Rosey v2`},
		"number version":  {`"2.0"`, `2.0`, `version: a number, expected "2.0", a text in quotes`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(writeConfig(t, strings.Replace(v2, test.old, test.new, 1)), status.BotComponent)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want it to contain %s", err, test.want)
			}
			for _, secret := range []string{"horse", "sesame", "staple"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows a secret: %v", err)
				}
			}
		})
	}
}

// Keys that begin with an underscore are comments in Rosey's own sample, wherever they are.
func TestCommentsOfRoseyV2AreNotReported(t *testing.T) {
	loaded, err := loadConfig(writeConfig(t, `{"_note": "n", "_comment": "c", "version": "2.0",
  "nats": {"_comment": "c", "url": "nats://n"}, "shell": {"_comment": {"more": 1}, "enabled": true},
  "platforms": [{"_comment": ["c"], "channel": "m", "unknown": 1}], "llm": {"_comment": "c", "enabled": false}}`),
		status.BotComponent)
	if err != nil {
		t.Fatal(err)
	}
	want := "[llm: no effect: llm.enabled is not true, so the plugin llm does not run " +
		"platforms[0].unknown: no effect: not a key of Rosey v2]"
	if got := fmt.Sprint(loaded.Warnings); got != want {
		t.Errorf("warnings %s, want %s", got, want)
	}
}

// Other files of the Python Rosey are named, instead of each of their keys.
func TestOtherConfigurationsOfRoseyAreNamed(t *testing.T) {
	for content, want := range map[string]string{
		`{"domain": "https://cytu.be", "channel": "m", "user": ["u", "hush"], "db": "bot_data.db"}`: "Rosey version 1",
		`{"channel": "m", "user": ["u", "hush"]}`:                                                   "Rosey version 1",
		`{"version": 1, "channel": "m"}`:                                                            "migrate_config.py",
		`{"environment": "test", "cytube": {"password": "hush"}}`:                                   "a file for deployments",
		`{"config_version": "1.0", "bot": {}}`:                                                      "a file for deployments",
	} {
		_, err := loadConfig(writeConfig(t, content), status.BotComponent)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "no such key") ||
			strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", content, err)
		}
	}
}

// FuzzConvertConfig converts any file without a panic, and accepts none that lacks a required value.
func FuzzConvertConfig(f *testing.F) {
	f.Add(v2)
	for _, seed := range []string{`[[]]`, `{"0": 1}`, `[{"user": [null]}]`, `[{"channel": ["m", "p"]}, {}]`} {
		f.Add(`{"version":"2.0","platforms":` + seed + `,"llm":{"x":[{}]}}`)
	}
	f.Fuzz(func(t *testing.T, text string) {
		loaded, err := loadConfig(writeConfig(t, text), status.BotComponent)
		if err == nil && (loaded.Channel.Name == "" || loaded.NATS.URL == "") {
			t.Errorf("accepted: %+v", loaded)
		}
	})
}

// What of a language model becomes the plugin llm, and what does not, is named key by key, and no key of an API is
// shown.
func TestConvertConfigOfALanguageModel(t *testing.T) {
	for name, test := range map[string]struct {
		llm      string
		config   map[string]string // nil: there is no plugin
		warnings string            // keys
	}{
		"as little as possible": {`{"enabled": true}`, map[string]string{
			"endpoint": "http://localhost:11434/v1", "model": "llama3", "allowPrivate": "true", "maxTokens": "500",
			"contextLines": "10", "temperature": "0.7", "mentions": "false",
		}, "llm"},
		"all": {`{"enabled": true, "provider": "openai", "system_prompt_file": "p.txt", "max_context_messages": 20,
			"temperature": 1, "max_tokens": 50, "log_only": false, "extra": {"a": 1, "_b": 2},
			"openai": {"api_key": "sk-staple", "model": "small", "base_url": "https://api.example/v1/", "organization": "o",
				"timeout": 90},
			"ollama": {"base_url": "http://other"}, "triggers": {"enabled": true, "commands": ["!ai", "!bot"],
				"ambient_chat": {"enabled": true}, "keywords": [{"phrases": ["x"], "probability": 1}]}}`, map[string]string{
			"endpoint": "https://api.example/v1", "model": "small", "maxTokens": "50", "contextLines": "20", "temperature": "1",
			"mentions": "true", "timeout": "55s",
		}, `llm.extra.a llm.ollama.base_url llm.openai.api_key llm.openai.organization llm.system_prompt_file
			llm.triggers.ambient_chat.enabled llm.triggers.commands llm.triggers.keywords[0].phrases
			llm.triggers.keywords[0].probability llm`},
		"no mentions": {`{"enabled": true, "provider": "openrouter", "triggers": {"enabled": true, "direct_mention": false},
			"ollama": {"_note": 1}}`, map[string]string{
			"endpoint": "https://openrouter.ai/api/v1", "model": "anthropic/claude-3-haiku", "maxTokens": "500",
			"contextLines": "10", "temperature": "0.7", "mentions": "false",
		}, "llm"},
		"log only": {`{"enabled": true, "log_only": true, "openai": {"api_key": "sk-staple"}}`, nil, "llm.log_only"},
		"off":      {`{"openai": {"api_key": "sk-staple"}}`, nil, "llm"},
	} {
		t.Run(name, func(t *testing.T) {
			text := `{"version": "2.0", "platforms": [{"channel": "m"}], "nats": {"url": "nats://n"}, "llm": ` + test.llm + `}`
			loaded, err := loadConfig(writeConfig(t, text), status.RunComponent)
			if err != nil {
				t.Fatal(err)
			}
			var want []config.Plugin
			if test.config != nil {
				want = []config.Plugin{{Name: "llm", Builtin: "llm", Config: test.config}}
			}
			if diff := cmp.Diff(want, loaded.Plugins); diff != "" {
				t.Errorf("plugins (-want +got):\n%s", diff)
			}
			var keys []string
			for _, warning := range loaded.Warnings {
				keys = append(keys, warning.Key)
			}
			if diff := cmp.Diff(strings.Fields(test.warnings), keys); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if all := fmt.Sprint(loaded.Warnings); strings.Contains(all, "staple") {
				t.Errorf("a warning shows a secret: %s", all)
			}
		})
	}
	long := strings.Repeat("x", 17_000)
	for section, want := range map[string]string{
		`5`:                  "llm: a number, expected a section",
		`{"enabled": "yes"}`: "llm.enabled: text, expected true or false",
		`{"enabled": true, "provider": "sk-staple"}`:                "llm.provider: expected one of ollama, openai",
		`{"enabled": true, "max_tokens": "many"}`:                   "llm.max_tokens: text, expected a number",
		`{"enabled": true, "ollama": {"model": 5}}`:                 "llm.ollama.model: a number, expected text",
		`{"enabled": true, "ollama": []}`:                           "llm.ollama: a list, expected a section",
		`{"enabled": true, "triggers": {"enabled": 1}}`:             "llm.triggers.enabled: a number, expected true",
		`{"enabled": true, "ollama": {"base_url": "` + long + `"}}`: "expected at most 16384",
	} {
		text := `{"version": "2.0", "platforms": [{"channel": "m"}], "llm": ` + section + `}`
		_, err := loadConfig(writeConfig(t, text), status.RunComponent)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "staple") {
			t.Errorf("%.60s: %.300v, want %s", section, err, want)
		}
	}
}
