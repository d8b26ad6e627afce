package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"rosey.dev/rosey/runtime/status"
)

// secretValues are values that may be secret, as they may be written. They are left out of texts: those of minLong
// bytes or more wherever they stand, and those of minWord bytes or more where they are a word of their own, since
// "port" is in "report". Shorter ones would be found everywhere.
type secretValues struct {
	long, words map[string]bool
	// first are the first bytes of words, and lengths their lengths in bytes, the longest first.
	first   [256]bool
	lengths []int
	// replacer replaces long. Nil: long has changed since.
	replacer *strings.Replacer
}

const (
	minLong = 8
	minWord = 4
	// shownOfSetting is how much of a wrong setting the runtime shows, in UTF-16 code units.
	shownOfSetting = 40
)

// ordinaryWords are values that are no secret, and that logs and objects have everywhere: also the names of Rosey, of
// its parts and of what it uses, and their ports.
var ordinaryWords = []string{
	"true", "false", "none", "null", "auto", "info", "warn", "error", "debug",
	"rosey", "roseybot", "roseybots", string(status.DatabaseComponent), string(status.PluginComponent),
	string(status.PluginsComponent), "cytube", "nats", "sqlite", "postgres", "postgresql",
	strconv.Itoa(status.HTTPPort), strconv.Itoa(status.PagesPort), "4222", "5432",
}

func isOrdinary(value string) bool { return slices.Contains(ordinaryWords, strings.ToLower(value)) }

func newSecretValues() *secretValues {
	return &secretValues{long: map[string]bool{}, words: map[string]bool{}}
}

// add adds a value, and the parts of it that texts show alone.
func (v *secretValues) add(value string) {
	v.addWord(strings.TrimSpace(value))
	parts := append(strings.Split(value, "\n"), value, beginning(value), strings.Join(strings.Fields(value), " "))
	if address := credentials.FindStringIndex(value); address != nil && strings.ContainsAny(value[address[1]:], "/?") {
		parts = append(parts, value[address[1]:]) // errors of HTTP show it with other credentials
	}
	for _, part := range parts {
		trimmed := strings.TrimSpace(part)
		if isOrdinary(trimmed) {
			continue
		}
		for _, written := range writings(trimmed) {
			if len(part) >= minLong && len(written) >= minLong {
				v.long[written] = true
			}
		}
	}
	v.replacer = nil
}

func (v *secretValues) addWord(value string) {
	if len(value) < minWord || len(value) >= minLong || isOrdinary(value) {
		return
	}
	for _, written := range writings(value) {
		if len(written) >= minWord {
			v.words[written], v.first[written[0]] = true, true
			v.lengths = append(v.lengths, len(written))
		}
	}
	slices.Sort(v.lengths)
	v.lengths = slices.Compact(v.lengths)
	slices.Reverse(v.lengths)
}

// leaveOut returns a text without the values.
func (v *secretValues) leaveOut(text string) string {
	if v.replacer == nil {
		v.replacer = newReplacer(v.long)
	}
	return v.leaveOutWords(v.replacer.Replace(text))
}

// newReplacer returns what leaves out values. Of two of which one is in the other, the longer one is replaced.
func newReplacer(values map[string]bool) *strings.Replacer {
	sorted := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var pairs []string
	for _, value := range sorted {
		pairs = append(pairs, value, leftOut)
	}
	return strings.NewReplacer(pairs...)
}

func (v *secretValues) leaveOutWords(text string) string {
	if len(v.words) == 0 {
		return text
	}
	var out strings.Builder
	done := 0
	for at := 0; at < len(text); {
		end := v.wordAt(text, at)
		if end == at {
			at++
			continue
		}
		out.WriteString(text[done:at] + leftOut)
		done, at = end, end
	}
	return out.String() + text[done:]
}

// wordAt returns the end of the longest word that begins at an index of a text, and the index if there is none.
func (v *secretValues) wordAt(text string, at int) (end int) {
	if !v.first[text[at]] {
		return at
	}
	for _, length := range v.lengths {
		end := at + length
		if end <= len(text) && v.words[text[at:end]] && isBoundary(text, at) && isBoundary(text, end) {
			return end
		}
	}
	return at
}

// escapeAtEnd is a character at the end of a text that is written with letters or digits, or a color of a terminal.
var escapeAtEnd = regexp.MustCompile(
	`(\\[abfnrtv]|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|%[0-9a-fA-F]{2}|\[[0-9;]{0,12}m)$`)

// maxEscape is the length of the longest of them in bytes.
const maxEscape = 14

// isBoundary reports whether a word may begin or end at an index of a text: it is not between two letters or digits.
func isBoundary(text string, at int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	after, _ := utf8.DecodeRuneInString(text[at:])
	return !isOfWord(before) || !isOfWord(after) || escapeAtEnd.MatchString(text[max(0, at-maxEscape):at])
}

func isOfWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// beginning returns what the runtime shows of a long setting in front of "…".
func beginning(text string) string {
	units := utf16.Encode([]rune(text))
	if len(units) <= shownOfSetting {
		return text
	}
	return strings.TrimRight(string(utf16.Decode(units[:shownOfSetting-1])), " \uFFFD")
}

// writings returns a text as logs, errors, addresses and JSON may have it.
func writings(text string) []string {
	quoted := inQuotes(strconv.Quote(text))
	return []string{
		text, status.Printable(text), quoted, asJSON(text, false), asJSON(text, true), asJSON(quoted, false),
		asJSON(quoted, true), url.QueryEscape(text), url.PathEscape(text),
	}
}

func inQuotes(text string) string { return text[1 : len(text)-1] }

// asJSON returns what JSON has between the quotes for a text. With forHTML, <, > and & are escaped too.
func asJSON(text string, forHTML bool) string {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(forHTML)
	if encoder.Encode(text) != nil {
		return text
	}
	return inQuotes(strings.TrimSpace(encoded.String()))
}
