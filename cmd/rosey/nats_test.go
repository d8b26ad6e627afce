package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/natsauth"
)

func TestNATSPermissionsFormats(t *testing.T) {
	code, out, stderr := call(t, "nats", "permissions", "--prefix", "movies", "--role", "db,cli", "--format", "json")
	var printed map[string]natsauth.Permissions
	if err := json.Unmarshal([]byte(out), &printed); code != exit.Clean || err != nil || len(printed) != 2 {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, stderr)
	}
	if printed["db"].Responses.Max != 1 || printed["cli"].Subscribe.Deny[0] != "> >" {
		t.Errorf("%+v", printed)
	}
	code, out, stderr = call(t, "nats", "permissions", "--role", "bot+db", "--format", "nsc")
	for _, want := range []string{
		"nsc add user --account 'rosey' --name 'bot_db' \\\n", "--allow-pub '$KV.rosey_locks.>'",
		"--allow-sub 'rosey.db.> rosey_db'", "--allow-pub-response=1 --response-ttl 70s\n",
	} {
		if code != exit.Clean || !strings.Contains(out, want) {
			t.Errorf("no %q: exit code %d, %s%s", want, code, out, stderr)
		}
	}
	_, automatic, _ := call(t, "nats", "permissions")
	_, manual, _ := call(t, "nats", "permissions", "--provisioning", "manual")
	if strings.Contains(automatic, `user: "admin"`) || !strings.Contains(manual, `user: "admin"`) {
		t.Error("only with manual provisioning is there an administrator")
	}
}

// A server must accept what is printed for its configuration.
func TestNATSPermissionsForServerConf(t *testing.T) {
	_, out, _ := call(t, "nats", "permissions", "--prefix", "movies")
	for _, name := range []string{"BOT_PASSWORD", "DB_PASSWORD", "CLI_PASSWORD", "WEB_PASSWORD"} {
		t.Setenv(name, "hush-hush")
	}
	file := filepath.Join(t.TempDir(), "server.conf")
	if err := os.WriteFile(file, []byte("authorization {\n"+out+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	configured, err := server.ProcessConfigFile(file)
	if err != nil || len(configured.Users) != 4 {
		t.Fatalf("%v, %v", configured, err)
	}
}

// pluginsConfig has a plugin that is built in, and one that is not.
const pluginsConfig = `channel: {name: MovieNight}
nats: {subjectPrefix: movies}
plugins:
- {name: dice, builtin: dice}
- {name: quotes, builtin: quotes, grants: {events: [message], state: [users]}}
- {name: weather, grants: {say: true, queue: true, act: [{verb: playlist.add, rank: 2}]}}
`

// The permissions of plugins are printed from a configuration in all formats, and a server accepts them.
func TestNATSPermissionsOfPlugins(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rosey.yaml")
	if err := os.WriteFile(file, []byte(pluginsConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, stderr := call(t, "nats", "permissions", "--config", file, "--role", "plugin", "--format", "json")
	var printed map[string]natsauth.Permissions
	if err := json.Unmarshal([]byte(out), &printed); code != exit.Clean || err != nil || len(printed) != 2 {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, stderr)
	}
	const of = "movies.plugin.movienight."
	for user, want := range map[string][]string{
		"plugins": {
			of + "dice.out.say", of + "quotes.out.say", "movies.db.kv.movienight.dice.*", of + "quotes.out.state.users",
		},
		"plugin_weather": {of + "weather.out.say", of + "weather.out.queue", of + "weather.out.act.playlist.add"},
	} {
		for _, subject := range want {
			if !slices.Contains(printed[user].Publish.Allow, subject) {
				t.Errorf("%s may not publish to %s: %v", user, subject, printed[user].Publish.Allow)
			}
		}
	}
	subscribe := printed["plugins"].Subscribe.Allow
	for _, want := range []string{
		of + "dice.in.call.> dice", of + "quotes.in.cancel", "movies.events.cytube.movienight.message quotes",
		"$SRV.INFO.movies_movienight_dice", "_INBOX_movies_plugin_movienight_dice.>",
	} {
		if !slices.Contains(subscribe, want) {
			t.Errorf("plugins may not subscribe to %s: %v", want, subscribe)
		}
	}
	_, out, _ = call(t, "nats", "permissions", "--config", file, "--role", "plugin", "--format", "nsc")
	for _, want := range []string{
		"nsc edit signing-key --account 'movies' --sk generate --role 'plugin_weather' \\\n", "  --allow-pub 'movies.plugin.",
		"nsc add user --account 'movies' --name 'plugin_weather' -K 'plugin_weather'\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q: %s", want, out)
		}
	}
	_, out, _ = call(t, "nats", "permissions", "--config", file)
	for _, name := range []string{"BOT", "DB", "CLI", "WEB", "PLUGINS", "PLUGIN_WEATHER"} {
		t.Setenv(name+"_PASSWORD", "hush-hush")
	}
	conf := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(conf, []byte("authorization {\n"+out+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	configured, err := server.ProcessConfigFile(conf)
	if err != nil || len(configured.Users) != 6 {
		t.Fatalf("%v, %v", configured, err)
	}
	if !strings.Contains(out, "# plugin dice in MovieNight, quotes in MovieNight\n") {
		t.Errorf("it does not say what the users are for: %s", out)
	}
}

func TestNATSCommandsNameTheWrongFlag(t *testing.T) {
	for _, test := range [][2]string{
		{"permissions --prefix a.b", "nats.subjectPrefix"},
		{"permissions --role bot+king", `--role: "king", expected bot, db, cli, web, plugin, admin`},
		{"permissions --role plugin", "--role: plugin, expected plugins in the configuration"},
		{"permissions --role bot+plugin", `--role: "plugin", expected bot`},
		{"permissions --channel a --plugins [{name:X}]", "plugins"},

		{"permissions --format yaml", `--format: "yaml", expected server.conf, nsc or json`},
		{"permissions --provisioning mine", "nats.jetStream.provisioning"},
		{"issue --for jwt --dir x", "--file: expected"},
		{"issue -f x --dir x", `--for: "", expected server.conf or jwt`},
		{"issue -f x --for jwt", "--dir: expected"},
		{"issue -f x --for jwt --dir x --expires -1h", "--expires"},
		{"issue -f x --for server.conf --dir x --expires 1h", "--expires: expected --for jwt"},
		{"issue -f x --for jwt --dir x --expires 1h --renew-before 2h", "--renew-before: expected less"},
		{"issue -f absent.yaml --for jwt --dir x", "absent.yaml"},
		{"", "nats: expected permissions, issue, create, list or remove"},
	} {
		arguments, want := test[0], test[1]
		t.Run(arguments, func(t *testing.T) {
			t.Chdir(t.TempDir())
			code, out, stderr := call(t, append([]string{"nats"}, strings.Fields(arguments)...)...)
			if code == exit.Clean || out != "" || !strings.Contains(stderr, want) {
				t.Errorf("exit code %d, %q %q; want %q", code, out, stderr, want)
			}
			if _, err := os.Stat("x"); err == nil {
				t.Error("a directory was created")
			}
		})
	}
}

// Nothing of a file with a mistake is issued.
func TestNATSIssueAppliesNothingOfABadFile(t *testing.T) {
	t.Chdir(t.TempDir())
	content := strings.ReplaceAll(issuedBots, "mode: %s, provisioning: %s", "mode: Auto") + "---\nkind: Pod\n"
	if err := os.WriteFile("bots.yaml", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := call(t, "nats", "issue", "-f", "bots.yaml", "--for", "jwt", "--dir", "issued")
	if code != exit.Usage || !strings.Contains(stderr, `bots.yaml: document 2: kind: "Pod"`) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if _, err := os.Stat("issued"); err == nil {
		t.Error("the directory was created")
	}
}

// Secrets are in files for their owner alone, and nowhere else.
func TestNATSIssueShowsNoSecret(t *testing.T) {
	for _, target := range []string{"server.conf", "jwt"} {
		t.Run(target, func(t *testing.T) {
			t.Chdir(t.TempDir())
			content := strings.ReplaceAll(issuedBots, "mode: %s, provisioning: %s", "mode: Auto, provisioning: Manual")
			if err := os.WriteFile("bots.yaml", []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			var output string
			for _, more := range [][]string{nil, {"--rotate", "films/movienight"}} {
				code, out, stderr := call(t, append([]string{"nats", "issue", "-f", "bots.yaml", "--for", target,
					"--dir", "issued"}, more...)...)
				if code != exit.Clean {
					t.Fatalf("exit code %d, %s", code, stderr)
				}
				output += out + stderr
			}
			if !strings.Contains(output, "user rosey_films_movienight_bot: rotated") {
				t.Errorf("output: %s", output)
			}
			secrets := 0
			for _, secret := range secretPattern.FindAllString(readState(t, "issued"), -1) {
				secrets++
				if strings.Contains(output, strings.Trim(secret, `"`)) {
					t.Errorf("a secret is shown in %s", output)
				}
			}
			if secrets < 4 {
				t.Errorf("%d secrets in the state, so the test shows nothing", secrets)
			}
		})
	}
}

// secretPattern matches passwords, hashes, seeds and JWTs.
var secretPattern = regexp.MustCompile(`"([A-Z2-7]{26}|\$2a\$[^"]+|S[OAU][A-Z2-7]{50,}|eyJ[^"]+)"`)

func readState(t *testing.T, dir string) string {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestNATSIssueRefusesADirectoryOfOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bots.yaml")
	content := strings.ReplaceAll(issuedBots, "mode: %s, provisioning: %s", "mode: Auto, provisioning: Manual")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	refused := func(dir, want string) {
		t.Helper()
		code, _, stderr := call(t, "nats", "issue", "-f", file, "--for", "jwt", "--dir", dir)
		if code != exit.Failure || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, %s, want %q", code, stderr, want)
		}
	}
	refused(dir, "chmod 700")
	linked, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(os.Chmod(linked, 0o700), os.Symlink(outside, filepath.Join(linked, "lock"))); err != nil {
		t.Fatal(err)
	}
	refused(linked, "locking the directory")
	if _, err := os.Lstat(outside); err == nil {
		t.Error("a file was created where a link points to")
	}
	if os.Geteuid() != 0 {
		return // only root can write into a directory that belongs to somebody else alone
	}
	another := t.TempDir()
	if err := errors.Join(os.Chmod(another, 0o700), os.Chown(another, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	refused(another, "belongs to another user")
}

func TestDocumentedServerConfiguration(t *testing.T) {
	const file = "../../docs/nats/server.conf"
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	explanation, documented, found := strings.Cut(string(content), "\naccounts {\n")
	if !found {
		t.Fatalf("%s: no accounts", file)
	}
	explanation, documented = explanation+"\n", "accounts {\n"+documented
	accounts := documentedAccounts(t)
	generated := "accounts {\n" + natsauth.ServerAccounts(accounts) + "}\n"
	for _, account := range accounts {
		for _, user := range account.Users {
			t.Setenv(user.Variable, "hush-hush")
		}
	}
	configuredServer(t, file).ClientAs(accounts[1].Users[0].Name, "hush-hush")
	switch {
	case *update:
		if err := os.WriteFile(file, []byte(explanation+generated), 0o600); err != nil {
			t.Fatal(err)
		}
	case documented != generated:
		t.Errorf("%s differs from `rosey nats permissions`, use -update", file)
	}
}

// documentedPlugins are the plugins of documentedAccounts.
var documentedPlugins = map[string][]config.Plugin{"movienight": {
	{Name: "dice", Builtin: "dice"},
	{Name: "weather", Grants: &config.PluginGrants{
		Events: []string{"message"}, Say: true, Act: []config.ActGrant{{Verb: "playlist.add", Rank: new(2.0)}},
	}},
}}

// documentedAccounts are those of docs/nats/server.conf.
func documentedAccounts(t *testing.T) (accounts []natsauth.ServerAccount) {
	t.Helper()
	for _, name := range []string{"movienight", "lounge"} {
		prefix := "rosey_default_" + name
		subjects, err := bus.NewSubjects(prefix)
		if err != nil {
			t.Fatal(err)
		}
		account := natsauth.ServerAccount{
			Name: prefix, About: "RoseyBot default/" + name, MaxFile: 256 << 20,
		}
		for _, role := range natsauth.Roles() {
			account.Users = append(account.Users, natsauth.ServerUser{
				Name: prefix + "_" + string(role), Variable: strings.ToUpper(name + "_" + string(role) + "_PASSWORD"),
				Roles: []bus.Role{role}, Options: natsauth.Options{Subjects: subjects, Standby: true},
			})
		}
		plugins, err := natsauth.PluginUsers(name, documentedPlugins[name])
		if err != nil {
			t.Fatal(err)
		}
		for _, user := range pluginUsers(natsauth.Options{Subjects: subjects}, plugins) {
			user.Variable = strings.ToUpper(name) + "_" + user.Variable
			user.Name = prefix + "_" + user.Name
			account.Users = append(account.Users, user)
		}
		accounts = append(accounts, account)
	}
	return accounts
}
