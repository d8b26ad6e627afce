package status_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"rosey.dev/rosey/runtime/status"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "",
		"plain ~text!":                     "plain ~text!",
		"äöü 日本 Привет שלום":               "äöü 日本 Привет שלום",
		"two\nlines\r\n\tin\v\u0085\u2028": "two lines   in   ",
		"\x1b[31m\x00\b\x7f":               "\ufffd[31m\ufffd\ufffd\ufffd",
		"\u009b31m \x9b31m":                "\ufffd31m \ufffd31m",
		"right \u202eto\u2066 left":        "right \ufffdto\ufffd left",
		"ad\u200bmin\ufeff\u00ad\u2060":    "ad\ufffdmin\ufffd\ufffd\ufffd",
		"\u3164\u115f\u034f\ufff9":         "\ufffd\ufffd\ufffd\ufffd",
		"tag \U000e0041\U000e007f":         "tag \ufffd\ufffd",
		"private \ue000 \U0010ffff":        "private \ufffd \ufffd",
		"no\u00a0break\u3000wide":          "no break wide",
		// Emoji of several characters: a family, a heart in color, a keycap, a flag, a skin color.
		"👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥 1\ufe0f\u20e3 🇫🇷 👍🏽": "👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥 1\ufe0f\u20e3 🇫🇷 👍🏽",
		"a\u200db a\ufe0f 1\ufe0f2 🍿\u200d":                  "a\ufffdb a\ufffd 1\ufffd2 🍿\ufffd",
		"🍿\ufe0f\ufe0f\ufe0f\U000e0100":                      "🍿\ufe0f\ufffd\ufffd\ufffd",
		// Joiners in Persian and Hindi, and between Latin letters.
		"می\u200cخواهم क्\u200dष in\u200cvisible": "می\u200cخواهم क्\u200dष in\ufffdvisible",
		"z" + strings.Repeat("\u0335", 50) + "!":  "z" + strings.Repeat("\u0335", 8) + "!",
	} {
		if got := status.Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if got := status.Printable(want); got != want {
			t.Errorf("%q became %q", want, got)
		}
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		" two\nlines \x1b[1m ":   "two lines \ufffd[1m",
		"right \u202eto left":    "right \ufffdto left",
		"äöü 1234567890":         "äöü 1234567890",
		"äöü 1234567890, and on": "äöü 1234567890…",
	} {
		if got := status.OneLine(text, 14); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestPrintableWriter writes a text byte by byte, so that every character is split.
func TestPrintableWriter(t *testing.T) {
	var out bytes.Buffer
	writer := status.PrintableWriter(&out)
	const text = "日本\n\t🍿 \x1b[2J \u009b \x9b \u202e ok\n"
	for _, c := range []byte(text) {
		if n, err := writer.Write([]byte{c}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	const want = "日本\n\t🍿 \ufffd[2J \ufffd \ufffd \ufffd ok\n"
	if out.String() != want || string(status.PrintableLines([]byte(text))) != want {
		t.Errorf("%q and %q, want %q", out.String(), status.PrintableLines([]byte(text)), want)
	}
}

// FuzzPrintable checks what must hold for any text: one line of valid UTF-8, in which the only characters that show
// nothing join or style others, and which does not change when it is made printable again.
func FuzzPrintable(f *testing.F) {
	f.Add("a\x00\u009b\u202e\u200d👨\u200d👩\ufe0f\U000e0041\x9b\u2028🍿क्\u200dष")
	f.Fuzz(func(t *testing.T, text string) {
		got := status.Printable(text)
		if !utf8.ValidString(got) || status.Printable(got) != got {
			t.Errorf("%q became %q, and then %q", text, got, status.Printable(got))
		}
		for _, r := range got {
			isJoiner := r == '\u200c' || r == '\u200d' || r == '\ufe0e' || r == '\ufe0f'
			if !unicode.IsGraphic(r) && !isJoiner || unicode.IsSpace(r) && r != ' ' {
				t.Errorf("%q became %q with %U", text, got, r)
			}
		}
		lines := string(status.PrintableLines([]byte(text)))
		if strings.Count(lines, "\n") != strings.Count(text, "\n") || strings.ContainsAny(lines, "\x1b\r\u009b\u202e") {
			t.Errorf("%q became %q", text, lines)
		}
	})
}

func FuzzEscapeJSON(f *testing.F) {
	f.Add("a\u009b\u202e\U000e0041\x9b\u2028🍿")
	f.Add("e" + strings.Repeat("\u0301", 200) + "\u00a0x")
	f.Fuzz(func(t *testing.T, text string) {
		document, err := json.Marshal(map[string]string{"text": text})
		if err != nil {
			t.Fatal(err)
		}
		raw := []byte(`{"text":"` + strings.NewReplacer(`"`, "", `\`, "", "\n", "", "\t", "").Replace(text) + `"}`)
		for _, document := range [][]byte{document, raw} {
			if !json.Valid(document) {
				continue
			}
			escaped := status.EscapeJSON(document)
			var want, got map[string]string
			if json.Unmarshal(document, &want) != nil || json.Unmarshal(escaped, &got) != nil || want["text"] != got["text"] {
				t.Errorf("%q became %q", document, escaped)
			}
			if shown := status.PrintableLines(escaped); !bytes.Equal(shown, escaped) {
				t.Errorf("of %q is shown %q", escaped, shown)
			}
			if !utf8.Valid(escaped) || bytes.ContainsAny(escaped, "\x7f\u009b\u202e\u2028\u200b\U000e0041\ufeff") {
				t.Errorf("%q is not printable", escaped)
			}
		}
	})
}
