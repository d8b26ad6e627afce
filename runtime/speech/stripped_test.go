package speech

import (
	"fmt"
	"math/rand/v2"
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
	for name, most := range map[string]int{
		"URLs": 1, "line ends": 2, "URLs behind a word": 2,
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
				if again := len(server.shown) - len(lines); again > most {
					t.Errorf("%d ends were sent as lines of their own:\n%s", again, strings.Join(c.sent, "\n"))
				}
			})
		})
	}
}

// TestAConfiguredLengthStays, whatever the echoes look like. If it is too large, nothing is lost.
func TestAConfiguredLengthStays(t *testing.T) {
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
		if got, want := squeeze(strings.Join(server.shown, "")), squeeze(strings.Join(longTexts, "")); got != want {
			t.Errorf("said (-want +got):\n%s", cmp.Diff(want, got))
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

// TestALimitAndAFilterTogether: with both, only what the filter removes is missing. Lines say the same words at
// different places.
func TestALimitAndAFilterTogether(t *testing.T) {
	words := []string{"popcorn", "the", "film", "tonight", "a", "of", "popcorn ########", "film ############ of"}
	filter := func(text string) string { return strings.TrimRight(text, " #") }
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		inChannel(t, func(t *testing.T, c *channel) {
			server := &cutting{limit: 60 + random.IntN(200), filter: filter}
			server.use(c)
			var said strings.Builder
			for id := range int64(12) {
				var line []string
				for range 1 + random.IntN(60) {
					line = append(line, words[random.IntN(len(words))])
				}
				text := strings.Join(line, " ")
				said.WriteString(text)
				c.put(queuedLine(id+1, text))
			}
			pass(10 * time.Minute)
			left := func(text string) string { return squeeze(strings.ReplaceAll(text, "#", "")) }
			if got, want := left(strings.Join(server.shown, "")), left(said.String()); got != want {
				t.Errorf("seed %d, limit %d: said (-want +got):\n%s", seed, server.limit, cmp.Diff(want, got))
			}
		})
	}
}
