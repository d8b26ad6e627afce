package web

import (
	"fmt"
	"html/template"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

// linkPattern matches what is shown as a link. What ends a sentence is not part of it.
var linkPattern = regexp.MustCompile(`https?://[^\s<>"'` + "`" + `]*[^\s<>"'` + "`" + `.,;:!?)\]}]`)

// maxLinks bounds the links in one text. The rest stays text.
const maxLinks = 20

// linkify returns plain text as HTML with links. It escapes everything; a link does not tell its page where it was,
// and gives it no hold on ours.
func linkify(text string) template.HTML {
	var out strings.Builder
	at := 0
	for _, found := range linkPattern.FindAllStringIndex(text, maxLinks) {
		link := text[found[0]:found[1]]
		if parsed, err := url.Parse(link); err != nil || parsed.Host == "" {
			continue
		}
		out.WriteString(template.HTMLEscapeString(text[at:found[0]]))
		escaped := template.HTMLEscapeString(link)
		out.WriteString(`<a href="` + escaped + `" rel="noopener noreferrer nofollow" target="_blank">` + escaped + `</a>`)
		at = found[1]
	}
	out.WriteString(template.HTMLEscapeString(text[at:]))
	return template.HTML(out.String()) //nolint:gosec // every part is escaped
}

// maxShownText bounds the text of a line in characters. CyTube itself cuts lines at some hundred.
const maxShownText = 4000

// chatText returns the HTML of a chat line, as CyTube sent it, as printable plain text. An emote is its name: no
// picture of a stranger's server is loaded.
func chatText(fragment string) string {
	return status.OneLine(cytube.PlainText(fragment), maxShownText)
}

// chatHTML is chatText with links.
func chatHTML(fragment string) template.HTML { return linkify(chatText(fragment)) }

// hues is the number of colours for names, those of rosey.css.
const hues = 12

// hueOf returns the number of the colour of a name, the same for each spelling.
func hueOf(name string) int {
	sum := uint32(2166136261) // FNV-1a
	for _, c := range []byte(strings.ToLower(name)) {
		sum = (sum ^ uint32(c)) * 16777619
	}
	return int(sum % hues)
}

// pathPart returns a name as one segment of a relative URL. html/template would leave a slash and a dot as they are.
func pathPart(name string) string {
	escaped := url.PathEscape(name)
	if escaped == "." || escaped == ".." {
		return strings.ReplaceAll(escaped, ".", "%2E")
	}
	return escaped
}

// wordsOf returns a name such as NATSUnreachable, of a reason or a check, as words: "NATS unreachable".
func wordsOf(name any) string {
	runes := []rune(strings.ReplaceAll(status.OneLine(fmt.Sprint(name), maxShownText), "JetStream", "Jetstream"))
	var words strings.Builder
	for i, letter := range runes {
		isUpper := func(at int) bool { return at < len(runes) && unicode.IsUpper(runes[at]) }
		if i > 0 && isUpper(i) {
			endsAcronym := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if runes[i-1] != ' ' && (!isUpper(i-1) || endsAcronym) {
				words.WriteRune(' ')
			}
			if endsAcronym {
				letter = unicode.ToLower(letter)
			}
		}
		words.WriteRune(letter)
	}
	return words.String()
}
