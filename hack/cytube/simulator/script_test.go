package simulator_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
)

func TestTheSeedDeterminesTheScript(t *testing.T) {
	t.Parallel()
	const many = 500
	first := simulator.Evening(7, many)
	if diff := cmp.Diff(first, simulator.Evening(7, many)); diff != "" {
		t.Errorf("two evenings of one seed differ:\n%s", diff)
	}
	if cmp.Equal(first, simulator.Evening(8, many)) {
		t.Error("two seeds made the same evening")
	}
}

// TestScriptIsConsistent checks that nobody joins twice, or speaks or leaves without having joined.
func TestScriptIsConsistent(t *testing.T) {
	t.Parallel()
	inside := map[string]bool{}
	count := map[string]int{}
	for i, a := range simulator.Evening(1, 2000) {
		count[a.Kind]++
		if joins := a.Kind == "join"; joins == inside[a.User] {
			t.Fatalf("thing %d: %s of %s, who is inside: %v", i, a.Kind, a.User, inside[a.User])
		}
		if a.Kind != "chat" {
			inside[a.User] = a.Kind == "join"
		}
	}
	if count["join"] < 20 || count["leave"] < 20 || count["chat"] < 1000 {
		t.Errorf("a long evening has %v", count)
	}
}

// TestBank checks that the bank has all kinds of difficult lines.
func TestBank(t *testing.T) {
	t.Parallel()
	has := map[string]bool{}
	for _, line := range simulator.Bank {
		if strings.TrimSpace(line) == "" {
			t.Error("a blank line, which CyTube drops")
		}
		html := simulator.FormatMessage(line)
		has["a line to cut"] = has["a line to cut"] || len(utf16.Encode([]rune(line))) > 320
		has["a link"] = has["a link"] || strings.Contains(html, "<a href=")
		has["markup"] = has["markup"] || strings.Contains(html, "&lt;b&gt;")
		has["characters beyond 16 bits"] = has["characters beyond 16 bits"] || strings.ContainsRune(line, '🍿')
	}
	for _, want := range []string{"a line to cut", "a link", "markup", "characters beyond 16 bits"} {
		if !has[want] {
			t.Errorf("no line has %s", want)
		}
	}
}

func TestScriptRunsForItsDuration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := newServer(t, simulator.Options{})
		channel := sim.Channel("movienight")
		join(t, sim, "movienight", "marlow") // a name of the cast, used by another user
		options := simulator.ScriptOptions{Duration: time.Minute, Seed: 3, Pace: 200 * time.Millisecond}
		if err := channel.StartScript(options); err != nil {
			t.Fatal(err)
		}
		if err := channel.StartScript(options); !errors.Is(err, simulator.ErrScriptRunning) {
			t.Errorf("a second script: %v", err)
		}
		time.Sleep(30 * time.Second) // in the bubble's time
		if got := channel.Script(); got.State != simulator.ScriptRunning || got.Lines == 0 {
			t.Errorf("half way: %+v", got)
		}
		time.Sleep(31 * time.Second)
		got := channel.Script()
		if got.State != simulator.ScriptDone || got.Ended-got.Started != time.Minute.Milliseconds() {
			t.Errorf("after its time: %+v", got)
		}
		if users := channel.Users(); len(users) != 1 || users[0].Name != "marlow" {
			t.Errorf("the script left behind %v", users)
		}
		counted := map[simulator.Kind]int{}
		for _, e := range channel.Log() {
			if e.User != "marlow" {
				counted[e.Kind]++
			} else if e.Kind == simulator.KindChat {
				t.Errorf("the script spoke for somebody else: %+v", e)
			}
		}
		if counted[simulator.KindChat] != got.Lines || counted[simulator.KindJoin] != got.Joins ||
			counted[simulator.KindLeave] != got.Leaves || got.Joins != got.Leaves {
			t.Errorf("status %+v, log %v", got, counted)
		}
	})
}

// TestCloseEndsScript hangs, or panics because of a leaked goroutine, if a script outlives its server.
func TestCloseEndsScript(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := newServer(t, simulator.Options{})
		if err := sim.Channel("movienight").StartScript(simulator.ScriptOptions{Seed: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		sim.Close()
		if got := sim.Channel("movienight").Script(); got.State != simulator.ScriptDone || got.Lines < 1000 {
			t.Errorf("after an hour and Close: %+v", got)
		}
		if err := sim.Channel("movienight").StartScript(simulator.ScriptOptions{}); err == nil {
			t.Error("a closed server started a script")
		}
	})
}
