package cytube

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// PlainText returns the text of an HTML fragment as CyTube sends it, on one line: without tags, with entities
// resolved and white space collapsed. An image is replaced with its name (title, alt or address), since chat filters
// turn the name of an emote into an image with that title: people recognize it, and the echo of a line that the bot
// said stays equal to what was typed.
func PlainText(fragment string) string {
	var text strings.Builder
	for tokens := html.NewTokenizer(strings.NewReader(fragment)); tokens.Next() != html.ErrorToken; {
		switch token := tokens.Token(); {
		case token.Type == html.TextToken:
			text.WriteString(token.Data)
		case token.Data == "img":
			text.WriteString(imageName(token))
		}
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

func imageName(image html.Token) string {
	for _, name := range []string{"title", "alt", "src"} {
		for _, attribute := range image.Attr {
			if attribute.Key == name {
				return attribute.Val
			}
		}
	}
	return ""
}

// MaxLine is the maximum length of a line in UTF-16 code units, as JavaScript counts: the default of CyTube's setting
// max-chat-message-length, which it does not announce. The server cuts off the rest.
const MaxLine = 320

// SplitLine splits a text into lines that the server does not cut: at line ends, then between words, and within a word
// only if it alone is too long. It never splits a character of two UTF-16 units. limit is in UTF-16 code units and at
// least 2. A text of white space has no parts.
func SplitLine(text string, limit int) []string {
	var parts []string
	for line := range strings.Lines(text) {
		parts = append(parts, splitWords(strings.TrimSpace(line), limit)...)
	}
	return parts
}

func splitWords(rest string, limit int) []string {
	var parts []string
	for rest != "" {
		end := fits(rest, limit-1) // room for the space that Conn.Say puts in front of a part that looks like a command
		if end < len(rest) {
			end = wordEnd(rest, end)
		}
		parts = append(parts, strings.TrimRightFunc(rest[:end], unicode.IsSpace))
		rest = strings.TrimLeftFunc(rest[end:], unicode.IsSpace)
	}
	return parts
}

// fits returns the length in bytes of the longest beginning of text within limit code units: whole characters, and at
// least one.
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

// wordEnd returns the position of the last space up to end, and end if there is none.
func wordEnd(text string, end int) int {
	if r, _ := utf8.DecodeRuneInString(text[end:]); unicode.IsSpace(r) {
		return end
	}
	if space := strings.LastIndexFunc(text[:end], unicode.IsSpace); space > 0 {
		return space
	}
	return end
}
