package plugin

import (
	"strings"
	"unicode"
	"unicode/utf16"

	"rosey.dev/rosey/runtime/status"
)

// Spoken returns what can be said of a text from outside, such as the answer of a web API: at most so many printable
// lines, none of which is empty, too long, or looks like a command. A long line is divided between words, and where
// there is more to say, the last line ends in "…". There are none if there is nothing to say.
func Spoken(text string, count int) (lines []string) {
	count = max(1, min(count, MaxLines))
	for paragraph := range strings.FieldsFuncSeq(text, isLineBreak) {
		rest := withoutPrefix(status.OneLine(paragraph, MaxLines*MaxLength))
		for rest != "" {
			if len(lines) == count {
				lines[count-1] = Cut(lines[count-1]+" …", MaxLength)
				return lines
			}
			var line string
			line, rest = divide(rest)
			lines = append(lines, line)
			rest = withoutPrefix(rest)
		}
	}
	return lines
}

// isLineBreak reports whether a character ends a line.
func isLineBreak(r rune) bool { return strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r) }

// divide divides a text that is not empty after at most MaxLength UTF-16 code units, at the last space if there is one.
func divide(text string) (line, rest string) {
	if utf16Length(text) <= MaxLength {
		return text, ""
	}
	room, end, space := MaxLength, 0, 0
	for i, r := range text {
		if room -= max(1, utf16.RuneLen(r)); room < 0 {
			end = i
			break
		}
		if r == ' ' {
			space = i
		}
	}
	if space > 0 {
		end = space
	}
	return strings.TrimRight(text[:end], " "), text[end:]
}

// prefixes are the characters with which commands begin: here, at other bots, and at the server. Those that begin
// something else as often are not among them: @ is for a person, and : * _ # are for emotes and emphasis.
const prefixes = `!/.,;?$%&+-~=|\^<>`

// LooksLikeCommand reports whether a line may be a command of the server, of this bot or of another one: it begins with
// "/" or "!", with one of . , ; ? $ % & + - ~ = | \ ^ < > and a letter, or with one of . ? $ and a word such as 8ball.
// Bots whose prefix is something else, such as # or a word, are not thought of. The bot that says a line does not take
// it for a command, whatever its own prefix is.
func LooksLikeCommand(line string) bool { return commandPrefix(line) > 0 }

const (
	// beforeDigits are those of prefixes with which also a command begins whose name begins with a digit. What begins
	// with others, such as -5, is a number.
	beforeDigits = "$.?"
	// nameLetters is how many letters at least such a name has after its digits: less is a unit, as in $5bn and .5mm.
	nameLetters = 3
)

// commandPrefix returns how many bytes at the beginning of a line make it look like a command. 0: it does not. It reads
// a run of punctuation once, however long: who writes the text chooses that.
func commandPrefix(line string) (length int) {
	for i, r := range line {
		switch {
		case strings.ContainsRune(prefixes, r):
			if r == '/' || r == '!' {
				length = i + 1
			}
		case i > 0 && unicode.IsLetter(r), i > 0 && beginsName(line[i-1], line[i:]):
			return i
		default:
			return length
		}
	}
	return length
}

// beginsName reports whether a text behind a character is the name of a command that begins with a digit.
func beginsName(before byte, text string) bool {
	rest := strings.TrimLeft(text, "0123456789")
	if rest == text || !strings.Contains(beforeDigits, string(before)) {
		return false
	}
	letters := 0
	for _, r := range rest {
		if !unicode.IsLetter(r) {
			break
		}
		if letters++; letters == nameLetters {
			return true
		}
	}
	return false
}

// withoutPrefix returns a line without what makes it look like a command.
func withoutPrefix(line string) string {
	for {
		line = strings.TrimSpace(line)
		length := commandPrefix(line)
		if length == 0 {
			return line
		}
		line = line[length:]
	}
}
