package speech

import (
	"cmp"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"rosey.dev/rosey/runtime/cytube"
)

// minMaxLength is the shortest maximum length of a line that the bot learns. What is shorter in the channel than it was
// sent was changed by a filter.
const minMaxLength = 40

// maxLength is the maximum length of a line on the server, in UTF-16 code units. The server does not announce it, and
// cuts off the rest: the echo shows where. A filter of the channel can also remove the end of a line, so one cut proves
// nothing: the rest is sent as the next line, and the length is believed when a line that begins otherwise is cut at
// the same place.
//
// Only the Speaker's goroutine calls its methods, except get.
type maxLength struct {
	value atomic.Int64 // what lines are split at
	// suspected is where the last line was cut.
	suspected cut
	// whole is the length of the longest line of this session that was not cut. A restarted server can have another
	// maximum.
	whole int
}

// newMaxLength returns the maximum length of a server that is configured, or 0 if it is not.
func newMaxLength(configured int) *maxLength {
	m := &maxLength{}
	m.value.Store(int64(cmp.Or(configured, cytube.MaxLine)))
	return m
}

func (m *maxLength) get() int { return int(m.value.Load()) }

// split splits a text into lines that the server does not cut, as far as is known.
func (m *maxLength) split(text string) []string { return cytube.SplitLine(text, m.get()) }

// cut is how the server has shortened a line.
type cut struct {
	kept, rest string // of the text
	// from and to are the shortest and the longest length at which it may have been cut, in UTF-16 code units: white space
	// at the end does not show.
	from, to int
}

// compare returns how the server has shortened a message of which it shows a text. false: it has not, or nobody can
// know where.
func (m *maxLength) compare(sent Message, shown string) (c cut, isCut bool) {
	c, isCut = findCut(sent, shown)
	return c, isCut && c.from >= minMaxLength && c.to >= m.whole
}

// note learns from a message and what the server shows of it.
func (m *maxLength) note(sent Message, shown string) {
	c, isCut := m.compare(sent, shown)
	switch before := m.suspected; {
	case !isCut && sent.shown() == shown:
		m.whole = max(m.whole, units(sent.onWire()))
	case !isCut:
	case before.kept != "" && before.kept != c.kept && max(before.from, c.from) <= min(before.to, c.to):
		m.suspected.from, m.suspected.to = max(before.from, c.from), min(before.to, c.to)
		m.value.Store(min(m.value.Load(), int64(m.suspected.from)))
	default:
		m.suspected = c
	}
}

// joined forgets what a server that may have been restarted since no longer has to comply with.
func (m *maxLength) joined() { m.whole = 0 }

// findCut compares a message with what is shown of it: the beginning of its text, and less than all of it.
func findCut(sent Message, shown string) (c cut, isCut bool) {
	body, _ := sent.body()
	// JavaScript can cut a character of two code units in the middle. What is left is no character.
	shown, half := strings.CutSuffix(shown, string(utf8.RuneError))
	end, ok := matchBeginning(body, shown)
	rest := strings.TrimLeftFunc(body[end:], isSpace)
	if !ok || rest == "" || shown == "" {
		return cut{}, false
	}
	wire := sent.onWire()
	from := units(wire[:len(wire)-len(body)+end])
	c = cut{kept: body[:end], rest: rest, from: from, to: from + units(body[end:len(body)-len(rest)])}
	if half {
		c.from, c.to = c.to+1, c.to+1
	}
	return c, true
}

// matchBeginning returns the length of the beginning of a text that looks like shown, in which white space is
// collapsed.
func matchBeginning(text, shown string) (end int, ok bool) {
	rest := strings.TrimLeftFunc(text, isSpace)
	for _, want := range shown {
		got, size := utf8.DecodeRuneInString(rest)
		switch {
		case want == ' ' && isSpace(got):
			rest = strings.TrimLeftFunc(rest, isSpace)
		case got == want && size > 0:
			rest = rest[size:]
		default:
			return 0, false
		}
	}
	return len(text) - len(rest), true
}

// isSpace reports whether the server shows a character as a space: it replaces control characters.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r < ' ' }

// units returns the length of a text in UTF-16 code units, which JavaScript counts.
func units(text string) (count int) {
	for _, r := range text {
		count += max(1, utf16.RuneLen(r))
	}
	return count
}
