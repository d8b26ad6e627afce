package browser

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hostile is what a stranger may say, and what no page may obey.
const hostile = `<script>document.title="FORGED"</script><img src=x onerror="document.title='FORGED'">` +
	`<b style="color:red">`

// forged is true on a page that has obeyed, or that has an element which hostile would make.
const forged = `document.title === "FORGED" ||
	!!document.querySelector("main img, main script, main b, main [style]:not(.chart *)")`

// TestPeopleUseThePages follows somebody who comes long after everybody else, looks, logs in and speaks.
func TestPeopleUseThePages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.join("alice", "nora")
	s.say("alice", "good evening everybody")
	s.play("The Night Train", "another film")
	eventually(t, "what happened is stored", func() bool {
		return strings.Contains(body(t, s.run+"/chat"), "good evening everybody") &&
			strings.Contains(body(t, s.run+"/films"), "The Night Train")
	})
	p := newPage(t)
	p.open(s.run + "/")
	p.shows("good evening everybody")
	p.shows("The Night Train")
	p.waits("who is there",
		`["alice", "nora"].every((name) => document.querySelector("#people").innerText.includes(name))`)
	p.isLive()
	s.say("alice", "this comes by itself")
	p.shows("this comes by itself")
	s.join("newcomer")
	p.waits("the newcomer in the list", `document.querySelector("#people").innerText.includes("newcomer")`)
	s.say("alice", "look at https://example.com/a?b=1&c=2. Nice")
	p.waits("a link that says nothing about this page",
		`document.querySelector('#now a[href="https://example.com/a?b=1&c=2"]')?.rel === "noopener noreferrer nofollow"`)
	if p.is(`!!document.querySelector("#say")`) {
		t.Error("somebody without a token may send lines")
	}
	p.logIn(s.run, aliceToken)
	p.waits("the box for a line", `!!document.querySelector("#say")`)
	p.isLive()
	p.do("saying a line", sendKeys("#text", "hello from the page\r"))
	p.waits("the line in the channel", `document.querySelector("#chat").innerText.includes("hello from the page")`)
	p.waits("what has become of it", `document.querySelector("#mine").innerText.includes("was said")`)
	p.waits("an empty box", `document.querySelector("#text").value === ""`)
	p.do("a command", sendKeys("#text", "/clear\r"))
	p.shows("not for commands")
}

// TestStrangersTextIsTextInABrowser has hostile text come from everywhere that strangers' text comes from, and opens
// every page that shows it.
func TestStrangersTextIsTextInABrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.join("nora")
	s.play(hostile, hostile)
	now := time.Now().Unix()
	quoted := strconv.Quote(hostile) // json.Marshal would write < as \u003c
	// A user of this name cannot be on CyTube. The database takes whatever is on the bus.
	s.publishes(
		[2]string{"db.user.joined", fmt.Sprintf(`{"username":%s,"timestamp":%d}`, quoted, now-60)},
		[2]string{"db.message.log", fmt.Sprintf(`{"username":%s,"message":%s,"timestamp":%d}`, quoted, quoted, now-50)},
		[2]string{"db.message.log", hostile}, // a dead letter
		[2]string{"db.media.played", fmt.Sprintf(
			`{"timestamp":%d,"type":"fi","id":%[2]s,"title":%[2]s,"seconds":4000,"queued_by":%[2]s}`, now-40, quoted)},
		[2]string{"db.stats.user_count", fmt.Sprintf(`{"timestamp":%d,"chat_count":3,"connected_count":5}`, now-30)},
		[2]string{"db.messages.outbound.put", fmt.Sprintf(`{"message":%[1]s,"asker":%[1]s}`, quoted)},
	)
	s.say("nora", hostile)
	name := url.PathEscape(hostile)
	p := newPage(t)
	problems := p.problems()
	p.logIn(s.run, aliceToken)
	p.isLive()
	for path, wanted := range map[string]string{
		"/": "<script>", "/chat": "<script>", "/chat?words=" + url.QueryEscape(hostile): "<script>",
		"/chat?person=" + url.QueryEscape(hostile): "<script>", "/chat?day=" + name: "Day: expected", "/people": "<script>",
		"/people?name=" + url.QueryEscape("<script>"): "<script>", "/people/" + name: "<script>", "/films": "<script>",
		"/films?by=item": "<script>", "/films?by=user": "<script>", "/films?person=" + url.QueryEscape(hostile): "<script>",
		"/records": "Records", "/outbound": "<script>", "/outbound?state=" + name: "state", "/health": "<script>",
		"/health?after=" + name: "after", "/now/counts": "<script>", "/login?next=" + name: "Your token",
		"/nowhere/" + name: "no such page",
	} {
		p.open(s.run + path)
		p.waits(wanted+" on "+path, `document.readyState === "complete" && (`+contains(wanted)+` ||
			[...document.querySelectorAll("input")].some((input) => input.value.includes("<script>")))`)
		if p.is(forged) {
			t.Errorf("on %s, text of a stranger became a part of the page", path)
		}
	}
	p.open(s.run + "/")
	p.waits("the title of what plays", `document.querySelector("#playing .title").textContent.includes("<script>")`)
	p.isLive()
	s.say("nora", hostile+" again")
	p.shows("> again")
	if p.is(forged) {
		t.Error("a line that came by itself became a part of the page")
	}
	for _, problem := range problems() {
		t.Errorf("the browser reports: %s", problem)
	}
}

// TestReadingWorksWithoutScripts reads pages as they are sent.
func TestReadingWorksWithoutScripts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	web := s.startWeb()
	s.join("alice")
	s.say("alice", "read me without scripts")
	s.saidBefore(s.run, "alice", 120)
	eventually(t, "the line", func() bool { return strings.Contains(body(t, s.run+"/"), "read me without scripts") })
	p := newPage(t)
	p.withoutScripts()
	p.open(web.url + "/")
	p.shows("read me without scripts")
	p.open(web.url + "/chat")
	p.click(`a[rel="prev"]`)
	p.shows("line number 3.")
	p.logIn(web.url, aliceToken)
	p.shows("Log out")
	p.do("saying a line", sendKeys("#text", "said without scripts\r"))
	p.shows("said without scripts")
	if code, _ := ask(t, web.url+"/", "X-Forwarded-For", "203.0.113.7"); code != http.StatusUnauthorized {
		t.Errorf("somebody behind a proxy may read without a token: %d", code)
	}
}
