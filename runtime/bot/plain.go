package bot

import (
	"html"
	"regexp"
	"strings"
)

var (
	markup = regexp.MustCompile(`<[^>]*>`)
	// lineCommand is what the server takes off the front of a line and shows in another way.
	lineCommand = regexp.MustCompile(`^/(me|sp|say|shout|rcv) `)
)

// plainText makes text of HTML as the server makes it of lines, on one line.
func plainText(fragment string) string {
	return strings.Join(strings.Fields(html.UnescapeString(markup.ReplaceAllString(fragment, ""))), " ")
}

// shownAs is how a line that we say looks as plainText when it comes back, unless the server rewrites it
// more than that.
func shownAs(line string) string {
	return strings.Join(strings.Fields(lineCommand.ReplaceAllString(strings.TrimSpace(line), "")), " ")
}
