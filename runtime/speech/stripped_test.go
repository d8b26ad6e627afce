package speech

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/cytube"
)

// filters are filters of a channel that remove the ends of lines.
var filters = map[string]func(string) string{
	"URLs": func(text string) string {
		return strings.TrimSpace(regexp.MustCompile(`https?://\S+`).ReplaceAllString(text, ""))
	},
	"URLs with brackets": func(text string) string {
		return strings.TrimSpace(regexp.MustCompile(`\(https?://\S+`).ReplaceAllString(text, ""))
	},
	"line ends": func(text string) string { text, _, _ = strings.Cut(text, " -- brought"); return text },
	"URLs behind a word": func(text string) string {
		return regexp.MustCompile(`(\w:?) https?://\S+`).ReplaceAllString(text, "$1")
	},
}

// configure sets the maximum length of a line.
func (c *channel) configure(length int) {
	c.post(func() { c.Tracker.length = newMaxLength(length) })
	synctest.Wait()
}

// announcements returns lines of a template, of which all prefixes have one length.
func announcements(count int) (lines []string) {
	for i := range count {
		lines = append(lines, fmt.Sprintf(
			"At %02d:%02d tonight we show this great film: https://example.com/watch/%d -- brought to you by us", 10+i, 59-i, i))
	}
	return lines
}

// TestAFilterMakesLinesNoShorter: what a filter of the channel removes from the ends of lines is not taken for the
// server's maximum length, with and without a configured one.
func TestAFilterMakesLinesNoShorter(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("a long line of words ", 10))
	for name, filter := range filters {
		for _, configured := range []int{0, 240} {
			t.Run(fmt.Sprint(name, ", configured ", configured), func(t *testing.T) {
				inChannel(t, func(t *testing.T, c *channel) {
					c.configure(configured)
					server := &cutting{limit: max(configured, cytube.MaxLine), filter: filter}
					server.use(c)
					lines := append(announcements(10), long)
					for i, line := range lines {
						c.put(queuedLine(int64(i+1), line))
					}
					pass(10 * time.Minute)
					if shown := server.shown[len(server.shown)-1]; shown != long {
						t.Errorf("the long line ends with %q, the bot has learned %d", shown, c.Tracker.length.get())
					}
					if len(c.marked) != len(lines) {
						t.Errorf("%d of %d lines are reported as sent: %v", len(c.marked), len(lines), c.reports)
					}
				})
			})
		}
	}
}

// TestAnEndThatAFilterRemovesIsNotSentAgain: not with every line.
func TestAnEndThatAFilterRemovesIsNotSentAgain(t *testing.T) {
	for name, test := range map[string]struct{ configured, most int }{
		"URLs":               {0, 1},
		"URLs with brackets": {0, 0},
		"line ends":          {0, 2},
		"URLs behind a word": {0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inChannel(t, func(t *testing.T, c *channel) {
				server := &cutting{limit: cytube.MaxLine, filter: filters[name]}
				server.use(c)
				lines := announcements(10)
				for i, line := range lines {
					line = strings.Replace(line, " -- brought to you by us", "", 1)
					if name == "line ends" {
						line = lines[i]
					}
					c.put(queuedLine(int64(i+1), line))
				}
				pass(10 * time.Minute)
				if again := len(server.shown) - len(lines); again > test.most {
					t.Errorf("%d ends were sent as lines of their own:\n%s", again, strings.Join(c.sent, "\n"))
				}
			})
		})
	}
}

// TestAConfiguredLengthIsNotLearned: it stays what it is, whatever the echoes look like.
func TestAConfiguredLengthIsNotLearned(t *testing.T) {
	inChannel(t, func(t *testing.T, c *channel) {
		c.configure(240)
		server := &cutting{limit: 100}
		server.use(c)
		for i, text := range longTexts {
			c.put(queuedLine(int64(i+1), text))
		}
		pass(10 * time.Minute)
		if got := c.Tracker.length.get(); got != 240 {
			t.Errorf("the length is %d", got)
		}
	})
}

// TestALearnedLengthIsForgotten: the server may have been restarted with another setting, or the bot has misjudged a
// filter.
func TestALearnedLengthIsForgotten(t *testing.T) {
	for name, later := range map[string]func(c *channel){
		"after a rejoin": func(c *channel) { c.Joined(time.Now()) },
		"after a time":   func(*channel) { pass(2 * learnedFor) },
	} {
		t.Run(name, func(t *testing.T) {
			inChannel(t, func(t *testing.T, c *channel) {
				server := &cutting{limit: 100}
				server.use(c)
				c.put(queuedLine(1, strings.Repeat("x", 250)), queuedLine(2, strings.Repeat("y", 250)))
				pass(time.Minute)
				if got := c.Tracker.length.get(); got != 100 {
					t.Fatalf("the bot has learned %d", got)
				}
				server.limit = cytube.MaxLine
				later(c)
				c.put(queuedLine(3, "hello"), queuedLine(4, strings.Repeat("z", 250)))
				pass(time.Minute)
				if shown := server.shown[len(server.shown)-1]; len(shown) != 250 {
					t.Errorf("a line of 250 characters ends with %d", len(shown))
				}
			})
		})
	}
}

// TestATemplateIsNoFilter: lines with one beginning and one end that the server cuts at the same place lose nothing.
func TestATemplateIsNoFilter(t *testing.T) {
	for limit := minMaxLength; limit < 110; limit += 3 {
		inChannel(t, func(t *testing.T, c *channel) {
			server := &cutting{limit: limit}
			server.use(c)
			lines := announcements(6)
			for i, line := range lines {
				c.put(queuedLine(int64(i+1), line))
			}
			pass(10 * time.Minute)
			if got, want := squeeze(strings.Join(server.shown, "")), squeeze(strings.Join(lines, "")); got != want {
				t.Errorf("limit %d: said (-want +got):\n%s", limit, cmp.Diff(want, got))
			}
		})
	}
}
