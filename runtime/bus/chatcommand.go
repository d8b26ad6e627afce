package bus

import (
	"strings"
	"unicode"
)

// ContainsCommand reports whether a line of a text begins with "/". CyTube executes such a line as a command with the
// rank of whoever says it.
//
// CyTube looks at the first character alone. This function also looks behind white space and characters that show
// nothing, and at every line: a server may remove them before it looks, and a text is sent in several lines.
func ContainsCommand(text string) bool {
	atStart := true
	for _, r := range text {
		switch {
		case isLineBreak(r):
			atStart = true
		case atStart && r == '/':
			return true
		case !isBlank(r):
			atStart = false
		}
	}
	return false
}

// ContainsLineBreak reports whether a text has more than one line, or ends with a line break.
func ContainsLineBreak(text string) bool { return strings.ContainsFunc(text, isLineBreak) }

// isLineBreak reports whether a new line begins behind a character, by the rules of Unicode.
func isLineBreak(r rune) bool { return strings.ContainsRune("\n\v\f\r\u0085\u2028\u2029", r) }

// isBlank reports whether a character shows nothing where it stands.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Variation_Selector,
		unicode.Other_Default_Ignorable_Code_Point)
}
