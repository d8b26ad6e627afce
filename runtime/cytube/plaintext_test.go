package cytube_test

import (
	"html"
	"strings"
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

// TestTypedText undoes what the filters of a new channel do to a line, as the simulator recorded them from CyTube.
func TestTypedText(t *testing.T) {
	for _, test := range []struct {
		fragment, want string
		inexact        bool
	}{
		{fragment: `the<em>real</em>bob`, want: `the_real_bob`},
		{fragment: `<em>_x</em>_`, want: `__x__`},
		{fragment: `<strong>a</strong> <em>b</em> <code>c</code> <s>d</s>`, want: "*a* _b_ `c` ~~d~~"},
		{fragment: `<code>a<em>b</em>c</code>`, want: "`a_b_c`"},
		{fragment: `<span class="spoiler">the <em>end</em></span>!`, want: `[sp]the _end_[/sp]!`},
		{fragment: `<a href="https://x/a_b_c" target="_blank" rel="noopener noreferrer">https://x/a_b_c</a>`,
			want: `https://x/a_b_c`},
		{fragment: `&lt;em&gt;x&lt;/em&gt;`, want: `<em>x</em>`},
		// Made by filters of channels.
		{fragment: `the<i>real</i>bob`, want: `the_real_bob`},
		{fragment: `<span style="color:red">bob</span> <em>x</em>`, want: `bob _x_`, inexact: true},
		{fragment: `<span class="spoiler">a<span>b</span>c</span>`, want: `[sp]abc[/sp]`, inexact: true},
		{fragment: `look <img src="https://x/bye.gif" title=":bye:">`, want: `look :bye:`},
		{fragment: `a<br>b</em>`, want: `ab`, inexact: true},
		{fragment: strings.Repeat("<em>", 1000) + "x", want: strings.Repeat("_", 1000) + "x"},
	} {
		if got, exact := cytube.TypedText(test.fragment); got != test.want || exact == test.inexact {
			t.Errorf("%s: %q, exact: %t; want %q", test.fragment, got, exact, test.want)
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
