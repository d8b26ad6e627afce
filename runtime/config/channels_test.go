package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/config"
)

func TestParseChannels(t *testing.T) {
	for text, want := range map[string][]config.ListedChannel{
		"[]": {},
		`[{"server": "https://CyTu.be/", "name": "Movies"}]`: {{Server: "https://cytu.be", Name: "Movies"}},
		"- name: a\n- {server: 'http://c:80', name: b}\n": {
			{Server: "https://cytu.be", Name: "a"}, {Server: "http://c:80", Name: "b"},
		},
	} {
		got, err := config.ParseChannels([]byte(text))
		if err != nil || !cmp.Equal(want, got) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                                 "or [] for none",
		"# nothing":                        "or [] for none",
		"a: b":                             "expected a list of channels",
		"- movies":                         "expected a list of channels",
		"- {name: a, password: hush-hush}": "expected a list of channels",
		"- {name: 'a b'}":                  `[0].name: "a b", expected 1 to 30 letters`,
		"- {name: a}\n- {}":                "[1].name",
		"- {name: a, server: cytu.be}":     `[0].server: "cytu.be", expected http(s)://`,
		"- [":                              "line 1",
		strings.Repeat("- {name: a}\n", config.MaxListedChannels+1): "129 channels, expected at most 128",
	} {
		_, err := config.ParseChannels([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush-hush") {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func TestChannelListFollowsItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "channels.yaml")
	list := config.NewChannelList(file)
	read := func(want ...string) {
		t.Helper()
		channels, err := list.Read()
		var names []string
		for _, channel := range channels {
			names = append(names, channel.Name)
		}
		if err != nil || !cmp.Equal(want, names) {
			t.Errorf("%v, %v; want %v", names, err, want)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(problem string) {
		t.Helper()
		if _, err := list.Read(); err == nil || !strings.Contains(err.Error(), file) ||
			!strings.Contains(err.Error(), problem) {
			t.Errorf("error %v, want one that names the file and %q", err, problem)
		}
	}
	fails("no such file")
	write("- {name: a}")
	read("a")
	read("a")
	write("- {name: b}")
	read("b")
	write("- {name: b")
	fails("")
	write("- {name: b}")
	read("b")
	write(strings.Repeat("#", 256<<10+1))
	fails("at most")
	write("[]")
	read()
}
