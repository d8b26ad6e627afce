package custom_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin/custom"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

func TestExamples(t *testing.T) {
	t.Parallel()
	plugintest.Examples(t, custom.New)
}

func TestTextCommands(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New(), plugintest.Stored("text/old", map[string]any{"text": "from before"}))
	bob, alice := room.As("bob", plugin.Moderator), room.As("alice", plugin.Guest)
	alice.Says("!old").Expects("^from before$")
	bob.Says("!addcommand !Hug {user} hugs {args} | how nice").Expects("^!hug is there now")
	alice.Says("!hug  the   whole room ").Expects("^alice hugs the whole room\nhow nice$")
	alice.Says("!hug " + strings.Repeat("x", 500)).Expects("…\nhow nice$")
	bob.Says("!setcommand hug No more.").Expects("there now")
	alice.Says("!hug").Expects("^No more\\.$")
	alice.Says("!texts").Expects("^hug, old$")
	alice.Says("!addcommand x y").ExpectsRefused()
	bob.Says("!delcommand hug").Expects("Removed")
	alice.Says("!hug").ExpectsRefused()
	// Another process has changed it.
	room.Store("text/new", map[string]any{"text": "later"})
	room.Pass(time.Minute)
	alice.Says("!new").Expects("^later$")
}

func TestWhatCannotBeACommand(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New())
	bob := room.As("bob", plugin.Moderator)
	for _, args := range []string{
		"", "x", "x /kick bob", "x a | /clear", "x {args}", "x a|b|c|d|e|f", "x |||", "a.b c", "🎲 x", "rules taken",
		"addcom taken", "x " + strings.Repeat("y", 400), strings.Repeat("x", 31) + " y",
	} {
		bob.Says("!addcommand " + args).ExpectsWrong(".")
	}
	for i := range 40 {
		bob.Says(fmt.Sprintf("!addcommand c%d text", i)).Expects("there now")
	}
	bob.Says("!addcommand more text").ExpectsWrong("40 already")
	bob.Says("!addcommand c1 other").Expects("there now")
}

// The database answers slowly.
func TestNobodyWaitsForTheStorageOfSomebodyElsesText(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New(), plugintest.Stored("text/old", map[string]any{"text": "from before"}))
	bob, alice := room.As("bob", plugin.Moderator), room.As("alice", plugin.Guest)
	slow := room.HoldBack("kv.set")
	added := make(chan *plugintest.Answer)
	go func() { added <- bob.Says("!addcommand new text") }()
	slow.Await(1)
	alice.Says("!texts").Expects("^old$")
	alice.Says("!old").Expects("^from before$")
	carol := room.As("carol", plugin.Moderator)
	carol.Says("!addcommand new other").ExpectsWrong("is being changed")
	carol.Says("!delcommand new").ExpectsWrong("is being changed")
	carol.Says("!delcommand old").Expects("Removed")
	slow.Release()
	(<-added).Expects("there now")
	alice.Says("!new").Expects("^text$")
}

// What load has read is older than what a moderator changes meanwhile.
func TestATextThatIsAddedWhileTheTextsAreReadStays(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New(), plugintest.Stored("text/old", map[string]any{"text": "from before"}))
	bob := room.As("bob", plugin.Moderator)
	slow := room.HoldBack("kv.list")
	passed := make(chan struct{})
	go func() {
		room.Pass(30 * time.Second)
		close(passed)
	}()
	slow.Await(1)
	bob.Says("!addcommand new text").Expects("there now")
	bob.Says("!delcommand old").Expects("Removed")
	slow.Release()
	<-passed
	bob.Says("!new").Expects("^text$")
	bob.Says("!old").ExpectsRefused()
	room.Pass(time.Minute)
	bob.Says("!texts").Expects("^new$")
}

func TestATextThatCannotBeStoredIsNoCommand(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New(), plugintest.MaxKeys(1),
		plugintest.Stored("text/old", map[string]any{"text": "x"}))
	bob := room.As("bob", plugin.Moderator)
	bob.Says("!addcommand new text").ExpectsFailed("storage is full")
	bob.Says("!new").ExpectsRefused()
	bob.Says("!texts").Expects("^old$")
}

func TestItStartsWithoutADatabase(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New(), plugintest.Stored("text/old", map[string]any{"text": "from before"}),
		func(r *plugintest.Room) { r.Away("kv") })
	alice := room.As("alice", plugin.Guest)
	alice.Says("!old").ExpectsRefused()
	alice.Says("!texts").ExpectsFailed("nobody answers")
	room.Pass(time.Minute)
	room.Allow("kv")
	room.Pass(5 * time.Second)
	alice.Says("!old").Expects("^from before$")
}

// Calls before the texts were read again see them, too.
func TestNoTextIsAddedBeforeTheOthersWereRead(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New(), plugintest.Stored("text/old", map[string]any{"text": "from before"}),
		func(r *plugintest.Room) { r.Away("kv") })
	room.Allow("kv")
	bob := room.As("bob", plugin.Moderator)
	bob.Says("!addcommand new text").Expects("there now")
	bob.Says("!texts").Expects("^new, old$")
}

func TestRules(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New())
	bob, alice := room.As("bob", plugin.Moderator), room.As("alice", plugin.Guest)
	bob.Says("!setrules 1. Be kind | 2. No spoilers").Expects("2 lines")
	alice.Says("!rules").Expects("^1\\. Be kind\n2\\. No spoilers$")
	alice.Says("!setrules none").ExpectsRefused()
	bob.Says("!setrules").Expects("no rules now")
	alice.Says("!rules").Expects("no rules yet")
}

func TestWhoComesIsGreetedOnceInAWhile(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New(), plugintest.Setting("greetAgain", "1h"))
	carol := room.As("Carol", plugin.Guest)
	carol.Joins() // nobody is greeted yet
	room.As("bob", plugin.Moderator).Says("!setgreeting Hello, {user}! | Read the rules.").Expects("2 lines")
	for range 3 {
		carol.Joins()
	}
	room.Event(plugin.UserJoined, map[string]any{"user": "spam", "ignored": true})
	room.As("dave", plugin.Guest).Joins()
	room.Hears("^Hello, Carol!$")
	room.Hears("^Read the rules\\.$")
	room.Hears("^Hello, dave!$")
	room.Hears("^Read the rules\\.$")
	room.Silent()
	room.Pass(time.Hour)
	carol.Joins()
	room.Hears("^Hello, Carol!$")
}

func TestManyNamesDoNotFillTheStorage(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New(), plugintest.MaxKeys(34))
	bob := room.As("bob", plugin.Moderator)
	bob.Says("!setgreeting Hi, {user}").Expects("1 lines")
	const many = 200 // fewer than the events that may wait
	for i := range many {
		room.As(fmt.Sprintf("guest%d", i), plugin.Guest).Joins()
	}
	room.Hears(fmt.Sprintf("^Hi, guest%d$", many-1))
	room.As("GUEST7", plugin.Guest).Joins() // greeted before
	room.As(strings.Repeat("x", 200), plugin.Guest).Joins()
	room.As("last", plugin.Guest).Joins()
	room.Hears("^Hi, last$")
	if said := len(room.Lines()); said != many+1 {
		t.Errorf("%d are greeted, want %d", said, many+1)
	}
	bob.Says("!addcommand x y").Expects("there now")
}

// Another request of the same tick fails.
func TestATimedTextIsSaidThoughTheOneBeforeItFailed(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New())
	bob := room.As("bob", plugin.Moderator)
	bob.Says("!addtimed 10m first").Expects("Number 1")
	bob.Says("!addtimed 10m second").Expects("Number 2")
	room.DenyOnce("say", "no")
	room.Pass(10 * time.Minute)
	room.Hears("^second$")
	room.Silent()
}

func TestATimedTextStaysDueWhileNoBotIsThere(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New())
	bob := room.As("bob", plugin.Moderator)
	bob.Says("!addtimed 10m first").Expects("Number 1")
	bob.Says("!addtimed 10m second").Expects("Number 2")
	room.Away("say")
	room.Pass(12 * time.Minute)
	room.Silent()
	room.Allow("say")
	room.Pass(30 * time.Second)
	room.Hears("^first$")
	room.Hears("^second$")
	room.Pass(9 * time.Minute)
	room.Silent()
}

func TestTimedTexts(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New(), plugintest.Setting("minInterval", "1m"))
	bob := room.As("bob", plugin.Moderator)
	bob.Says("!addtimed 10m Drink water | and tea").Expects("^Number 1 ")
	bob.Says("!addtimed 1h {user} | Stretch").Expects("^Number 2 ") // nobody has given it: there is no user
	bob.Says("!addtimed 1h {user}/kick bob").ExpectsWrong("do not begin with /")
	bob.Says("!addtimed 1h {user}").ExpectsWrong("1 to 5 lines")
	bob.Says("!timed").Expects(`^1: every 10m0s, Drink water \| and tea; 2: every 1h0m0s, \{user\} \| Stretch$`)
	room.Pass(9 * time.Minute)
	room.Silent()
	room.Pass(52 * time.Minute)
	water, stretch := 0, 0
	for _, line := range room.Lines() {
		switch line.Text {
		case "Drink water":
			water++
		case "Stretch":
			stretch++
		}
	}
	if water != 6 || stretch != 1 {
		t.Errorf("said %d and %d times, want 6 and 1", water, stretch)
	}
	bob.Says("!deltimed 1").Expects("Removed")
	bob.Says("!addtimed 10m Again").Expects("^Number 1 ")
	for range 18 {
		bob.Says("!addtimed 10m x").Expects("^Number ")
	}
	bob.Says("!addtimed 10m x").ExpectsWrong("20 already")
}
