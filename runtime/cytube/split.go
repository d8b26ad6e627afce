package cytube

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxLine is how long a line may be, in UTF-16 code units as JavaScript counts: CyTube's default, which
// it tells nobody over the socket (max-chat-message-length). It cuts off the rest.
const MaxLine = 320

// SplitLine splits a text into lines that the server takes whole: at line ends, then between words, and
// within a word only when it alone is too long. It never breaks a character that is two UTF-16 units.
// limit is in UTF-16 code units and at least 2. Only a text that begins with one can be a command ("/me"):
// a part that begins like one gets a space in front. A text of blanks has no parts.
func SplitLine(text string, limit int) []string {
	var parts []string
	for line := range strings.Lines(text) {
		parts = append(parts, splitWords(strings.TrimSpace(line), limit)...)
	}
	for i, part := range parts {
		if strings.HasPrefix(part, "/") && (i > 0 || !strings.HasPrefix(text, "/")) {
			parts[i] = " " + part
		}
	}
	return parts
}

func splitWords(rest string, limit int) []string {
	var parts []string
	for rest != "" {
		end := fits(rest, limit-1) // one for the space in front of what looks like a command
		if end < len(rest) {
			end = wordEnd(rest, end)
		}
		parts = append(parts, strings.TrimRightFunc(rest[:end], unicode.IsSpace))
		rest = strings.TrimLeftFunc(rest[end:], unicode.IsSpace)
	}
	return parts
}

// fits is how many bytes of text are at most limit code units, in whole characters, at least one.
func fits(text string, limit int) int {
	units := 0
	for at, r := range text {
		units += max(1, utf16.RuneLen(r))
		if units > limit && at > 0 {
			return at
		}
	}
	return len(text)
}

// wordEnd goes back from end to the last space. In a word without one it stays.
func wordEnd(text string, end int) int {
	if r, _ := utf8.DecodeRuneInString(text[end:]); unicode.IsSpace(r) {
		return end
	}
	if space := strings.LastIndexFunc(text[:end], unicode.IsSpace); space > 0 {
		return space
	}
	return end
}
