package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// callPlugin calls a command of a plugin in the channel movienight as a bot does, and returns the reply.
func callPlugin(t *testing.T, server *natstest.Server, plugin, command, args string) string {
	t.Helper()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	own, err := subjects.Plugin("movienight", plugin)
	if err != nil {
		t.Fatal(err)
	}
	body, err := bus.Encode(bus.PluginCall{
		ID: "1", Via: bus.ViaChat, User: bus.PluginUser{Name: "alice", Rank: 1}, Command: command, Args: args,
	})
	if err != nil {
		t.Fatal(err)
	}
	reply, err := server.Client().Request(own.Call(command), body, waitTimeout)
	if err != nil {
		return err.Error()
	}
	return string(reply.Data)
}

// TestHostOfTheBuiltinPlugins changes the list while the host runs.
func TestHostOfTheBuiltinPlugins(t *testing.T) {
	t.Parallel()
	server, file := natstest.Start(t), filepath.Join(t.TempDir(), "plugins.yaml")
	list := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, "plugin", "host", "--nats", server.URL(), "--channel", "movienight", "--plugins-file", file,
		"--http", "127.0.0.1:0")
	p.waitFor(status.ReasonPluginsInvalid) // there is none yet
	const first = "- {name: games, builtin: dice}\n- {name: mine, grants: {say: true}}\n"
	list(first)
	report := p.waitFor(status.ReasonReady)
	if len(report.Plugins) != 1 || report.Plugins[0].Name != "games" || report.Component != status.PluginsComponent ||
		report.LiveFiles["plugins.yaml"] != status.ContentHash([]byte(first)) {
		t.Errorf("%+v", report)
	}
	if got := callPlugin(t, server, "games", "roll", "1d1"); !strings.Contains(got, "alice: 1d1 = 1") {
		t.Errorf("the answer: %s", got)
	}
	list("- {name: games, builtin: dice, config: {maxDice: many}}\n")
	report = p.waitFor(status.ReasonPluginSettingsInvalid)
	if !strings.Contains(report.Message, "plugin games: maxDice:") {
		t.Errorf("%+v", report)
	}
	list("- {name: games\n")
	natstest.Eventually(t, "the broken list", func() bool { return p.report().Reason == status.ReasonPluginsInvalid })
	if got := callPlugin(t, server, "games", "flip", ""); !strings.Contains(got, "alice") {
		t.Errorf("with a broken list the plugin does not go on: %s", got)
	}
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d\n%v", code, p.log())
	}
}

func TestOneBuiltinPluginAlone(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := start(t, "plugin", "dice", "--nats", server.URL(), "--channel", "movienight", "--plugin-name", "games")
	if report := p.waitFor(status.ReasonReady); report.Component != status.PluginComponent || len(report.Checks) != 2 {
		t.Errorf("%+v", report)
	}
	if got := callPlugin(t, server, "games", "roll", "1d1"); !strings.Contains(got, "alice: 1d1 = 1") {
		t.Errorf("the answer: %s", got)
	}
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d\n%v", code, p.log())
	}
	if code, _, stderr := call(t, "plugin", "dice"); code != exit.Usage || !strings.Contains(stderr, "nats.url") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// The examples are what people read in the help.
func TestTheExamplesOfBuiltinPluginsWork(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := call(t, "plugin", "check")
	if code != exit.Clean || !strings.Contains(stdout, "ok  dice  !roll") || strings.Contains(stdout, "FAILED") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	if code, _, stderr := call(t, "plugin", "check", "chess"); code != exit.Usage ||
		!strings.Contains(stderr, `"chess": expected one of countdown, `) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// What a plugin stores is in the database, and outlasts both.
func TestABuiltinPluginStoresInTheDatabase(t *testing.T) {
	t.Parallel()
	server, file := natstest.Start(t), filepath.Join(t.TempDir(), "rosey.db")
	common := []string{"--nats", server.URL(), "--channel", "movienight", "--http", "127.0.0.1:0"}
	for round, want := range []string{"Quote 1: “first”", "Quote 2: “second”"} {
		db := start(t, append([]string{"db", "--database", file}, common...)...)
		db.waitFor(status.ReasonReady)
		p := start(t, append([]string{"plugin", "quotes"}, common...)...)
		p.waitFor(status.ReasonReady)
		text := []string{"first", "second"}[round]
		if got := callPlugin(t, server, "quotes", "addquote", text); !strings.Contains(got, want) {
			t.Errorf("the answer: %s", got)
		}
		if got := callPlugin(t, server, "quotes", "quote", "first"); !strings.Contains(got, "Quote 1: “first”") {
			t.Errorf("the answer in round %d: %s", round, got)
		}
		for _, process := range []*roseyProcess{p, db} {
			if code := process.end(syscall.SIGTERM); code != exit.Clean {
				t.Errorf("exit code %d\n%v", code, process.log())
			}
		}
	}
}

// A plugin that runs in the process of the bot answers people in the chat, by the bot.
func TestABuiltinPluginInRun(t *testing.T) {
	t.Parallel()
	sim, site := simulatortest.Start(t, simulator.Options{})
	file := writeFile(t, "rosey.yaml", "plugins:\n- {name: games, builtin: dice}\n")
	p := start(t, "run", "--config", file, "--channel", "movienight", "--server", site, "--username", "Rosey",
		"--data", t.TempDir(), "--http", "127.0.0.1:0")
	awaitPlugin(t, p, "roll")
	room := sim.Channel("movienight")
	if err := room.Join("alice"); err != nil {
		t.Fatal(err)
	}
	said, err := room.Say("alice", "!roll 1d1+1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	answer, err := room.WaitFor(ctx, said.Seq, func(e simulator.Entry) bool {
		return e.Kind == simulator.KindChat && e.User == "Rosey"
	})
	if err != nil || !strings.Contains(answer.Text, "alice: 1d1+1 = 2") {
		t.Errorf("%+v, %v\n%v", answer, err, p.log())
	}
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d\n%v", code, p.log())
	}
}

// awaitPlugin waits until the bot's only plugin is there and offers a command.
func awaitPlugin(t *testing.T, p *roseyProcess, command string) {
	t.Helper()
	natstest.Eventually(t, "the plugin", func() bool {
		plugins := p.report().Plugins
		return len(plugins) == 1 && plugins[0].OK && slices.Contains(plugins[0].Commands, command)
	})
}

// TestThePlaylistPluginInRun has people add and skip in a channel: the plugin, the bot and the database are the real
// ones, and so are the events and the UIDs by which the plugin knows what waits.
func TestThePlaylistPluginInRun(t *testing.T) {
	t.Parallel()
	sim, site := simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{
			{Name: "Rosey", Password: "pw", Rank: 3}, {Name: "alice", Rank: 1}, {Name: "bob", Rank: 1},
			{Name: "mod", Rank: 2},
		},
		Channels: []simulator.ChannelOptions{{Name: "movienight"}},
	})
	password := writeFile(t, "password", "pw\n")
	file := writeFile(t, "rosey.yaml", "plugins:\n- {name: playlist, builtin: playlist, config: {maxWaiting: '1'}}\n"+
		"commands: {cooldownSeconds: 0, overrides: {request: {cooldown: {userSeconds: 0}}}}\n")
	p := start(t, "run", "--config", file, "--channel", "movienight", "--server", site, "--username", "Rosey",
		"--password-file", password, "--data", t.TempDir(), "--http", "127.0.0.1:0")
	awaitPlugin(t, p, "request")
	room := sim.Channel("movienight")
	for _, name := range []string{"alice", "bob", "mod"} {
		if err := room.Join(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := room.ToggleLock("mod"); err != nil { // so everybody may add
		t.Fatal(err)
	}
	answer := func(user, line string) string {
		said, err := room.Say(user, line)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
		defer cancel()
		answer, err := room.WaitFor(ctx, said.Seq, func(e simulator.Entry) bool {
			return e.Kind == simulator.KindChat && e.User == "Rosey"
		})
		if err != nil {
			t.Fatalf("%s: %v\n%v", line, err, p.log())
		}
		return answer.Text
	}
	expect := func(user, line, want string) {
		t.Helper()
		if got := answer(user, line); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %q", line, got, want)
		}
	}
	expect("alice", "!request yt:first", "Added")
	expect("alice", "!now", "Now: ")
	natstest.Eventually(t, "the plugin knows that the first one plays", func() bool {
		return strings.Contains(answer("alice", "!request yt:second"), "Added")
	})
	expect("alice", "!request yt:third", "at most 1")
	expect("alice", "!skip", "1 of 2")
	expect("bob", "!skip", "Skipped")
	natstest.Eventually(t, "the second one waits no more", func() bool {
		return strings.Contains(answer("alice", "!request yt:third"), "Added")
	})
	expect("alice", "!upnext", "Next: ")
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d\n%v", code, p.log())
	}
}

// People nominate films, vote in the poll that the bot opens, and the bot adds the winner, on a CyTube server.
func TestAVoteAddsAFilm(t *testing.T) {
	t.Parallel()
	sim, site := simulatortest.Start(t, simulator.Options{Accounts: []simulator.Account{
		{Name: "Rosey", Password: "hush-hush", Rank: 2}, {Name: "mod", Rank: 2}, {Name: "alice"}, {Name: "bob"}}})
	file := writeFile(t, "rosey.yaml", "commands: {cooldownSeconds: 0}\nplugins:\n- {name: polls, builtin: polls}\n")
	p := start(t, "run", "--config", file, "--channel", "movienight", "--server", site, "--username", "Rosey",
		"--password-file", writeFile(t, "password", "hush-hush"), "--data", t.TempDir(), "--http", "127.0.0.1:0")
	awaitPlugin(t, p, "moviepoll")
	room := sim.Channel("movienight")
	for _, name := range []string{"mod", "alice", "bob"} {
		if err := room.Join(name); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	says := func(user, line, want string) {
		t.Helper()
		said, err := room.Say(user, line)
		if err == nil {
			_, err = room.WaitFor(ctx, said.Seq, func(e simulator.Entry) bool {
				return e.Kind == simulator.KindChat && e.User == "Rosey" && strings.Contains(e.Text, want)
			})
		}
		if err != nil {
			t.Fatalf("%s: %s: no answer with %q: %v\n%v\n%v", user, line, want, err, room.Log(), p.log())
		}
	}
	says("alice", "!nominate https://youtu.be/aaaaaaaaaaa Metropolis", "alice nominates Metropolis")
	says("bob", "!nominate https://www.youtube.com/watch?v=aaaaaaaaaaa&t=5", "alice has nominated this already")
	says("bob", "!nominate https://youtu.be/bbbbbbbbbbb Nosferatu", "bob nominates Nosferatu")
	says("mod", "!moviepoll", "Vote in the poll on 2 films")
	for _, name := range []string{"alice", "bob"} {
		if err := room.Vote(name, 1); err != nil {
			t.Fatal(err)
		}
	}
	says("mod", "!endpoll", "nominated by bob, is added to the playlist")
	if !slices.ContainsFunc(room.Log(), func(e simulator.Entry) bool {
		return e.Kind == simulator.KindQueue && e.User == "Rosey" && strings.Contains(e.Text, "bbbbbbbbbbb")
	}) {
		t.Errorf("nothing is in the playlist: %v", room.Log())
	}
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d\n%v", code, p.log())
	}
}
