package config_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

func TestListsAndTablesNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ content, want string }{
		{"plugins: {name: dice}",
			"plugins: a section, expected a list"},
		{"plugins: [dice]",
			"plugins[0]: text, expected a section with keys"},
		{"plugins: [null]",
			"plugins[0]: expected a value"},
		{"plugins: [{builtin: dice}]",
			"plugins[0].name: required: 1 to 30 lower-case letters and digits"},
		{"plugins: [{name: Dice}]",
			`plugins[0].name: "Dice", expected 1 to 30 lower-case letters and digits`},
		{"plugins: [{name: a, nam: b}]",
			"plugins[0].nam: no such key, expected one of builtin, config, grants, name"},
		{"plugins: [{name: a, builtin: b}]",
			`plugins[0].builtin: "b", expected one of ` + strings.Join(config.BuiltinNames(), ", ")},
		{"plugins: [{name: a}, {name: a}]",
			`plugins[1].name: "a", expected a name that no other plugin has`},
		{"plugins: [{name: a, config: {max: 20}}]",
			"plugins[0].config.max: a number, expected text: put it in quotes"},
		{"plugins: [{name: a, config: {'a b': x}}]",
			"plugins[0].config.a b: expected as key 1 to 63 letters"},
		{"plugins: [{name: a, grants: {act: [{}]}}]",
			"plugins[0].grants.act[0].verb: required: one of playlist.add"},
		{"plugins: [{name: a, grants: {act: [{verb: kick, rank: -1}]}}]",
			"plugins[0].grants.act[0].rank: -1, expected 0 to 255"},
		{"plugins: [{name: a, grants: {state: [all]}}]",
			`plugins[0].grants.state[0]: "all", expected one of users, media`},
		{"plugins: [" + strings.Repeat("{name: a},", 20) + "{name: b}]",
			"plugins: 21 entries, expected at most 20"},
		{"commands: {ignore: bot}",
			"commands.ignore: text, expected a list"},
		{"commands: {ignore: [a b]}",
			`commands.ignore[0]: "a b", expected the name of a user`},
		{"commands: {ignore: [" + strings.Repeat("a,", 200) + "b]}",
			"commands.ignore: 201 entries, expected at most 200"},
		{"commands: {overrides: {Seen: {}}}",
			"commands.overrides.Seen: expected as key the name of a command"},
		{"commands: {overrides: {seen: {rank: high}}}",
			"commands.overrides.seen.rank: text, expected a number"},
		{"commands: {overrides: {seen: {name: a b}}}",
			`commands.overrides.seen.name: "a b", expected 1 to 30`},
		{"commands: {overrides: {seen: {cooldown: {userSeconds: 1.5}}}}",
			"userSeconds: a number, expected a whole number"},
		{"commands: {overrides: {dice.roll: {deny: ['']}}}",
			`commands.overrides.dice.roll.deny[0]: "", expected`},
		{"commands: {channelCooldownSeconds: -1}",
			"commands.channelCooldownSeconds: -1, expected 0 to 3600"},
	} {
		_, err := config.Parse([]byte("channel: {name: x}\nnats: {url: 'nats://a'}\n"+test.content), status.BotComponent)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.80s: %v, want %s", test.content, err, test.want)
		}
	}
}

func TestPluginsByFlagAndVariable(t *testing.T) {
	t.Parallel()
	sources := config.Sources{
		Environment: []string{"ROSEY_COMMANDS_IGNORE=[OtherBot]"},
		Flags: map[string]string{
			"channel.name": "x", "nats.url": "nats://a", "plugins": `[{name: dice, builtin: dice}]`,
			"commands.overrides": `{dice.roll: {rank: 1.5}}`,
		},
	}
	loaded, err := sources.Load(status.BotComponent)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]config.Plugin{{Name: "dice", Builtin: "dice"}}, loaded.Plugins); diff != "" {
		t.Error(diff)
	}
	if *loaded.Commands.Overrides["dice.roll"].Rank != 1.5 || loaded.Commands.Ignore[0] != "OtherBot" {
		t.Errorf("commands %+v", loaded.Commands)
	}
	sources.Flags["plugins"] = "dice"
	if _, err := sources.Load(status.BotComponent); err == nil ||
		!strings.Contains(err.Error(), `plugins (from --plugins): "dice", expected a list`) {
		t.Errorf("error %v", err)
	}
	sources.Flags["plugins"] = "[{nam: dice}]"
	if _, err := sources.Load(status.BotComponent); err == nil ||
		!strings.Contains(err.Error(), "plugins[0].nam (from --plugins): no such key") {
		t.Errorf("error %v", err)
	}
}

func TestVerbsAndThingsAreThoseOfTheBus(t *testing.T) {
	t.Parallel()
	var grants strings.Builder
	for _, verb := range bus.PluginVerbs {
		grants.WriteString("{verb: " + string(verb) + "},")
	}
	var things strings.Builder
	for _, thing := range bus.PluginThings {
		things.WriteString(string(thing) + ",")
	}
	plugins, err := config.ParsePlugins([]byte("[{name: a, grants: {act: [" + grants.String() + "], state: [" +
		things.String() + "]}}]"))
	if err != nil || len(plugins[0].Grants.Act) != len(bus.PluginVerbs) {
		t.Error(plugins, err)
	}
	for _, name := range config.BuiltinNames() {
		for _, grant := range config.BuiltinGrants(name).Act {
			if !strings.Contains(grants.String(), "{verb: "+grant.Verb+"}") {
				t.Errorf("%s: there is no verb %s", name, grant.Verb)
			}
		}
	}
	if bus.MaxPlugins != config.MaxPlugins {
		t.Errorf("%d and %d plugins", bus.MaxPlugins, config.MaxPlugins)
	}
}

// TestLiveFilesStayInForceWhileTheyAreInvalid edits the files of a running bot.
func TestLiveFilesStayInForceWhileTheyAreInvalid(t *testing.T) {
	t.Parallel()
	commands := filepath.Join(t.TempDir(), "commands.yaml")
	plugins := filepath.Join(t.TempDir(), "plugins.yaml")
	write := func(file, content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reader := config.NewLiveReader(config.Config{CommandsFile: commands, PluginsFile: plugins})
	expect := func(what string, inForce, changed bool, problem, prefix string, names ...string) {
		t.Helper()
		live, gotInForce, gotChanged, err := reader.Read()
		var got []string
		for _, plugin := range live.Plugins {
			got = append(got, plugin.Name)
		}
		if gotInForce != inForce || gotChanged != changed || live.Commands.Prefix != prefix || !cmp.Equal(got, names) {
			t.Errorf("%s: in force %t, changed %t, prefix %q, plugins %v", what, gotInForce, gotChanged, live.Commands.Prefix,
				got)
		}
		if problem == "" && err != nil || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
			t.Errorf("%s: error %v, want %q", what, err, problem)
		}
	}
	expect("no files", false, true, "commands.yaml", "")
	write(commands, "{prefix: '?'}")
	write(plugins, "")
	expect("an empty file", false, true, "plugins: nothing, expected a list", "?")
	write(plugins, "[{name: dice}]")
	expect("valid files", true, true, "", "?", "dice")
	expect("the same files", true, false, "", "?", "dice")
	write(plugins, "[{name: Dice}]")
	write(commands, "{prefix: '!'}")
	expect("an invalid list", true, true, "plugins[0].name", "!", "dice")
	live, _, changed, _ := reader.Read()
	if changed {
		t.Error("an invalid file is a change at every read")
	}
	sum := sha256.Sum256([]byte("[{name: dice}]"))
	if want := hex.EncodeToString(sum[:8]); live.PluginsHash != want {
		t.Errorf("hash %s of the plugins in force, want %s", live.PluginsHash, want)
	}
	write(plugins, "[]")
	expect("no plugins", true, true, "", "!")
	if live, _, _, _ := reader.Read(); !*live.Commands.Chat || *live.Commands.CooldownSeconds != 5 {
		t.Errorf("defaults are missing: %+v", live.Commands)
	}
}

func TestWithoutLiveFilesTheConfigurationIsInForce(t *testing.T) {
	t.Parallel()
	reader := config.NewLiveReader(config.Config{Plugins: []config.Plugin{{Name: "dice"}}})
	live, inForce, changed, err := reader.Read()
	if !inForce || !changed || err != nil || len(live.Plugins) != 1 || live.PluginsHash != "" {
		t.Errorf("%+v, in force %t, changed %t, %v", live, inForce, changed, err)
	}
	if _, _, changed, _ = reader.Read(); changed {
		t.Error("it changed")
	}
}

// Whatever viewers make a language model say, it is said and no more.
func TestTheLanguageModelActsOnNothing(t *testing.T) {
	t.Parallel()
	want := config.PluginGrants{Events: []string{"message"}, Say: true, State: []string{"media"}}
	if diff := cmp.Diff(want, config.BuiltinGrants("llm")); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
}
