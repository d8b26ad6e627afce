package cytube

import (
	"strings"

	"golang.org/x/net/html"
)

// PlainText returns the text of an HTML fragment as CyTube sends it, on one line: without tags, with entities
// resolved and white space collapsed. An image is replaced with its name (title, alt or address), since chat filters
// turn the name of an emote into an image with that title: people recognize it, and the echo of a line that the bot
// said stays equal to what was typed.
func PlainText(fragment string) string {
	var text strings.Builder
	for tokens := html.NewTokenizer(strings.NewReader(fragment)); tokens.Next() != html.ErrorToken; {
		switch token := tokens.Token(); {
		case token.Type == html.TextToken:
			text.WriteString(token.Data)
		case token.Data == "img":
			text.WriteString(imageName(token))
		}
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

func imageName(image html.Token) string {
	for _, name := range []string{"title", "alt", "src"} {
		for _, attribute := range image.Attr {
			if attribute.Key == name {
				return attribute.Val
			}
		}
	}
	return ""
}
