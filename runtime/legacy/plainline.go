package legacy

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// plainLine is a line of chat as a CytubeBot stores it.
type plainLine struct {
	milliseconds int64 // since 1970
	user         string
	// text is without HTML.
	text string
}

func (l plainLine) at() time.Time { return time.UnixMilli(l.milliseconds).UTC() }

// escapeHTML escapes text as CyTube does.
var escapeHTML = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;",
	"(", "&#40;", ")", "&#41;")

// html returns the text as CyTube sends one without formatting.
func (l plainLine) html() string { return escapeHTML.Replace(l.text) }

var (
	// unescaped are the character references that a CytubeBot replaces, one after the other: of "&amp;lt;" it makes "<".
	unescaped = [][2]string{
		{"&#39;", "'"}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", `"`}, {"&#40;", "("}, {"&#41;", ")"},
	}
	// tags are what it removes then, also where somebody has written them.
	tags = regexp.MustCompile(`<[^>]+>`)
)

// plainText returns what a CytubeBot stores of a text that CyTube has sent.
func plainText(html string) string {
	for _, pair := range unescaped {
		html = strings.ReplaceAll(html, pair[0], pair[1])
	}
	return strings.TrimLeft(tags.ReplaceAllString(html, ""), " \t")
}

// storedLines finds lines among those that this program's bot stored. Both bots store CyTube's time. It holds few of
// them at a time: a channel has many.
type storedLines struct {
	target  store.Queries
	channel store.Channel
	// ahead are lines that are not before the last one that was asked for.
	ahead []store.ChatRow
	after *store.Position // the last line that was read
	more  bool            // there may be more behind it
}

func newStoredLines(target store.Queries, channel store.Channel) *storedLines {
	return &storedLines{target: target, channel: channel, more: true}
}

// has reports whether the bot stored a line. Callers pass lines in the order of their times.
func (s *storedLines) has(ctx context.Context, one plainLine) (bool, error) {
	at := one.at()
	for len(s.ahead) > 0 && s.ahead[0].At.Before(at) {
		s.ahead = s.ahead[1:]
	}
	for number := 0; ; number++ {
		for number == len(s.ahead) && s.more {
			if err := s.read(ctx, at); err != nil {
				return false, err
			}
		}
		if number == len(s.ahead) || s.ahead[number].At.After(at) {
			return false, nil
		}
		own := s.ahead[number]
		if store.Fold(own.Username) == store.Fold(one.user) && plainText(own.Text) == one.text {
			return true, nil
		}
	}
}

// read reads the next lines from a time on.
func (s *storedLines) read(ctx context.Context, from time.Time) error {
	const rows, size = 1000, 8 << 20
	query := store.ChatQuery{
		Span: store.Span{From: from}, Ascending: true, Limit: rows, MaxRead: rows, MaxBytes: size,
	}
	if s.after != nil && !s.after.At.Before(from) {
		query.After = s.after
	}
	page, err := s.target.Chat(ctx, s.channel, query)
	if err != nil {
		return fmt.Errorf("reading the lines that are stored already: %w", err)
	}
	for _, line := range page.Lines {
		if !strings.Contains(line.ID, cytubeBotMarker) && !strings.Contains(line.ID, pythonMarker) {
			s.ahead = append(s.ahead, line)
		}
	}
	s.after, s.more = page.Read, page.More && page.Read != nil
	return nil
}
