package simulator

import (
	"regexp"
	"strings"
)

// escapeText escapes the characters that CyTube escapes in the text of a line. CyTube first escapes quotes and
// parentheses too, but its HTML sanitizer unescapes them.
var escapeText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escapeLoosely and escapeAll are for text that the sanitizer does not process.
var (
	escapeLoosely = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")
	escapeAll     = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;",
		"(", "&#40;", ")", "&#41;")
)

// jsSpace is JavaScript's \s, for use inside a character class.
const jsSpace = `\s\v\p{Z}\x{feff}`

// linkPattern matches a link as CyTube does: scheme, host or IPv6 literal, optional port, path to the next space.
var linkPattern = regexp.MustCompile(`(?i)\w+://(?:[^:/\[\]` + jsSpace + `]+|\[[0-9a-f:]+\])(?::\d+)?` +
	`(?:/[^` + jsSpace + `]*)?`)

// linkMark replaces a link while the filters run, so that they cannot change it.
const linkMark = "\ueeee"

// filters are the filters of a new channel, in order.
var filters = []struct {
	pattern *regexp.Regexp
	replace string
}{
	{regexp.MustCompile("`(.+?)`"), "<code>$1</code>"},
	{regexp.MustCompile(`\*(.+?)\*`), "<strong>$1</strong>"},
	{regexp.MustCompile(`_(.+?)_`), "<em>$1</em>"},
	{regexp.MustCompile(`~~(.+?)~~`), "<s>$1</s>"},
	{regexp.MustCompile(`(?i)\[sp\](.*?)\[/sp\]`), `<span class="spoiler">$1</span>`},
}

// formatMessage returns the HTML of a line's text.
func formatMessage(text string) string {
	text = escapeText.Replace(text)
	links := linkPattern.FindAllString(text, -1)
	text = linkPattern.ReplaceAllLiteralString(text, linkMark)
	for _, f := range filters {
		text = f.pattern.ReplaceAllString(text, f.replace)
	}
	for _, link := range links {
		text = strings.Replace(text, linkMark, anchor(link), 1)
	}
	return text
}

// anchor returns the HTML of an escaped link. The sanitizer removes targets whose scheme is not allowed.
func anchor(link string) string {
	const rest = ` target="_blank" rel="noopener noreferrer">`
	scheme, _, _ := strings.Cut(link, ":")
	switch strings.ToLower(scheme) {
	case "http", "https", "ftp", "mailto", "mumble":
		return `<a href="` + strings.ReplaceAll(link, `"`, "&quot;") + `"` + rest + link + "</a>"
	default:
		return "<a" + rest + link + "</a>"
	}
}
