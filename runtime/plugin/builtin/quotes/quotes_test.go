package quotes_test

import (
	"fmt"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin/quotes"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

func TestExamples(t *testing.T) {
	t.Parallel()
	plugintest.Examples(t, quotes.New)
}

func TestQuotesAreFound(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, quotes.New())
	alice := room.As("alice", plugin.Registered)
	alice.Says("!addquote @Bob  I like   <b>trains</b>").Expects(`^Quote 1: “I like <b>trains</b>” – Bob$`)
	alice.Says("!addquote Nobody knows who said this").Expects(`^Quote 2: “Nobody knows who said this”$`)
	alice.Says("!addquote @Carol Trains are late").Expects("^Quote 3: ")
	guest := room.As("guest", plugin.Guest)
	guest.Says("!addquote x").ExpectsRefused()
	for args, want := range map[string]string{
		"2": "^Quote 2", "#3": "^Quote 3", "@bob": "^Quote 1", "TRAINS late": "^Quote 3", "nobody": "^Quote 2",
		"trains": "^Quote [13]", "": "^Quote [123]",
	} {
		guest.Says("!quote " + args).Expects(want)
	}
	for _, args := range []string{"4", "#0", "@dave", "trains planes", "-1", "99999999999999999999"} {
		guest.Says("!quote " + args).ExpectsWrong("no quote is like that")
	}
	alice.Says("!addquote @bob I like <b>trains</b>").ExpectsWrong("kept already")
	alice.Says("!addquote " + strings.Repeat("é", 241)).ExpectsWrong("at most 240")
	alice.Says("!addquote @" + strings.Repeat("x", 31) + " hi").ExpectsWrong("a name of 30")
	alice.Says("!addquote @bob").ExpectsWrong("expected a text")
	alice.Says("!addquote " + strings.Repeat("🎲", 120)).Expects("^Quote 4: “🎲+”$")
}

func TestTheLastLineOfSomebodyIsQuoted(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, quotes.New())
	bob, alice := room.As("Bob", plugin.Guest), room.As("alice", plugin.Registered)
	bob.Writes("first")
	bob.Writes("I am <3 never wrong")
	bob.Writes("!roll 2d6")
	bob.Writes("/me waves")
	alice.Writes("that is what I said")
	grabbed := func(args, want string) {
		t.Helper()
		for range 1000 { // until the plugin has got the lines
			if answer := alice.Says("!grab " + args); answer.Wrong == "" || !strings.Contains(answer.Wrong, "no line") {
				answer.Expects(want)
				return
			}
		}
		t.Errorf("%s is never heard", args)
	}
	for range 1000 { // the last of the lines above
		if strings.Contains(alice.Says("!grab alice").Wrong, "themselves") {
			break
		}
	}
	grabbed("@bob", `^Quote 1: “I am <3 never wrong” – Bob$`)
	alice.Says("!grab bob").ExpectsWrong("kept already")
	alice.Says("!grab alice").ExpectsWrong("themselves")
	alice.Says("!grab").ExpectsWrong("expected a person")
	// Of more people than are remembered, those who wrote last are.
	for i := range 200 {
		room.As(fmt.Sprint("user", i), plugin.Guest).Writes(fmt.Sprint("line ", i))
	}
	grabbed("user199", "“line 199”")
	alice.Says("!grab bob").ExpectsWrong("no line of")
}

func TestWhoMayRemoveAQuote(t *testing.T) {
	t.Parallel()
	room := plugintest.Open(t, quotes.New(), plugintest.Setting("maxQuotes", "2"))
	alice, bob := room.As("alice", plugin.Registered), room.As("bob", plugin.Registered)
	alice.Says("!addquote one")
	alice.Says("!addquote two")
	alice.Says("!addquote three").ExpectsWrong("2 quotes are kept already")
	bob.Says("!delquote 1").ExpectsWrong("added by alice")
	room.As("ALICE", plugin.Registered).Says("!delquote 1").Expects("Removed quote 1")
	alice.Says("!delquote 1").ExpectsWrong("no quote 1")
	room.As("mod", plugin.Moderator).Says("!delquote #2").Expects("Removed quote 2")
	alice.Says("!addquote three").Expects("^Quote 3: ") // a number is never used twice
	for _, args := range []string{"", "x", "-1", "0", "1e3"} {
		bob.Says("!delquote " + args).ExpectsWrong("the number of a quote")
	}
}
