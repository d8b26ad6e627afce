package bus_test

import (
	"testing"

	"rosey.dev/rosey/runtime/bus"
)

func TestContainsCommand(t *testing.T) {
	for _, text := range []string{
		"/kick alice", "/", "//", " /kick", "\t/kick", "\u00a0/kick", "\ufeff/kick", "\u200b/kick", "\u3164/kick",
		"\x00/kick", "\x1b/kick", "\u202e/kick", "\ufe0f/kick", "\U000e0041/kick", "\u2060\n/kick", "hi\n/kick",
		"hi\r/kick", "hi\v/kick", "hi\u0085/kick", "hi\u2028/kick", "hi\u2029 \u200d/kick", "hi\n\n /kick",
	} {
		if !bus.ContainsCommand(text) {
			t.Errorf("%q has no command", text)
		}
	}
	for _, text := range []string{
		"", " ", "hi", "and/or", "hi /kick alice", "https://cytu.be/r/movies", "-/kick", "\ufffd/kick", "🍿/kick",
		// They look like "/", but no server takes them for it.
		"\uff0fkick alice", "\u2044kick", "\u2215kick", "\u29f8kick",
		"&#47;kick alice", "&sol;kick", "%2Fkick", "\\u002fkick",
	} {
		if bus.ContainsCommand(text) {
			t.Errorf("%q has a command", text)
		}
	}
}

func TestContainsLineBreak(t *testing.T) {
	for text, want := range map[string]bool{"": false, "one\ttwo": false, "one\n": true, "\u2028": true, "a\rb": true} {
		if got := bus.ContainsLineBreak(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
