package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// focused describes the element that has the focus, and marks it as reached. A focus is visible if there is an outline
// around something that the reader sees: in the window, and not below the head of the page.
const focused = `(() => {
	const element = document.activeElement;
	if (!element || element === document.body) return { name: "" };
	const again = element.reached === true;
	element.reached = true;
	const style = getComputedStyle(element), box = [...element.getClientRects()].find((one) => one.width && one.height);
	// Within a field for a date, the browser marks the part that has the focus.
	const outlined = element.type === "date" || style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
	const at = box && document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
	const seen = !!at && (element.contains(at) || at.contains(element));
	return { name: element.outerHTML.slice(0, 120), again, visible: outlined && seen };
})()`

// unreached are the controls that a reader sees and that the focus has not reached.
const unreached = `[...document.querySelectorAll(
		"a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")]
	.filter((element) => element.checkVisibility() && !element.disabled && !element.reached)
	.map((element) => element.outerHTML.slice(0, 120))`

type focus struct {
	Name    string `json:"name"`
	Again   bool   `json:"again"`
	Visible bool   `json:"visible"`
}

// maxStops is more than any page of the test has controls.
const maxStops = 400

// tabTo moves the focus by the Tab key to the element of a selector.
func (p page) tabTo(selector string) {
	p.Helper()
	quoted, _ := json.Marshal(selector)
	condition := fmt.Sprintf("document.activeElement?.matches(%s)", quoted)
	p.waits("a control "+selector, fmt.Sprintf("document.querySelector(%s)", quoted))
	for range maxStops {
		p.types(kb.Tab)
		if p.is(condition) {
			return
		}
	}
	p.Fatalf("the Tab key does not reach %s; the page is\n%s", selector, p.text())
}

// presses moves the focus to the element of a selector and presses a key.
func (p page) presses(selector, key string) { p.Helper(); p.tabTo(selector); p.types(key) }

// everyControl moves through the whole page with the Tab key.
func (p page) everyControl(path string) {
	p.Helper()
	outside := 0 // how often the focus was on the browser's own controls, which are between the last and the first
	for range maxStops {
		p.types(kb.Tab)
		stop := run[focus](p, focused)
		if stop.Name == "" {
			outside++
		}
		if outside > 1 || stop.Again && p.is(`!document.activeElement.matches("input[type=date]")`) {
			break
		}
		if stop.Name != "" && !stop.Visible {
			p.Errorf("%s: the focus is not visible on %s", path, stop.Name)
		}
	}
	for _, control := range run[[]string](p, unreached) {
		p.Errorf("%s: the Tab key does not reach %s", path, control)
	}
}

// TestEverythingWorksWithoutAMouse uses the pages with the keyboard alone. The channel has no bot yet, so that a line
// waits.
func TestEverythingWorksWithoutAMouse(t *testing.T) {
	t.Parallel()
	s := newParts(t)
	web := s.startWeb()
	s.saidBefore(web.url, "nora", 150)
	s.saidBefore(web.url, "Zoe-99", 3)
	p := newPage(t)
	p.open(web.url + "/")
	p.presses(`a[href$="login"]`, kb.Enter)
	p.tabTo("#content :is(input, button, a)") // the focus is in the field for the token
	p.open(web.url + "/login")
	p.types(aliceToken + kb.Enter)

	p.tabTo("#text")
	p.types("typed without a mouse" + kb.Enter)
	p.waits("the line that waits", `document.querySelector("#mine").innerText.includes("waits")`)
	p.presses(`nav a[href$="outbound"]`, kb.Enter)
	p.presses(`form[action$="cancel"] button`, " ")
	p.waits("taken back", `document.querySelector("td .tag")?.innerText === "taken back"`)

	p.presses(`nav a[href$="chat"]`, kb.Enter)
	p.tabTo("#words")
	p.types("number 77." + kb.Enter)
	p.shows("line number 77.")
	p.waits("that line alone", `document.querySelectorAll(".lines .said").length === 1`)
	p.presses(`form a[href$="chat"]`, kb.Enter)
	p.presses(`a[rel="prev"]`, kb.Enter)
	p.shows("line number 4.")
	p.presses(`a[rel="next"]`, kb.Enter)
	p.shows("line number 149.")

	p.presses(`nav a[href$="people"]`, kb.Enter)
	for _, order := range []string{"ascending", "descending"} {
		p.presses(`th a[href*="sort=name"]`, kb.Enter)
		p.waits(order, `document.querySelector("th[aria-sort='`+order+`'] a")?.innerText === "Name"`)
	}
	p.presses(`td a[href*="people/nora"]`, kb.Enter)
	p.presses(`#days-title ~ details summary`, " ")
	p.waits("the table", `document.querySelector("#days-title ~ details").open`)
	p.presses(`nav a[href$="films"]`, kb.Enter)
	p.presses(`.tabs a[href*="by=item"]`, kb.Enter)
	p.waits("the other list", `location.search.includes("by=item")`)

	s.startBot()
	s.join("alice")
	p.presses(`nav a`, kb.Enter)
	p.waits("the Now page", `!!document.querySelector("#chat")`)
	p.isLive()
	p.tabTo("#chat")
	p.waits("the end of the chat", atEnd)
	p.types(kb.Home)
	p.waits("older lines", `document.querySelector("#chat").scrollTop === 0`)
	s.say("alice", "below what is shown")
	p.presses("#jump", kb.Enter)
	p.waits("the end of the chat again", atEnd+` && document.activeElement.id === "chat"`)

	for name, path := range pictured {
		p.open(web.url + strings.Replace(path, "/people/nora", "/people/nora?zone=60", 1))
		p.waits(name, `document.readyState === "complete"`)
		p.everyControl(path)
	}
	p.presses(".who button", " ")
	p.waits("a link to log in", `!!document.querySelector('.who a[href$="login"]')`)
	if code, _ := ask(t, web.url+"/outbound"); code != http.StatusUnauthorized {
		t.Errorf("after the log-out: %d", code)
	}
	p.open(web.url + "/nowhere")
	p.everyControl("/nowhere")
}

const atEnd = `(() => { const chat = document.querySelector("#chat");
	return chat.scrollHeight - chat.scrollTop - chat.clientHeight < 40; })()`
