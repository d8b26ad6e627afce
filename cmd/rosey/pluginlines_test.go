package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// TestWhoMayCallNothingGetsNoAnswerToALineEither has people name the bot, and answer a question of trivia, whom the
// owner of the bot has it ignore, or who may not give the command: the bot and both plugins are the real ones.
func TestWhoMayCallNothingGetsNoAnswerToALineEither(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"Hi!"}}],"usage":{"total_tokens":5}}`)
	}))
	t.Cleanup(model.Close)
	sim, site := simulatortest.Start(t, simulator.Options{Accounts: []simulator.Account{
		{Name: "Rosey", Password: "hush-hush", Rank: 2}, {Name: "spam", Rank: 2}, {Name: "mallory", Rank: 1},
		{Name: "alice", Rank: 1}, {Name: "erin", Rank: 1}}})
	file := writeFile(t, "rosey.yaml", `
commands:
  ignore: [Spam]
  overrides:
    ai: {rank: 1}
    ask: {rank: 0}
    llm.ai: {deny: [Mallory], cooldown: {userSeconds: 3600}}
    a: {deny: [mallory], rank: 1}
plugins:
- {name: llm, builtin: llm, config: {endpoint: '`+model.URL+`', model: small, allowPrivate: 'true'}}
- {name: trivia, builtin: trivia, config: {questions.towns: 'What is the capital of Australia?|Canberra'}}
`)
	p := start(t, "run", "--config", file, "--channel", "movienight", "--server", site, "--username", "Rosey",
		"--password-file", writeFile(t, "password", "hush-hush"), "--data", t.TempDir(), "--http", "127.0.0.1:0")
	natstest.Eventually(t, "the plugins", func() bool {
		isReady := func(one status.PluginReport) bool { return one.OK && len(one.Commands) > 0 }
		plugins := p.report().Plugins
		return len(plugins) == 2 && isReady(plugins[0]) && isReady(plugins[1])
	})
	room := sim.Channel("movienight")
	people := []string{"spam", "mallory", "guest", "alice"} // of whom the last one alone may call
	for _, name := range append([]string{"erin"}, people...) {
		if err := room.Join(name); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	say := func(user, line string) (after uint64) {
		said, err := room.Say(user, line)
		if err != nil {
			t.Fatal(err)
		}
		return said.Seq
	}
	hear := func(after uint64, want string) {
		t.Helper()
		if _, err := room.WaitFor(ctx, after, func(e simulator.Entry) bool {
			return e.Kind == simulator.KindChat && e.User == "Rosey" && strings.Contains(e.Text, want)
		}); err != nil {
			t.Fatalf("no line with %q: %v\n%v\n%v", want, err, room.Log(), p.log())
		}
	}
	hear(say("alice", "!trivia start 1 towns"), "❓ 1/1")
	after := uint64(0)
	for _, name := range people {
		say(name, "Rosey, how are you?")
		after = say(name, "canberra")
	}
	hear(after, "✅ alice: Canberra")
	hear(0, "alice: Hi!")
	// A line begins the cooldown of the command, which the owner of the bot has set.
	say("alice", "and now, Rosey?")
	say("alice", "!ai and now?")
	hear(say("erin", "Rosey, and me?"), "erin: Hi!")
	isAnswer := func(e simulator.Entry) bool {
		isOfThem := strings.Contains(e.Text, "alice") || strings.Contains(e.Text, "erin")
		return e.User == "Rosey" && !isOfThem && (strings.Contains(e.Text, "Hi!") || strings.Contains(e.Text, "✅"))
	}
	if slices.ContainsFunc(room.Log(), isAnswer) || asked.Load() != 2 {
		t.Errorf("%d questions\n%v", asked.Load(), room.Log())
	}
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d\n%v", code, p.log())
	}
}
