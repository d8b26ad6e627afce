package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf16"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// marked returns a text as editors save it: with a byte order mark, in UTF-8 and in both kinds of UTF-16.
func marked(text string) map[string]string {
	little, big := "\xFF\xFE", "\xFE\xFF"
	for _, unit := range utf16.Encode([]rune(text)) {
		little += string([]byte{byte(unit), byte(unit >> 8)})
		big += string([]byte{byte(unit >> 8), byte(unit)})
	}
	return map[string]string{"plain": text, "UTF-8": "\xEF\xBB\xBF" + text, "UTF-16 LE": little, "UTF-16 BE": big}
}

func writeText(t *testing.T, content string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A byte order mark and Windows' line ends are no part of what a person has written to a file.
func TestByteOrderMarksAreNoContent(t *testing.T) {
	for name, content := range marked("pässwörd 😀\r\n") {
		if secret, err := config.ReadSecret(writeText(t, content)); err != nil || secret != "pässwörd 😀" {
			t.Errorf("%s: the secret is %q, %v", name, secret, err)
		}
	}
	for name, content := range marked("channel:\r\n  name: m\r\nnats: {url: 'nats://n'}\r\n") {
		loaded, err := config.Sources{File: writeText(t, content)}.Load(status.BotComponent)
		if err != nil || loaded.Channel.Name != "m" {
			t.Errorf("%s: the channel is %q, %v", name, loaded.Channel.Name, err)
		}
	}
	for name, content := range marked(`{"user": ["Rosey", "hush"]}`) {
		if secret, err := config.ReadSecret(writeText(t, content) + "#/user/1"); err != nil || secret != "hush" {
			t.Errorf("%s: the secret inside is %q, %v", name, secret, err)
		}
	}
	for name, content := range marked("- name: m\r\n") {
		if channels, err := config.ParseChannels([]byte(content)); err != nil || len(channels) != 1 {
			t.Errorf("%s: channels %v, %v", name, channels, err)
		}
	}
	for _, empty := range []string{"\xEF\xBB\xBF", "\xFF\xFE", "\xEF\xBB\xBF\r\n", "\r\n"} {
		if _, err := config.ReadSecret(writeText(t, empty)); !errors.Is(err, config.ErrSecretAbsent) {
			t.Errorf("%q: %v", empty, err)
		}
	}
	if _, err := config.ReadSecret(writeText(t, "\xFF\xFEa")); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("half a character: %v", err)
	}
}

// What follows the first document of a file would have no effect.
func TestNothingMayFollowTheFirstDocument(t *testing.T) {
	readers := map[string]func(content string) error{
		"configuration": func(content string) error {
			_, err := config.Sources{
				File: writeText(t, content), Flags: map[string]string{"channel.name": "m", "nats.url": "nats://n"},
			}.Load(status.BotComponent)
			return err
		},
		"secret": func(content string) error {
			_, err := config.ReadSecret(writeText(t, content) + "#/logLevel")
			return err
		},
		"provenance": func(content string) error {
			_, err := config.ParseProvenance([]byte(content))
			return err
		},
	}
	for _, one := range []string{
		`{"logLevel": "info"}`, "{\"logLevel\": \"info\"}\n\n", "logLevel: info\n# a comment\n", "---\nlogLevel: info\n",
		"logLevel: info\n...\n", "# a comment\n---\nlogLevel: info\n...\n# the end\n",
		// As programs write it that put documents together.
		"logLevel: info\n---\n", "logLevel: info\n---", "logLevel: info\n---\n# nothing\n---\n...\n---\n",
		"---\n---\nlogLevel: info\n", "---\n# nothing\n...\n--- # here\nlogLevel: info\n", "--- {logLevel: info}\n---\n",
		"\r\n---\r\n---\r\nlogLevel: info\r\n---\r\n", "%YAML 1.1\n---\nlogLevel: info\n", "{\"logLevel\": \"info\"}\n---\n",
	} {
		for name, read := range readers {
			if err := read(one); err != nil {
				t.Errorf("%s %q: %v", name, one, err)
			}
		}
	}
	for _, more := range []string{
		" trailing hush", "\n{\"logLevel\": \"hush\"}", "\n---\nlogLevel: hush\n", "}", "\n...\nhush: 1", " ]",
		"\n--- {}\n---\n", "\n---\n---\nhush: 1", "\n---\n...\nhush", "\n...\n*hush", ",",
	} {
		for name, read := range readers {
			err := read(`{"logLevel": "info"}` + more)
			if err == nil || !strings.Contains(err.Error(), "expected") || strings.Contains(err.Error(), "hush") {
				t.Errorf("%s with %q behind it: %v", name, more, err)
			}
		}
	}
	for _, more := range []string{" []", "\n---\n- name: b\n", " trailing"} {
		if _, err := config.ParseChannels([]byte(`[{"name": "a"}]` + more)); err == nil {
			t.Errorf("channels with %q behind them are accepted", more)
		}
	}
}

// Without content there is nothing to read, whatever comments and markers the file has.
func TestFilesWithoutContent(t *testing.T) {
	for _, empty := range []string{
		"", "\n", "# a comment\n", "# a comment", "---\n", "---", "---\n...\n", "---\n---\n# c\n",
	} {
		_, err := config.Sources{
			File: writeText(t, empty), Flags: map[string]string{"channel.name": "m", "nats.url": "nats://n"},
		}.Load(status.BotComponent)
		if err != nil {
			t.Errorf("configuration %q: %v", empty, err)
		}
		if provenance, err := config.ParseProvenance([]byte(empty)); err != nil || provenance != (config.Provenance{}) {
			t.Errorf("provenance %q: %+v, %v", empty, provenance, err)
		}
		if _, err := config.ParseChannels([]byte(empty)); err == nil || !strings.Contains(err.Error(), "expected a list") {
			t.Errorf("channels %q: %v", empty, err) // may be just being written
		}
	}
	// Lines are counted from the beginning of the file.
	_, err := config.ParseProvenance([]byte("# a comment\n---\n---\ntakeOver: [\n"))
	if err == nil || !strings.Contains(err.Error(), "line 4") && !strings.Contains(err.Error(), "line 5") {
		t.Errorf("a syntax error in line 4: %v", err)
	}
}

// Somebody names a pipe to which nobody writes, or a file without an end.
func TestNoFileIsReadWithoutAnEnd(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadSecret(pipe); !errors.Is(err, config.ErrSecretAbsent) {
		t.Errorf("a secret from a pipe: %v", err)
	}
	_, err := config.Sources{File: pipe}.Load(status.CLIComponent)
	if err != nil {
		t.Errorf("a configuration from a pipe, which is as an empty one: %v", err)
	}
	if _, err := config.NewChannelList(pipe).Read(); err == nil {
		t.Error("a list of channels from a pipe: no error")
	}
	const endless = "/dev/zero: expected at most"
	if _, err := config.ReadSecret("/dev/zero"); err == nil || !strings.Contains(err.Error(), endless) {
		t.Errorf("a secret without an end: %v", err)
	}
	_, err = config.Sources{File: "/dev/zero"}.Load(status.CLIComponent)
	if err == nil || !strings.Contains(err.Error(), endless) {
		t.Errorf("a configuration without an end: %v", err)
	}
}
