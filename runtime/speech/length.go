package speech

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"rosey.dev/rosey/runtime/cytube"
)

const (
	// minMaxLength is the shortest maximum length of a line that the bot learns. What is shorter in the channel than it
	// was sent was changed by a filter.
	minMaxLength = 40
	// learnedFor is how long the bot relies on what it has learned. Then it tries longer lines again: a moderator may
	// have changed a filter.
	learnedFor = time.Hour
	// maxStripped bounds the ends of lines that are remembered, and strippedRunes is how much of each is.
	maxStripped   = 16
	strippedRunes = 8
)

// maxLength is the maximum length of a line on the server, in UTF-16 code units. The server does not announce it, and
// cuts off the rest: the echo shows where. A filter of the channel can also remove the end of a line, such as a URL.
// What tells them apart:
//
//   - The server cuts anywhere, a filter usually in front of a word. So the length is believed when two lines that
//     begin differently are cut at the same place, one of them within a word.
//   - The server cuts no line that is not longer than another one that it has shown. Where the end of such a line is
//     missing, a filter removed it, and as many words that begin like that end are not taken for cut off again.
//
// A length that is configured is used whatever the echoes show.
//
// What was cut off is sent as the next line. A filter may remove an end only from behind other text. So the next line
// with such an end is split one word earlier: there it shows who removes the end, and if it is the server, nothing is
// lost.
//
// Only the Speaker's goroutine calls its methods.
type maxLength struct {
	configured int // 0: not configured
	learned    int // 0: nothing; not used if one is configured
	// suspected is where a line was cut last. Its kept text is empty if none was.
	suspected cut
	// whole is the longest text that the server has shown.
	whole int
	// stripped is how the ends begin that a filter has removed, and the largest number of words that it removed.
	stripped map[string]int
	// forgottenAt is when the bot last began to learn.
	forgottenAt time.Time
}

// newMaxLength returns the maximum length of a server that is configured, or 0 if it is not.
func newMaxLength(configured int) *maxLength { return &maxLength{configured: configured} }

func (m *maxLength) get() int { return cmp.Or(m.configured, m.learned, cytube.MaxLine) }

// split splits a text into lines that the server does not cut, as far as is known.
func (m *maxLength) split(text string) []string {
	parts := cytube.SplitLine(text, m.get())
	if len(parts) == 0 || !m.isDoubtful(parts[0]) {
		return parts
	}
	first := cytube.SplitLine(parts[0], m.suspected.from)[0]
	return slices.Concat([]string{first, strings.TrimSpace(parts[0][len(first):])}, parts[1:])
}

// isDoubtful reports whether a line has the end that was missing last, at the same place in front of a word. Whether
// the server cut it off or a filter removed it is not known.
func (m *maxLength) isDoubtful(line string) bool {
	if m.suspected.kept == "" || m.suspected.withinWord {
		return false
	}
	for at := range line {
		if units(line[:at]) >= m.suspected.from {
			end := strings.TrimLeftFunc(line[at:], isSpace)
			return end != line[at:] && beginning(end) == beginning(m.suspected.rest)
		}
	}
	return false
}

// cut is how a message was shortened on its way to the channel.
type cut struct {
	kept, rest string // of the text
	// from and to are the shortest and the longest length at which it may have been cut, in UTF-16 code units: white space
	// at the end does not show.
	from, to int
	// withinWord: there is no white space where the message was cut.
	withinWord bool
	// length is that of the message as it was sent.
	length int
}

// agrees reports whether both may have been cut at the same place.
func (c cut) agrees(other cut) bool {
	return other.kept != "" && max(c.from, other.from) <= min(c.to, other.to)
}

// compare returns what the server has cut off a message of which it shows a text. false: nothing, or a filter removed
// it. In doubt, it was the server.
func (m *maxLength) compare(sent Message, shown string) (c cut, isCut bool) {
	c, isShorter := findCut(sent, shown)
	if !isShorter || m.fits(c.length) {
		return cut{}, false
	}
	isExpected := c.to >= m.whole && (c.withinWord || m.suspected.withinWord && c.agrees(m.suspected))
	if !isExpected && m.isStripped(c.rest) {
		return cut{}, false
	}
	return c, true
}

// fits reports whether the server certainly does not cut messages of a length.
func (m *maxLength) fits(length int) bool { return length <= max(m.whole, minMaxLength) }

// note learns from a message and what the server shows of it.
func (m *maxLength) note(sent Message, shown string, now time.Time) {
	if now.Sub(m.forgottenAt) >= learnedFor {
		m.forget(now)
	}
	c, isShorter := findCut(sent, shown)
	length := units(sent.onWire())
	switch {
	case sent.shown() == shown:
		m.whole = max(m.whole, length)
	case shown == "":
		body, _ := sent.body()
		if m.fits(length) || countWords(body) == 1 {
			m.noteStripped(body)
		}
	case isShorter && m.fits(length):
		m.noteStripped(c.rest)
	case isShorter:
		m.whole = max(m.whole, c.from)
		if c, isCut := m.compare(sent, shown); isCut {
			m.suspect(c)
		}
	}
	if m.suspected.kept != "" && m.fits(m.suspected.length) {
		m.noteStripped(m.suspected.rest)
		m.suspected = cut{}
	}
}

// suspect notes a cut that may be that of the server, and learns the length if it is the second one.
func (m *maxLength) suspect(c cut) {
	before := m.suspected
	switch {
	case c.to < m.whole && before.withinWord:
		return // a filter was involved, and before may be the limit
	case c.to >= m.whole && c.agrees(before):
		c.from, c.to = max(c.from, before.from), min(c.to, before.to)
		c.withinWord = c.withinWord || before.withinWord
		if c.withinWord && c.kept != before.kept {
			m.learned = min(cmp.Or(m.learned, c.from), c.from)
		}
	}
	m.suspected = c
}

// noteStripped notes that a filter removes a text.
func (m *maxLength) noteStripped(text string) {
	start, words := beginning(text), countWords(text)
	if known, isKnown := m.stripped[start]; isKnown {
		m.stripped[start] = max(known, words)
		return
	}
	if len(m.stripped) == maxStripped {
		return
	}
	if m.stripped == nil {
		m.stripped = map[string]int{}
	}
	m.stripped[start] = words
	m.learned, m.suspected = 0, cut{} // they may be that filter's
}

// isStripped reports whether a filter has removed such a text before. What is longer may have been cut off as well.
func (m *maxLength) isStripped(text string) bool {
	return countWords(text) <= m.stripped[beginning(text)]
}

func countWords(text string) int { return len(strings.Fields(text)) }

// beginning returns as much of a removed text as is compared: URLs begin alike and go on differently.
func beginning(text string) string {
	start := []rune(text)
	return string(start[:min(len(start), strippedRunes)])
}

// forget begins to learn again, when the server may have been restarted, or after learnedFor.
func (m *maxLength) forget(now time.Time) {
	*m = maxLength{configured: m.configured, forgottenAt: now}
}

// isBeginning reports whether a text may be what was left of a message, by the server or by a filter.
func isBeginning(sent Message, shown string) bool {
	c, isShorter := findCut(sent, shown)
	return isShorter && c.from >= minMaxLength
}

// findCut compares a message with what is shown of it: the beginning of its text, and less than all of it.
func findCut(sent Message, shown string) (c cut, isShorter bool) {
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
	c.withinWord, c.length = c.from == c.to, units(wire)
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
