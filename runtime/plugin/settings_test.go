package plugin_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/status"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A ConfigMap is mounted as a directory, in which the kubelet keeps directories of its own.
func TestSettingsInADirectoryAndInAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "maxDice"), "7\n")
	write(t, filepath.Join(dir, "words"), "a, b\nc")
	if err := os.Mkdir(filepath.Join(dir, "..2030_01_01"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "settings.yaml")
	write(t, file, "maxDice: 7\nwords: |-\n  a, b\n  c\n")
	for _, path := range []string{dir, file} {
		values, err := plugin.SettingsAt(path)()
		if err != nil || len(values) != 2 || values["maxDice"] != "7" || values["words"] != "a, b\nc" {
			t.Errorf("%s: %v, %v", path, values, err)
		}
	}
	for _, path := range []string{"", filepath.Join(dir, "absent")} {
		if values, err := plugin.SettingsAt(path)(); err != nil || len(values) != 0 {
			t.Errorf("%q: %v, %v", path, values, err)
		}
	}
}

func TestOnlyVariablesWithThePrefixAreNamed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"PLUGIN_X_KEY": true, "PLUGIN_X_" + strings.Repeat("A", 64): true, "PLUGIN_X_1_B": true,
		"PLUGIN_X_": false, "PLUGIN_X_" + strings.Repeat("A", 65): false, "PLUGIN_X_key": false, "PLUGIN_X_A B": false,
		"PLUGIN_X_A\n": false, "PLUGIN_Y_KEY": false, "APLUGIN_X_KEY": false, "PATH": false, "": false,
	} {
		if got := plugin.IsVariable(name, "PLUGIN_X_"); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}

func TestBadSettingsFiles(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"a: [5]": "expected keys", "- a": "expected keys with texts", "a: {b: c}": "expected keys",
		"a: x\na: y": "expected keys",
		"a: \"" + strings.Repeat("x", 65<<10) + "\"": "at most 65536 bytes",
		"secret: hunter2: \"":                        "expected keys",
	} {
		file := filepath.Join(t.TempDir(), "settings.yaml")
		write(t, file, content)
		_, err := plugin.SettingsAt(file)()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.20q: %v", content, err)
		}
	}
}

func TestSettingsAreReadWhileThePluginRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := plugin.New("test", "1")
	p.Setting(plugin.Setting{Name: "count", Default: "3", Check: plugin.Whole(1, 9)})
	p.Setting(plugin.Setting{Name: "pause", Default: "10s", Check: plugin.Length(0, time.Hour)})
	p.Setting(plugin.Setting{Name: "on", Default: "true", Check: plugin.Switch})
	p.Setting(plugin.Setting{Name: "words", Default: "a, ,b", Check: plugin.Parts(1, 3)})
	p.Setting(plugin.Setting{Name: "kind", Default: "x", Check: plugin.OneOf("x", "y")})
	p.Setting(plugin.Setting{Name: "variable", Check: plugin.OneOf("KEY"), Hidden: true})
	p.Command(command("show"), func(_ context.Context, c *plugin.Call) (plugin.Reply, error) {
		s := c.Settings()
		return plugin.Text("%d %v %v %q %s", s.Int("count"), s.Duration("pause"), s.Bool("on"), s.List("words"),
			s.Text("kind")), nil
	})
	r := newRig(t, p)
	r.run(plugin.Options{Settings: plugin.SettingsAt(dir)})
	r.next()
	shows := func(want string) {
		t.Helper()
		eventually(t, want, func() bool {
			lines := r.call("show", "alice", "1").Lines
			return len(lines) == 1 && lines[0] == want
		})
	}
	shows(`3 10s true ["a" "b"] x`)
	for name, value := range map[string]string{"count": "5", "pause": "2m", "on": "false", "words": "c", "kind": "y"} {
		write(t, filepath.Join(dir, name), value)
	}
	shows(`5 2m0s false ["c"] y`)
	if check := p.Check(); !check.OK {
		t.Errorf("%+v", check)
	}
	for name, value := range map[string]string{
		"count": "10", "pause": "soon", "on": "yes", "words": ",", "kind": "z", "other": "1",
		"variable": "hunter2",
	} {
		write(t, filepath.Join(dir, name), value)
	}
	shows(`3 10s true ["a" "b"] x`) // the defaults, and the plugin goes on
	check := p.Check()
	if check.OK || check.Reason != status.ReasonPluginSettingsInvalid {
		t.Errorf("%+v", check)
	}
	for _, want := range []string{
		`count: "10", expected a whole number from 1 to 9`, `on: "yes", expected true or false`, `kind: "z", expected one`,
		`other: no such setting, expected one of count, pause, on, words, kind, variable`,
		`pause: "soon", expected a duration`,
		`words: ",", 0 parts between commas, expected 1 to 3`, `variable: expected one of KEY`,
	} {
		if !strings.Contains(check.Message, want) {
			t.Errorf("%q is not in %q", want, check.Message)
		}
	}
	if strings.Contains(check.Message, "hunter2") {
		t.Errorf("a hidden value is shown: %s", check.Message)
	}
}

// A setting that the plugin has not declared is a mistake of its author, who learns it in the first test.
func TestAnUndeclaredSettingPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	plugin.Settings{}.Text("other")
}

// A plugin whose commands come from settings cannot know their names.
func TestSettingsWhoseNamesBeginAlike(t *testing.T) {
	t.Parallel()
	p := plugin.New("test", "1")
	p.Setting(plugin.Setting{
		Name: "command.*", Check: plugin.Whole(1, 9), CheckRest: plugin.OneOf("a", "b", "c"),
	})
	p.Setting(plugin.Setting{Name: "other"})
	settings := make(chan map[string]string, 1)
	p.OnStart(func(_ context.Context, c *plugin.Channel) error {
		settings <- c.Settings().Each("command.*")
		return nil
	})
	r := newRig(t, p)
	r.run(plugin.Options{Settings: plugin.FixedSettings(map[string]string{
		"command.a": "1", "command.b": "x", "command.": "2", "command.d": "3", "command.c": "4",
		"other": "5", "commands": "6",
	})})
	r.next()
	if got := <-settings; !maps.Equal(got, map[string]string{"a": "1", "c": "4"}) {
		t.Errorf("%q", got)
	}
	check := p.Check()
	for _, want := range []string{
		"command.: no such setting, expected one of command.*, other", `command.b: "x", expected a whole number from 1 to 9`,
		"command.d: expected one of a, b, c", "commands: no such setting",
	} {
		if check.OK || !strings.Contains(check.Message, want) {
			t.Errorf("%+v, want %s", check, want)
		}
	}
}
