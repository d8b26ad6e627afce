package cytube

import (
	"slices"
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
	text, _ := textOf(fragment, false)
	return text
}

// TypedText returns what somebody typed, of which CyTube made an HTML fragment: PlainText with the characters that the
// filters of a new channel replace with tags, of which "_" is part of names. exact is false if there are tags that
// none of these filters makes: a filter of the channel's own has replaced something that is not known.
func TypedText(fragment string) (text string, exact bool) { return textOf(fragment, true) }

func textOf(fragment string, typed bool) (_ string, exact bool) {
	var text strings.Builder
	var marks markStack
	exact = true
	for tokens := html.NewTokenizer(strings.NewReader(fragment)); tokens.Next() != html.ErrorToken; {
		switch token := tokens.Token(); {
		case token.Type == html.TextToken:
			text.WriteString(token.Data)
		case token.Data == "img":
			text.WriteString(imageName(token))
		case typed && token.Type == html.StartTagToken:
			mark, known := markOf(token)
			marks.push(token.Data, mark)
			text.WriteString(mark.begin)
			exact = exact && known
		case typed && token.Type == html.EndTagToken:
			text.WriteString(marks.pop(token.Data).end)
		}
	}
	return strings.Join(strings.Fields(text.String()), " "), exact
}

// mark is what is typed before and after a text to format it.
type mark struct{ begin, end string }

// marksOfTags are the filters of a new channel (src/channel/filters.js of calzoneman/sync), with the tags that people
// who write filters of their own use for the same.
var marksOfTags = map[string]mark{
	"code": {"`", "`"}, "strong": {"*", "*"}, "b": {"*", "*"}, "em": {"_", "_"}, "i": {"_", "_"},
	"s": {"~~", "~~"}, "del": {"~~", "~~"}, "strike": {"~~", "~~"},
	"a": {}, // around a link as it was typed
}

var spoilerMark = mark{"[sp]", "[/sp]"}

// markOf returns the mark for a tag, and false for a tag that none of the filters makes.
func markOf(tag html.Token) (m mark, known bool) {
	if tag.Data == "span" && slices.Contains(tag.Attr, html.Attribute{Key: "class", Val: "spoiler"}) {
		return spoilerMark, true
	}
	m, known = marksOfTags[tag.Data]
	return m, known
}

// markStack is the marks of the tags that are open.
type markStack []struct {
	tag string
	mark
}

// maxMarks bounds the tags that are open at a time, of which a line of CyTube has few.
const maxMarks = 100

func (s *markStack) push(tag string, m mark) {
	if len(*s) < maxMarks {
		*s = append(*s, struct {
			tag string
			mark
		}{tag, m})
	}
}

// pop removes the innermost open tag of a name and returns its mark. Tags that were opened in it and never closed, such
// as <br>, have no end.
func (s *markStack) pop(tag string) (m mark) {
	for at, open := range slices.Backward(*s) {
		if open.tag == tag {
			*s = (*s)[:at]
			return open.mark
		}
	}
	return mark{}
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
