package browser

import (
	"strings"
	"syscall"
	"testing"

	"rosey.dev/rosey/test/porttest"
)

// TestWhatIsAwayComesBack ends what is behind open pages, one after another, and starts it again.
func TestWhatIsAwayComesBack(t *testing.T) {
	t.Parallel()
	s := newParts(t)
	s.startBot()
	web := s.startWeb()
	s.join("alice")
	s.say("alice", "before the end")
	p := newPage(t)
	p.logIn(web.url, aliceToken)
	p.shows("before the end")
	p.isLive()

	s.database.end()
	reader := p.another()
	reader.open(web.url + "/chat")
	reader.shows("The database has not answered since ")
	p.shows("The database has not answered since ")
	if !p.has("before the end") {
		t.Error("the page no longer shows what it has")
	}
	s.say("alice", "while the database is away")
	p.shows("while the database is away")
	p.do("saying a line", sendKeys("#text", "into the void\r"))
	p.shows("The database does not answer")
	if !p.is(`document.querySelector("#text").value === "into the void"`) {
		t.Error("a line that was not sent has vanished")
	}
	s.startDatabase()
	reader.shows("while the database is away") // by itself
	p.isLive()

	s.nats.Stop()
	p.shows("this page cannot reach the bot")
	p.shows("Not live since ")
	if !p.has("while the database is away") {
		t.Error("without NATS the page no longer shows what it has")
	}
	s.nats.Restart()
	p.isLive()
	s.say("alice", "NATS is back")
	p.shows("NATS is back")

	web.end()
	p.shows("the page has lost its connection")
	s.say("alice", "while nobody serves the page")
	s.startWebAt(web.address)
	p.shows("while nobody serves the page")
	p.isLive()

	s.bot.end()
	p.shows("no bot is in the channel")
	if !p.has("while nobody serves the page") {
		t.Error("without a bot the page no longer shows what it has")
	}
	s.startBot()
	p.isLive()
}

// TestAConnectionThatIsSilentIsNotLive stops the process, which keeps its connections and answers nothing: so it is
// for a computer that has lost its network.
func TestAConnectionThatIsSilentIsNotLive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	web := s.startWeb("--web-public")
	p := newPage(t)
	p.open(web.url + "/")
	p.isLive()
	web.signal(syscall.SIGSTOP)
	run[bool](p, `(document.getElementById("now").dataset.heartbeat = "0.4", true)`) // instead of 15 s
	p.shows("Not live since ")
	run[bool](p, `(document.getElementById("now").dataset.heartbeat = "15", true)`)
	web.signal(syscall.SIGCONT)
	p.isLive()
}

// TestANewProcessTakesNothingFromAnOpenPage is about a page whose process is replaced while the bot is away.
func TestANewProcessTakesNothingFromAnOpenPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	web := s.startWeb("--web-public")
	s.join("alice")
	s.say("alice", "the old process knows this")
	p := newPage(t)
	p.open(web.url + "/")
	p.shows("the old process knows this")
	p.isLive()
	s.rosey.end()
	web.end()
	p.shows("the page has lost its connection")
	// The new process is not ready without NATS, and says so.
	start(t, "rosey", "web", "--channel", channel, "--server", s.cytube, "--nats", s.natsURL, "--http",
		porttest.FreeAddress(t), "--web-listen", web.address, "--web-tokens-dir", s.tokens, "--web-public")
	p.waits("the word of the new process", `!document.querySelector("#state").innerText.includes("lost its connection") &&
		document.querySelector("#state").innerText.includes("Not live since")`)
	if text := p.text(); !strings.Contains(text, "the old process knows this") || !p.has("alice") {
		t.Errorf("a page has lost what it had to a process that knows nothing:\n%s", text)
	}
}
