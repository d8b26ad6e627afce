package speech

import (
	"html"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

// cutTo cuts a line as JavaScript does, which can leave half of a character.
func cutTo(text string, limit int) string {
	return string(utf16.Decode(utf16.Encode([]rune(text))[:min(limit, units(text))]))
}

// cutting is a server that cuts lines and private messages, and what it shows in the channel and to users.
type cutting struct {
	limit  int
	filter func(text string) string // what the channel makes of a line. Nil: nothing.
	shown  []string
	cuts   int
}

func (s *cutting) show(text string) string {
	cut := cutTo(text, s.limit)
	if cut != text {
		s.cuts++
	}
	body, _ := Message{Text: cut, Command: true}.body()
	if s.filter != nil {
		body = s.filter(body)
	}
	s.shown = append(s.shown, body)
	return html.EscapeString(body)
}

// use has the channel behave like the server.
func (s *cutting) use(c *channel) {
	c.behave(func(text string) { c.HeardOwn(cytube.ChatMessage{HTML: s.show(text), Time: time.Now()}) }, c.takeReports)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onPM = func(to, text string) { c.HeardOwnPM(cytube.PM{To: to, HTML: s.show(text)}) }
}

// squeeze returns a text without what may differ when it is said in several lines, and without halves of characters.
func squeeze(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, text)
}

var longTexts = []string{
	strings.Repeat("the projectionist told me that ", 10) + "it was all true",
	strings.Repeat("x", 1000),
	strings.Repeat("🍿", 500),
	"a" + strings.Repeat("🍿", 500),
	"see https://example.com/" + strings.Repeat("watch_", 60) + " for more",
	strings.Repeat("one line\n", 4) + strings.Repeat("another line ", 40),
	strings.Repeat("&amp; <b> \"quotes\" ", 30),
	strings.Repeat("*what* a _shot_ ", 40),
	strings.Repeat("wide     spaces    ", 30),
	"look: " + strings.Repeat("/kick alice ", 40),
	"short",
}

// TestNothingOfALongLineIsLost checks this with servers of several maximum lengths, in the channel and in private
// messages, and that the bot learns the length.
func TestNothingOfALongLineIsLost(t *testing.T) {
	for _, limit := range []int{minMaxLength + 10, 100, 239, 240, 319, 320, 500, 1000} {
		inChannel(t, func(t *testing.T, c *channel) {
			server := &cutting{limit: limit}
			server.use(c)
			for i, text := range longTexts {
				c.put(queuedLine(int64(i+1), text))
			}
			pass(5 * time.Minute)
			if got, want := squeeze(strings.Join(server.shown, "")), squeeze(strings.Join(longTexts, "")); got != want {
				t.Errorf("limit %d: said (-want +got):\n%s", limit, cmp.Diff(want, got))
			}
			if marked := len(c.marked); marked != len(longTexts) {
				t.Errorf("limit %d: %d of %d lines are reported as sent, %v", limit, marked, len(longTexts), c.reports)
			}
			if server.cuts > 4 {
				t.Errorf("limit %d: %d lines were cut, the bot has not learned it", limit, server.cuts)
			}
			server.shown, server.cuts = nil, 0
			for _, text := range longTexts {
				if got := c.Speaker.Say(t.Context(), Message{To: "alice", Text: text}); got.Outcome != Said {
					t.Errorf("limit %d: private message: %s", limit, got)
				}
			}
			if got, want := squeeze(strings.Join(server.shown, "")), squeeze(strings.Join(longTexts, "")); got != want {
				t.Errorf("limit %d: private messages (-want +got):\n%s", limit, cmp.Diff(want, got))
			}
			if server.cuts > 0 {
				t.Errorf("limit %d: %d private messages were cut with the length that the bot has learned", limit, server.cuts)
			}
		})
	}
}

// TestTheRestOfACutLineComesNext checks that nothing comes between a line and what the server has cut off it, also in a
// message that belongs to no line of the queue.
func TestTheRestOfACutLineComesNext(t *testing.T) {
	server := &cutting{limit: 240}
	inChannelThat(t, server.use, func(t *testing.T, c *channel) {
		pass(time.Second)
		want := []string{strings.Repeat("a", 236), strings.Repeat("a", 14), "between"}
		if diff := cmp.Diff(want, server.shown); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
		results := make(chan Result, 2)
		for _, text := range []string{strings.Repeat("b", 250), "then"} {
			go func() { results <- c.Speaker.Say(t.Context(), Message{Text: text}) }()
			pass(time.Millisecond)
		}
		want = append(want, strings.Repeat("b", 240), strings.Repeat("b", 10), "then")
		if diff := cmp.Diff(want, server.shown); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
	}, queuedLine(1, "/me "+strings.Repeat("a", 250)), queuedLine(2, "between"))
}

// TestFiltersThatShortenALineAreNoMaximumLength checks filters of a channel that remove or change the end of a line.
func TestFiltersThatShortenALineAreNoMaximumLength(t *testing.T) {
	long := strings.Repeat("and then ", 20)
	for name, filter := range map[string]func(string) string{
		"a word is removed":    func(text string) string { return strings.ReplaceAll(text, "badword", "") },
		"a word is replaced":   func(text string) string { return strings.ReplaceAll(text, "badword", "b***") },
		"everything goes away": func(string) string { return "" },
		"the end goes away":    func(text string) string { text, _, _ = strings.Cut(text, " badword"); return text },
	} {
		t.Run(name, func(t *testing.T) {
			inChannel(t, func(t *testing.T, c *channel) {
				server := &cutting{limit: 320, filter: filter}
				server.use(c)
				texts := []string{"badword", "hi badword", long + "badword", long + "badword badword", "well, " + long + "badword",
					long + long[:90]}
				for i, text := range texts {
					c.put(queuedLine(int64(i+1), text))
				}
				pass(time.Minute)
				if len(c.marked) != len(texts) || len(c.failures) > 0 {
					t.Errorf("%d of %d lines are reported as sent, %v", len(c.marked), len(texts), c.reports)
				}
				if got := c.Tracker.length.get(); got != cytube.MaxLine {
					t.Errorf("the bot has learned that lines have at most %d characters", got)
				}
			})
		})
	}
}

// TestACutLineOfAnotherBotIsContinued checks that a bot that takes over says only what is missing, however long the
// other one knew that lines may be.
func TestACutLineOfAnotherBotIsContinued(t *testing.T) {
	text := strings.Repeat("the projectionist told me that ", 20)
	for name, test := range map[string]struct{ history []string }{
		"cut":           {[]string{text[:240]}},
		"split shorter": {cytube.SplitLine(text, 240)[:1]},
		"split longer":  {cytube.SplitLine(text, 500)[:1]},
		"two parts":     {cytube.SplitLine(text, 240)[:2]},
		"all of it":     {cytube.SplitLine(text, 320)},
	} {
		t.Run(name, func(t *testing.T) {
			joining(t, func(t *testing.T, c *channel) {
				server := &cutting{limit: 1000}
				server.use(c)
				claimed := time.Now()
				c.Replayed(cytube.ChatMessage{HTML: "long ago", Time: claimed.Add(-time.Hour)}, false)
				for _, line := range test.history {
					c.Replayed(cytube.ChatMessage{HTML: html.EscapeString(line), Time: claimed}, true)
				}
				pass(time.Second)
				c.Joined(time.Now())
				c.SetPermission(PermissionGranted)
				c.put(claimedLine(text, claimed))
				pass(5 * time.Second)
				said := strings.Join(append(slices.Clone(test.history), server.shown...), "")
				if diff := cmp.Diff(squeeze(text), squeeze(said)); diff != "" {
					t.Errorf("said (-want +got):\n%s", diff)
				}
				c.expectMarked(t, 1)
			})
		})
	}
}

// TestALateEchoOfACutLine checks that it is recognized, and that only the rest is said.
func TestALateEchoOfACutLine(t *testing.T) {
	text := strings.Repeat("the projectionist told me that ", 9)
	inChannel(t, func(t *testing.T, c *channel) {
		pass(6 * time.Second)
		c.expect(t, "reports", &c.reports, "mark_failed unanswered")
		c.HeardOwn(echo(text[:240]))
		server := &cutting{limit: 240}
		server.use(c)
		pass(5 * time.Minute)
		if diff := cmp.Diff(squeeze(text[240:]), squeeze(strings.Join(server.shown, ""))); diff != "" {
			t.Errorf("said (-want +got):\n%s", diff)
		}
		c.expectMarked(t, 1)
	}, queuedLine(1, text))
}

// TestAConfiguredLengthIsUsedAtOnce checks it for one that is longer and one that is shorter than CyTube's default.
func TestAConfiguredLengthIsUsedAtOnce(t *testing.T) {
	for configured, parts := range map[int]int{100: 11, 1000: 2} {
		l := newLine(bus.OutboundMessage{ID: 1, Message: strings.Repeat("x", 1000)}, NewTracker(configured).length)
		said := 0
		for ; !l.complete(); said++ {
			l.markAppeared(l.message(), "")
		}
		if said != parts {
			t.Errorf("%d parts with a maximum length of %d, expected %d", said, configured, parts)
		}
	}
}
