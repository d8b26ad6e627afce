package cytube_test

import (
	"html"
	"testing"

	"rosey.dev/rosey/runtime/cytube"
)

func TestPlainText(t *testing.T) {
	for _, test := range []struct{ fragment, want string }{
		// Recorded: see the captures of hack/cytube/simulator.
		{`hi alice! &lt;b&gt;bold?&lt;/b&gt; &amp; "quotes"`, `hi alice! <b>bold?</b> & "quotes"`},
		{`日本語 🍿 <a href="https://example.com/?a=1&amp;b=2" target="_blank">https://example.com/?a=1&amp;b=2</a>`,
			`日本語 🍿 https://example.com/?a=1&b=2`},
		{`<strong>stars</strong> <em>under</em> <code>code</code>`, `stars under code`},
		{`&gt;greentext`, `>greentext`},
		// Made by chat filters.
		{`look <img class="channel-emote" src="https://x/bye.gif" title=":bye:">!`, `look :bye:!`},
		{`<img src="https://x/bye.gif" alt="bye">`, `bye`},
		{`<img src="https://x/bye.gif">`, `https://x/bye.gif`},
		{`<span title="a > b">c</span>`, `c`},
		{"  two\n\tlines&nbsp; ", `two lines`},
		{`I <3 this`, `I <3 this`},
		{``, ``},
	} {
		if got := cytube.PlainText(test.fragment); got != test.want {
			t.Errorf("%s: %q, want %q", test.fragment, got, test.want)
		}
	}
}

// What somebody types comes back escaped: its text is what was typed.
func TestPlainTextOfEscapedText(t *testing.T) {
	for _, typed := range []string{`<img title="x">`, `</a> &amp; <`, `1 < 2 > 0`, `"'&#39;`, `<!-- x`, `<plaintext> y`} {
		if got := cytube.PlainText(html.EscapeString(typed)); got != typed {
			t.Errorf("%q, want %q", got, typed)
		}
	}
}
