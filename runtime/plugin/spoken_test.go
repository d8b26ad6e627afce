package plugin_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/status"
)

func TestTextFromOutsideBecomesLinesThatCanBeSaid(t *testing.T) {
	t.Parallel()
	words := strings.Repeat("word ", 100)
	long := strings.TrimSpace(words[:320])
	for text, want := range map[string][]string{
		"":                                nil,
		" \n\r\n ":                        nil,
		"one\ntwo":                        {"one", "two"},
		"one\u2028two\x85\x1b[31mred":     {"one", "two\uFFFD\uFFFD[31mred"},
		"/kick bob":                       {"kick bob"},
		"  !roll 2d6":                     {"roll 2d6"},
		"!!! / !/ what":                   {"what"},
		"!":                               nil,
		".say hi":                         {"say hi"},
		"?./!play":                        {"play"},
		"$5, or -5, and ...":              {"$5, or -5, and ..."},
		"...":                             {"..."},
		"$8ball me":                       {"8ball me"},
		"?.8ball":                         {"8ball"},
		"-5km, $5bn\n.5mm\n$1 for all":    {"-5km, $5bn", ".5mm", "$1 for all"},
		"@alice :smile: *yes*":            {"@alice :smile: *yes*"},
		"a\nb\nc\nd":                      {"a", "b", "c …"},
		words:                             {long, strings.TrimSpace(words[len(long):])},
		strings.Repeat("x", 315) + " /me": {strings.Repeat("x", 315) + " /me"},
		// What follows a division begins a line too.
		strings.Repeat("x", 319) + " /me!": {strings.Repeat("x", 319), "me!"},
	} {
		got := plugin.Spoken(text, 3)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzSpoken(f *testing.F) {
	for _, seed := range []string{"/a", "!\u202e!x", strings.Repeat("🎲", 400), "a\n/b\r!c", "\xff\xfe/x", "<!-- -->"} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, text string, count int) {
		lines := plugin.Spoken(text, count)
		if len(lines) > plugin.MaxLines || len(lines) > max(1, count) {
			t.Errorf("%d lines", len(lines))
		}
		for _, line := range lines {
			if line == "" || len(utf16.Encode([]rune(line))) > plugin.MaxLength || status.Printable(line) != line ||
				plugin.LooksLikeCommand(line) || strings.TrimSpace(line) != line {
				t.Errorf("%q of %q", line, text)
			}
		}
	})
}
