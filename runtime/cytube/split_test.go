package cytube

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSplitLine(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"short":                      {"hello there", []string{"hello there"}},
		"blank":                      {" \n ", nil},
		"lines":                      {"one\n\ntwo\r\n", []string{"one", "two"}},
		"between words":              {"one two three four", []string{"one two three", "four"}},
		"one word too long":          {strings.Repeat("x", 30), []string{strings.Repeat("x", 15), strings.Repeat("x", 15)}},
		"surrogate pairs stay whole": {strings.Repeat("🍿", 9), []string{strings.Repeat("🍿", 7), "🍿🍿"}},
		"white space at the ends":    {" /kick bob ", []string{"/kick bob"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, SplitLine(test.text, 16)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzSplitLine(f *testing.F) {
	f.Add("a long line of words /kick me 🍿🍿🍿", 9)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 3 || limit > 1000 || !utf8.ValidString(text) {
			t.Skip("not a limit that CyTube can have, or no text")
		}
		parts := SplitLine(text, limit)
		for _, part := range parts {
			units := len(utf16.Encode([]rune(part)))
			if units > limit-1 && units > 2 || !utf8.ValidString(part) || strings.TrimSpace(part) == "" {
				t.Errorf("part %q of %q", part, text)
			}
		}
		if got, want := withoutSpace(strings.Join(parts, "")), withoutSpace(text); got != want {
			t.Errorf("%q became %q", want, got)
		}
	})
}

func withoutSpace(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
}
