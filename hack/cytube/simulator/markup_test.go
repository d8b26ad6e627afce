package simulator_test

import (
	"testing"

	"rosey.dev/rosey/hack/cytube/simulator"
)

func TestFormatMessage(t *testing.T) {
	t.Parallel()
	const attributes = ` target="_blank" rel="noopener noreferrer">`
	tests := map[string]struct{ text, html string }{
		"markup is escaped":        {`<b>&amp;</b>`, `&lt;b&gt;&amp;amp;&lt;/b&gt;`},
		"quotes and brackets stay": {`"it's" (so)`, `"it's" (so)`},
		"link with a query": {
			"see https://a.example/?x=1&y=2 now",
			`see <a href="https://a.example/?x=1&amp;y=2"` + attributes + `https://a.example/?x=1&amp;y=2</a> now`,
		},
		"link ends at a space of any script": {
			"http://a.example/b\u3000c",
			`<a href="http://a.example/b"` + attributes + "http://a.example/b</a>\u3000c",
		},
		"filters leave links alone": {
			"_x_ http://a.example/_y_/ *z*",
			`<em>x</em> <a href="http://a.example/_y_/"` + attributes + `http://a.example/_y_/</a> <strong>z</strong>`,
		},
		"quote in a link": {
			`http://a.example/"q"`,
			`<a href="http://a.example/&quot;q&quot;"` + attributes + `http://a.example/"q"</a>`,
		},
		"host and port without a path": {
			"ftp://a.example:21", `<a href="ftp://a.example:21"` + attributes + "ftp://a.example:21</a>",
		},
		"scheme that is not allowed": {"javascript://a", "<a" + attributes + "javascript://a</a>"},
		"inline spoiler":             {"[SP]x[/sp]", `<span class="spoiler">x</span>`},
		"strike and code":            {"~~a~~ `b`", "<s>a</s> <code>b</code>"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := simulator.FormatMessage(test.text); got != test.html {
				t.Errorf("text %s\n got %s\nwant %s", test.text, got, test.html)
			}
		})
	}
}
