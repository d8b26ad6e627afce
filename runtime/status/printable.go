package status

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text from outside is whatever users, servers and other processes send. In a terminal a control character runs a
// command of the terminal, a character for the direction of writing shows a text as another one, and a character that
// shows nothing makes two different names look the same. A text is printable if it has none of them:
//
//   - white space, line breaks included, becomes a space;
//   - a character that shows nothing, that a font need not know (private use, unassigned), or that is no valid UTF-8
//     becomes U+FFFD, so that it is seen that there was one;
//   - emoji of several characters, and the joiners of scripts whose letters change at them, stay as they are;
//   - of more than maxMarks combining marks in a row the rest is left out: they would be drawn over other lines.
//
// Letters of scripts that are written from right to left stay, and change the order within their line.

// replacement is shown for a character that is not printable.
const replacement = utf8.RuneError

// maxMarks is how many combining marks are kept after a character. Syllables of Burmese have up to six.
const maxMarks = 8

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	keycap             = '\u20e3'
	textStyle          = '\ufe0e'
	emojiStyle         = '\ufe0f'
)

// joiningScripts are the scripts in which U+200C and U+200D change the form of letters.
var joiningScripts = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati,
	unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala,
}

// Printable returns a text as one printable line. See above for what becomes of the other characters.
func Printable(text string) string {
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			return makePrintable(text, "")
		}
	}
	return text // most text
}

// OneLine returns the beginning of a text on one printable line: white space is collapsed, and a text of more than
// limit characters is cut there and ends in "…".
func OneLine(text string, limit int) string {
	text = strings.Join(strings.Fields(Printable(text)), " ")
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return text
}

// makePrintable is Printable, except that it keeps the characters of kept.
func makePrintable(text, kept string) string {
	var out strings.Builder
	out.Grow(len(text))
	last, marks := rune(0), 0 // what was written last, and the marks in a row
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		next, _ := utf8.DecodeRuneInString(text)
		switch {
		case strings.ContainsRune(kept, r):
		case unicode.IsSpace(r):
			r = ' '
		case isJoinedEmoji(last, r, next), isJoinedLetter(last, r, next):
		case !isVisible(r):
			r = replacement
		}
		if marks++; !unicode.Is(unicode.M, r) {
			marks = 0
		}
		if marks <= maxMarks {
			out.WriteRune(r)
			last = r
		}
	}
	return out.String()
}

// isVisible reports whether a character alone is printable and no white space.
func isVisible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// isJoinedEmoji reports whether r is the invisible part of an emoji of several characters.
func isJoinedEmoji(last, r, next rune) bool {
	switch r {
	case zeroWidthJoiner:
		return (isEmoji(last) || last == emojiStyle) && isEmoji(next)
	case textStyle, emojiStyle:
		return isEmoji(last) || next == keycap && strings.ContainsRune("#*0123456789", last)
	}
	return false
}

// isEmoji reports whether a character may be an emoji: a symbol, or the color of one. Many symbols are none, which does
// no harm.
func isEmoji(r rune) bool {
	return r > unicode.MaxLatin1 && r != replacement && unicode.In(r, unicode.So, unicode.Sk, unicode.Sm, unicode.Po)
}

// isJoinedLetter reports whether r joins or separates letters of a script that needs it.
func isJoinedLetter(last, r, next rune) bool {
	return (r == zeroWidthNonJoiner || r == zeroWidthJoiner) &&
		unicode.In(last, joiningScripts...) && unicode.In(next, joiningScripts...)
}

// PrintableLines returns a text of several lines with everything made printable but "\n" and "\t". It is for the whole
// output of a program, as the last guard: in one field of a line, Printable keeps the line one.
func PrintableLines(text []byte) []byte {
	for _, c := range text {
		if (c < ' ' || c > '~') && c != '\n' && c != '\t' {
			return []byte(makePrintable(string(text), "\n\t"))
		}
	}
	return text
}

// PrintableWriter returns a writer that passes what is written on to w as PrintableLines. It is safe for concurrent
// use. A character whose bytes come in two writes is passed on with the second.
func PrintableWriter(w io.Writer) io.Writer { return &printableWriter{to: w} }

type printableWriter struct {
	to io.Writer

	mu sync.Mutex
	// partial is the beginning of a character whose end has not been written yet.
	partial []byte
}

// Write implements io.Writer.
func (w *printableWriter) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := text
	if len(w.partial) > 0 {
		all = append(w.partial, text...)
	}
	whole := len(all) - partialRune(all)
	w.partial = bytes.Clone(all[whole:])
	if _, err := w.to.Write(PrintableLines(all[:whole])); err != nil {
		return 0, fmt.Errorf("writing: %w", err)
	}
	return len(text), nil
}

// partialRune returns the number of bytes at the end of a text that are the beginning of a character.
func partialRune(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if last := text[len(text)-n]; utf8.RuneStart(last) {
			if last >= utf8.RuneSelf && !utf8.FullRune(text[len(text)-n:]) {
				return n
			}
			break
		}
	}
	return 0
}

// EscapeJSON returns JSON of the same meaning without any character that is not printable, so that PrintableLines
// leaves it as it is: JSON itself demands an escape only for some of them. Bytes that are no valid UTF-8 become U+FFFD.
// It is for output that both people and programs read.
func EscapeJSON(document []byte) []byte {
	var out bytes.Buffer
	done, marks := 0, 0
	for at := 0; at < len(document); {
		r, size := utf8.DecodeRune(document[at:])
		if marks++; !unicode.Is(unicode.M, r) {
			marks = 0
		}
		if isInvalid := r == utf8.RuneError && size == 1; isInvalid || marks > maxMarks || mustEscape(r) {
			out.Write(document[done:at])
			writeEscaped(&out, r)
			done = at + size
		}
		at += size
	}
	if done == 0 {
		return document
	}
	out.Write(document[done:])
	return out.Bytes()
}

// mustEscape reports whether a character in JSON is not printable, or another space than those of ASCII.
func mustEscape(r rune) bool {
	switch r {
	case ' ', '\n', '\t':
		return false
	}
	return !isVisible(r) || unicode.IsSpace(r)
}

func writeEscaped(out *bytes.Buffer, r rune) {
	switch high, low := utf16.EncodeRune(r); {
	case r == '\r':
		out.WriteByte(' ') // in a string it is escaped already, so this is white space
	case low != utf8.RuneError:
		fmt.Fprintf(out, `\u%04x\u%04x`, high, low)
	default:
		fmt.Fprintf(out, `\u%04x`, r)
	}
}

// JSONWriter returns a writer that passes JSON on to w as EscapeJSON. Each write must end with a whole character.
func JSONWriter(w io.Writer) io.Writer { return jsonWriter{w} }

type jsonWriter struct{ to io.Writer }

// Write implements io.Writer.
func (w jsonWriter) Write(document []byte) (int, error) {
	if _, err := w.to.Write(EscapeJSON(document)); err != nil {
		return 0, fmt.Errorf("writing: %w", err)
	}
	return len(document), nil
}
