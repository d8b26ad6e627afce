package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// hostile is what a stranger may say, and what no page may obey.
const hostile = `<script>document.title="FORGED"</script><img src=x onerror="document.title='FORGED'">` +
	`<b style="color:red">`

// TestPeopleUseThePages follows somebody who looks, logs in and speaks.
func TestPeopleUseThePages(t *testing.T) {
	s := newSite(t)
	s.join("alice")
	s.say("alice", "good evening everybody")
	p := newPage(t)

	p.open(s.run + "/")
	p.shows("good evening everybody") // also after a reload: it was said before the page was opened
	p.waits("live", `document.querySelector("#playing .live").textContent === "live"`)
	s.say("alice", "this comes by itself")
	p.shows("this comes by itself")
	s.join("newcomer")
	p.waits("the newcomer in the list", `document.querySelector("#people").innerText.includes("newcomer")`)

	s.join("nora")
	s.play(hostile, "another film")
	p.waits("the title of what plays", `document.querySelector("#playing .title").textContent.includes("<script>")`)
	s.say("alice", hostile)
	p.shows(`<script>document.title="FORGED"</script>`)
	s.say("alice", "look at https://example.com/a?b=1&c=2. Nice")
	p.waits("a link that says nothing about this page",
		`document.querySelector('#now a[href="https://example.com/a?b=1&c=2"]')?.rel === "noopener noreferrer nofollow"`)
	if p.is(`document.title.includes("FORGED") || !!document.querySelector("main img, main script, main [style]")`) {
		t.Error("text of a stranger became a part of the page")
	}
	if p.is(`!!document.querySelector("#say")`) {
		t.Error("somebody without a token may send lines")
	}

	p.logIn(s.run, "a wrong token of some length")
	p.shows("Nobody has this token")
	p.logIn(s.run, "short") // the token of carol, which is refused
	p.shows("Nobody has this token")
	p.logIn(s.run, aliceToken)
	p.waits("the box for a line", `!!document.querySelector("#say")`)
	p.waits("live", `document.querySelector("#playing .live").textContent === "live"`)
	p.do("saying a line", chromedp.SendKeys("#text", "hello from the page\r"))
	p.waits("the line in the channel", `document.querySelector("#chat").innerText.includes("hello from the page")`)
	p.waits("an empty box", `document.querySelector("#text").value === ""`)
	p.do("a command", chromedp.SendKeys("#text", "/clear\r"))
	p.shows("not for commands")
}

// TestThePageSaysWhenItIsNotLive ends everything behind an open page, and starts it again.
func TestThePageSaysWhenItIsNotLive(t *testing.T) {
	s := newSite(t)
	s.startWeb("--web-public")
	s.join("alice")
	s.say("alice", "before the end")
	p := newPage(t)
	p.open(s.web + "/")
	p.shows("before the end")
	p.waits("live", `document.querySelector("#playing .live").textContent === "live"`)

	s.rosey.end()
	p.shows("Not live since")
	if !p.is(`document.body.innerText.includes("before the end")`) {
		t.Error("the page no longer shows what it has")
	}
	s.startRosey()
	p.waits("no notice", `!document.querySelector("#state .notice")`)
	s.say("alice", "after the end")
	p.shows("after the end")
}

// TestReadingWorksWithoutScripts reads pages as they are sent.
func TestReadingWorksWithoutScripts(t *testing.T) {
	s := newSite(t)
	s.startWeb()
	s.join("alice")
	s.say("alice", "read me without scripts")
	s.eventually("the line", func() bool { return strings.Contains(body(t, s.run+"/"), "read me without scripts") })
	if code := get(s.web + "/"); code != http.StatusOK {
		t.Errorf("the page on a loopback address: %d", code)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.web+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", "203.0.113.7")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("somebody behind a proxy may read without a token: %d", response.StatusCode)
	}
}
