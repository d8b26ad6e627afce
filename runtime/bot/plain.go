package bot

import (
	"html"
	"regexp"
	"strings"
)

var markup = regexp.MustCompile(`<[^>]*>`)

// plainText makes text of HTML as the server makes it of lines, on one line.
func plainText(fragment string) string {
	return strings.Join(strings.Fields(html.UnescapeString(markup.ReplaceAllString(fragment, ""))), " ")
}
