package builtin_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf16"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin"
	"rosey.dev/rosey/runtime/plugin/plugintest"
	"rosey.dev/rosey/runtime/status"
)

// arguments are of every kind: what people paste, what programs choke on, and what means something to the plugins, the
// bot, or the server.
var arguments = []string{
	"", "a", "1", "-1", "0", "1e309", "NaN", "9223372036854775808", "-9223372036854775808",
	"99999999999999999999d6", "0d0", "1d0", "2d-6", "1d6+9223372036854775807", "4d6kh99", "#0", "#-1", "00001",
	"+5", "½", "٣", "१", "@", "@@", "@alice", "@ alice", "alice", "ALICE bob", "alice_b-c", "Привет мир",
	"こんにちは", "مرحبا", "שלום", "ภาษาไทย", "한국어", "Ελληνικά ΟΔΟΣ", "İstanbul ıI", "ß ẞ", "ﬁ", "é e\u0301",
	"Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f\u031e\u0320\u034dalgo",
	"👩‍👩‍👧‍👦 🏳️‍🌈", strings.Repeat("👩‍👩‍👧‍👦", 60), strings.Repeat("é", 500), strings.Repeat("x", 3000),
	strings.Repeat("a ", 1500), "/kick alice", " /clear", "\u200b/kick alice", "\u2060\ufeff/me x", "!roll",
	"$quote", "{user}", "{args}", "{args}/kick", "\u202eevil\u202c", "a\x00b", "a\x1b[31mb", "a\nb",
	"a\r\n/kick alice", "a\u2028/clear", "a\tb", "\u00a0", "\u200b", "\u3164",
	"%s %d %n %!v(MISSING) %99999999d", "{env:PLUGIN_HTTP_KEY} {1} {9} {/a}", "{{.}} ${x} `id` $(id)",
	`"; DROP TABLE kv; --`, `\`, `"`, `'`, "`", "(", "[", "*", "(?P<x", "a|b", "|", "||", "| |", "a |",
	"x | y | z", "x = y", "=", "a = b = c", "= in 90m", "name = in 9999999h", "name = in -5m",
	"name = 2031-02-30 25:61", "name = every", "name = every xyz 20:00", "name = 0000-00-00 00:00", "a.b.c",
	"a.b.c.true", "...", "title.a.b.true.true", "title | a | a | hidden", strings.Repeat("o | ", 80), "5m",
	"-5m", "1ns", "99999h", "30m", "30m |", "30m /kick", "30m {user}", "10m hello", "start", "start 0",
	"start -1", "start 99999999999", "start 5 nosuch", "stop x", "skip", "score", "score @", "top 5", "answer",
	"hidden", "true", "null", `{"a":1}`, "<b>bold</b> &amp; <script>alert(1)</script>",
	"https://youtu.be/Xh8OOKQXqOQ", "https://youtu.be/", "youtu.be/Xh8OOKQXqOQ title", "http://[::1]:99999/%zz",
	"javascript:alert(1)", "yt:" + strings.Repeat("x", 600), "yt:a\u0000b", "file:///etc/passwd",
	"https://example.com/" + strings.Repeat("a", 400), "fi:http://x/y.mp4", "rolls/alice", "../../x", "..",
	"a/b", "a*b", ">", "a>b", "_INBOX.x", "$SRV.PING", "name\u00a0x", "nämé text", "addcommand x", "a b",
}

// echo answers as a web API and as a language model, with what it was asked.
func echo(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Messages []struct{ Content string }
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		if len(body.Messages) == 0 {
			_, _ = io.WriteString(w, r.URL.Query().Get("q"))
			return
		}
		_, text, _ := strings.Cut(body.Messages[len(body.Messages)-1].Content, ": ")
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"choices": []any{map[string]any{"message": map[string]any{"content": text}}},
		})
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Whatever somebody types, a command of a built-in plugin answers with lines that the bot says, or with what was
// expected: never with an error of the plugin itself.
func TestNoArgumentsMakeACommandFail(t *testing.T) {
	t.Parallel()
	url := echo(t)
	options := map[string][]plugintest.Option{
		"http": {
			plugintest.Setting("allowPrivate", "true"),
			plugintest.Setting("command.echo", "{url: '"+url+"/?q={args}', format: text}"),
			plugintest.Setting("command.words", "{url: '"+url+"/?q={1}+{2}&user={user}', format: text}"),
		},
		"llm": {
			plugintest.Setting("endpoint", url), plugintest.Setting("model", "echo"),
			plugintest.Setting("allowPrivate", "true"), plugintest.Setting("perMinute", "10000"),
			plugintest.Setting("perDay", "100000"), plugintest.Setting("tokensPerDay", "100000000"),
		},
	}
	// What an argument is a part of, besides being all that follows the command.
	forms := map[string][]string{
		"countdown": {"%s = in 90m", "x = %s"},
		"custom":    {"hello %s", "30m %s", "hello said: {user} {args} %s"},
		"dice":      {"%s, b", "2d6%s", "a %s"},
		"playlist":  {"https://youtu.be/%s"},
		"polls":     {"https://youtu.be/Xh8OOKQXqOQ %s", "t | %s | x"},
		"quotes":    {"@%s x", "@x %s"},
		"trivia":    {"start 5 %s", "score %s"},
	}
	for _, name := range builtin.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := builtin.New(name)
			room := plugintest.Open(t, p, options[name]...)
			mod := room.As("mod", plugin.Founder)
			if name == "custom" {
				mod.Says("!addcommand echo said: {user} {args}").Expects("^!echo is there now")
			}
			for _, command := range p.Commands() {
				for _, form := range append(forms[name], "%s") {
					for _, args := range arguments {
						args = strings.Replace(form, "%s", args, 1)
						if problem := unsaid(mod.Says("!" + command.Name + " " + args)); problem != "" {
							t.Errorf("!%s %.60q: %s", command.Name, args, problem)
						}
					}
				}
			}
		})
	}
}

// unsaid returns why a bot would not say an answer, or "". What was expected it says behind the command.
func unsaid(answer *plugintest.Answer) string {
	if answer.Refused != "" || answer.Failed != "" {
		return "refused: " + answer.Refused + ", failed: " + answer.Failed
	}
	for _, line := range answer.Lines {
		switch {
		case bus.ContainsCommand(line):
			return fmt.Sprintf("%q is a command", line)
		case len(utf16.Encode([]rune(line))) > plugin.MaxLength:
			return fmt.Sprintf("%q is too long", line)
		case status.OneLine(line, plugin.MaxLength) == "":
			return "it has an empty line"
		}
	}
	return ""
}
