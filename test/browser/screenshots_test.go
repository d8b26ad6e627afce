package browser

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// screens are the sizes of the pictures. A telephone is as narrow as they are sold.
var screens = []struct {
	name          string
	width, height int64
}{{"wide", 1280, 900}, {"narrow", 360, 780}}

// pictured are the pages of which pictures are made.
var pictured = map[string]string{
	"now": "/", "chat": "/chat", "search": "/chat?words=train", "login": "/login", "counts": "/now/counts",
	"people": "/people", "person": "/people/nora", "films": "/films", "most-played": "/films?by=item",
	"records": "/records", "outbound": "/outbound", "health": "/health",
}

// conversation is what the pictures show.
var conversation = []struct{ user, text string }{
	{"nora", "good evening! is the projector warm?"},
	{"popcorn_fan", "warm and loud :D"},
	{"Zoe-99", "what are we watching first"},
	{"nora", "The Night Train, 1957. Trust me on this one."},
	{"dot_matrix", "wait, the one with the conductor who never blinks?"},
	{"nora", "that very train"},
	{"popcorn_fan", "bringing popcorn for everyone"},
	{"night_owl", "the poster is gorgeous: https://example.com/posters/night-train-1957.jpg"},
	{"Zoe-99", "ok that is going on my wall"},
	{"dot_matrix", "did he find the letter yet? back in five minutes and I missed everything, as always, because " +
		"somebody rang the bell exactly when the lights went out"},
	{"nora", "no spoilers, but watch the butler"},
	{"night_owl", "NEVER trust the butler"},
	{"popcorn_fan", "that is not how trains work"},
	{"Zoe-99", "it is how trains work in 1957"},
	{"nora", "applause for the foley artist please"},
	{"night_owl", "bravo, bravo!"},
}

// TestScreenshots writes pictures of every page, light and dark, wide and narrow, and checks what no picture shows:
// that nothing is wider than the screen.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("ROSEY_SCREENSHOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	s := newSite(t)
	for _, name := range []string{"nora", "popcorn_fan", "Zoe-99", "dot_matrix", "night_owl"} {
		s.join(name)
	}
	s.play("The Night Train (1957)", "Short: How to Fold a Map", "The Lighthouse Keeper’s Second Winter (1962)",
		"Intermission: popcorn", "Ten Ways to Leave a Station")
	for _, line := range conversation {
		s.say(line.user, line.text)
		time.Sleep(2 * time.Millisecond) // lines of one millisecond have no order of their own
	}
	s.publishes(past(time.Now())...)
	s.eventually("what was played and counted", func() bool {
		return strings.Contains(body(t, s.run+"/films?by=item"), "Metropolis") &&
			strings.Contains(body(t, s.run+"/now/counts"), "highest")
	})
	p := newPage(t)
	p.logIn(s.run, aliceToken)
	p.shows("applause for the foley artist")
	p.do("saying a line", chromedp.SendKeys("#text", "Doors open at eight tomorrow. Bring a pillow.\r"))
	p.waits("the line", `document.querySelector("#mine").innerText.includes("was said")`)
	for name, path := range pictured {
		for _, scheme := range []string{"light", "dark"} {
			for _, screen := range screens {
				p.do("the size", chromedp.EmulateViewport(screen.width, screen.height))
				p.do("the colours", emulate(scheme))
				p.open(s.run + path)
				p.waits("what the page loads", `document.readyState === "complete" &&
					![...document.querySelectorAll("[data-chart]")].some((c) => !c.childNodes.length)`)
				if p.is(`document.documentElement.scrollWidth > innerWidth`) {
					t.Errorf("%s is wider than a screen of %d pixels", path, screen.width)
				}
				p.save(filepath.Join(folder, strings.Join([]string{name, scheme, screen.name}, "-")+".png"))
			}
		}
	}
}

// past returns the films of the day before now, and how many people there were.
func past(now time.Time) (events [][2]string) {
	for i, title := range []string{
		"Metropolis (1927)", "The General (1926)", "Short: How to Fold a Map", "Nosferatu (1922)", "Metropolis (1927)",
		"A Trip to the Moon (1902)", "The General (1926)", "Metropolis (1927)",
	} {
		events = append(events, [2]string{"db.media.played", fmt.Sprintf(
			`{"timestamp":%d,"type":"fi","id":"https://example.com/%s.mp4","title":%q,"seconds":%d,"queued_by":%q}`,
			now.Add(time.Duration(i-8)*150*time.Minute).Unix(), strings.ReplaceAll(title, " ", "-"), title, 900+len(title)*200,
			[]string{"nora", "popcorn_fan", "night_owl"}[i%3])})
	}
	for minutes := 24 * 60; minutes > 5; minutes -= 5 {
		at := now.Add(-time.Duration(minutes) * time.Minute)
		people := 14 + int(11*math.Sin(float64(minutes)/230)) + minutes%3
		events = append(events, [2]string{"db.stats.user_count", fmt.Sprintf(
			`{"timestamp":%d,"chat_count":%d,"connected_count":%d}`, at.Unix(), people, people+4+minutes%4)})
	}
	return events
}

// emulate makes the browser prefer light or dark colours.
func emulate(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

// save writes a picture of the whole page.
func (p page) save(file string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(file, picture, 0o600)
	}
	if err != nil {
		p.Fatalf("the picture %s: %v", file, err)
	}
}
