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

func TestTimedTexts(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, custom.New(), plugintest.Setting("minInterval", "1m"))
	bob := room.As("bob", plugin.Moderator)
	bob.Says("!addtimed 10m Drink water | and tea").Expects("^Number 1 ")
	bob.Says("!addtimed 1h Stretch").Expects("^Number 2 ")
	bob.Says("!timed").Expects(`^1: every 10m0s, Drink water \| and tea; 2: every 1h0m0s, Stretch$`)
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
