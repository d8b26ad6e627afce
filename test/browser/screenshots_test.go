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
	"records": "/records", "outbound": "/outbound", "health": "/health", "plugins": "/plugins",
	"plugin-actions": "/plugins/actions", "one-plugin": "/plugins/actions?plugin=dice",
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

// TestEveryPageIsForEverybody looks at every page, light and dark, wide and narrow: nothing is wider than the screen,
// and axe-core finds nothing serious. With ROSEY_SCREENSHOTS=DIR it writes pictures there.
func TestEveryPageIsForEverybody(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	axe := readAxe(t)
	p := s.evening(t)
	problems := p.problems()
	for name, path := range pictured {
		for _, screen := range screens {
			p.do("the size", chromedp.EmulateViewport(screen.width, screen.height))
			p.open(s.run + path)
			p.waits("what the page loads", `document.readyState === "complete" &&
				![...document.querySelectorAll("[data-chart]")].some((c) => !c.querySelector("canvas"))`)
			if p.is(`document.documentElement.scrollWidth > innerWidth`) {
				t.Errorf("%s is wider than a screen of %d pixels", path, screen.width)
			}
			if p.is(`[...document.querySelectorAll(".actions td:nth-child(2)")].some((cell) =>
				cell.offsetWidth < cell.closest("table").offsetWidth / 2)`) {
				t.Errorf("%s: what plugins did has less than half of the width on a screen of %d pixels", path, screen.width)
			}
			if p.is(`/\d\s[AP]M\b/.test(document.body.innerText)`) {
				t.Errorf("%s shows times of two kinds", path)
			}
			if axe != "" {
				run[bool](p, axe+"; true")
			}
			for _, scheme := range []string{"light", "dark"} {
				p.do("the colours", emulate(scheme))
				if axe != "" {
					p.isAccessible(strings.Join([]string{path, scheme, screen.name}, " "))
				}
				p.save(strings.Join([]string{name, scheme, screen.name}, "-"))
			}
		}
	}
	for _, problem := range problems() {
		t.Errorf("the browser reports: %s", problem)
	}
}

// evening makes a channel in which something is going on, and returns a window of somebody who is logged in.
func (s *site) evening(t *testing.T) page {
	t.Helper()
	s.join("nora", "popcorn_fan", "Zoe-99", "dot_matrix", "night_owl")
	s.play("The Night Train (1957)", "Short: How to Fold a Map", "The Lighthouse Keeper’s Second Winter (1962)",
		"Intermission: popcorn", "Ten Ways to Leave a Station")
	s.publishes(past(time.Now())...)
	for _, line := range conversation {
		s.say(line.user, line.text)
		time.Sleep(2 * time.Millisecond) // lines of one millisecond have no order of their own
	}
	eventually(t, "what was played, counted and refused", func() bool {
		return strings.Contains(body(t, s.run+"/films?by=item"), "Metropolis") &&
			strings.Contains(body(t, s.run+"/now/counts"), "highest") &&
			strings.Contains(body(t, s.run+"/health"), ">Retry<")
	})
	s.callPlugins(t)
	p := newPage(t)
	p.logIn(s.run, aliceToken)
	p.shows("applause for the foley artist")
	p.do("saying a line", sendKeys("#text", "Doors open at eight tomorrow. Bring a pillow.\r"))
	p.waits("the line", `document.querySelector("#mine").innerText.includes("was said")`)
	return p
}

// callPlugins has people give commands of plugins, right ones and wrong ones.
func (s *site) callPlugins(t *testing.T) {
	t.Helper()
	eventually(t, "the plugins", func() bool {
		plugins := body(t, s.run+"/plugins")
		return strings.Contains(plugins, "!roll") && strings.Contains(plugins, "!quote")
	})
	for _, line := range []struct{ user, text, did string }{
		{"nora", "!roll 2d6+1", "2d6"}, {"popcorn_fan", "!choose popcorn, nachos or both", "nachos"},
		{"night_owl", "!addquote NEVER trust the butler", "butler"}, {"Zoe-99", "!roll a banana", "a banana"},
		{"dot_matrix", "!coin", "flip"},
	} {
		s.say(line.user, line.text)
		eventually(t, line.text, func() bool { return strings.Contains(body(t, s.run+"/plugins/actions"), line.did) })
	}
	s.do("do", map[string]any{"user": "nora", "event": "pm", "data": map[string]any{
		"to": "Rosey", "msg": "!choose to stay or to go", "meta": map[string]any{},
	}})
	eventually(t, "a private call", func() bool {
		actions := body(t, s.run+"/plugins/actions")
		if strings.Contains(actions, "to stay") {
			t.Fatal("the page shows a private message")
		}
		return strings.Contains(actions, "choose (16 characters)")
	})
}

// readAxe returns the script of axe-core, which hack/test/lib/tools.sh puts where ROSEY_AXE says. Empty: there is none.
func readAxe(t *testing.T) (script string) {
	t.Helper()
	path := os.Getenv("ROSEY_AXE")
	if path == "" {
		t.Log("without ROSEY_AXE, a file with the script of axe-core, the pages are not checked by it")
		return ""
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// isAccessible checks that axe-core, which the page has loaded, finds nothing serious or critical.
func (p page) isAccessible(what string) {
	p.Helper()
	for _, violation := range run[[]string](p, `axe.run({ resultTypes: ["violations"] }).then((found) => found.violations
		.filter((one) => one.impact === "serious" || one.impact === "critical")
		.map((one) => one.id + ": " + one.help + ": " + one.nodes.map((node) => node.html.slice(0, 120)).join(", ")))`) {
		p.Errorf("%s: %s", what, violation)
	}
}

// evenings are the lines of earlier evenings.
var evenings = []string{
	"anybody here already?", "who picked this one", "the soundtrack is half the film", "popcorn is ready",
	"I have seen this five times and still do not know who did it", "shh", "rewind please, the cat was in front",
	"ten out of ten lamps", "good night everybody", "same time tomorrow?", "what a face", "the train again!",
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
	for i, person := range []string{"nora", "popcorn_fan", "night_owl", "Zoe-99", "dot_matrix", "late_guest", "nora"} {
		came := now.Add(time.Duration(i-8) * 170 * time.Minute)
		events = append(events,
			[2]string{"db.user.joined", fmt.Sprintf(`{"username":%q,"timestamp":%d}`, person, came.Unix())},
			[2]string{"db.user.left", fmt.Sprintf(`{"username":%q,"timestamp":%d}`, person, came.Add(100*time.Minute).Unix())})
		for line := range 40 {
			events = append(events, [2]string{"db.message.log", fmt.Sprintf(
				`{"username":%q,"message":%q,"timestamp":%d}`, person, evenings[(i*7+line)%len(evenings)],
				came.Add(time.Duration(line*line%97)*time.Minute).Unix())})
		}
	}
	events = append(events, [2]string{"db.message.log", `{"username":"nora","message":"the end of this is mis`})
	events = append(events, [2]string{"db.stats.high_water", fmt.Sprintf(
		`{"timestamp":%d,"chat_count":27,"connected_count":33}`, now.Add(-9*time.Hour).Unix())})
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

// save writes a picture of the whole page, if pictures are wanted.
func (p page) save(name string) {
	p.Helper()
	folder := os.Getenv("ROSEY_SCREENSHOTS")
	if folder == "" {
		return
	}
	file := filepath.Join(folder, name+".png")
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
