package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/processtest"
)

// linesOf returns what the bot has said.
func linesOf(channel *simulator.Channel) (lines []string) {
	for _, entry := range channel.Log() {
		if entry.Kind == simulator.KindChat && entry.User == "Rosey" {
			text, _ := cytube.TypedText(entry.Text)
			lines = append(lines, text)
		}
	}
	return lines
}

// TestAPluginProcessThatIsStoppedOrKilled stops and kills a process of plugins while people call it: the bot answers
// its own commands, nothing is said twice or too late, and the status says which plugin is away.
func TestAPluginProcessThatIsStoppedOrKilled(t *testing.T) {
	t.Parallel()
	sim, site := startSite(t)
	server, _ := startWithoutLines(t)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("hush-hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const list = `[{name: dice, builtin: dice}]`
	bot := start(t, "bot", "--config", writeBotConfig(t, site, server.URL(), password), "--plugins", list,
		"--commands-cooldown-seconds", "0", "--commands-overrides",
		"{roll: {cooldown: {userSeconds: 0}}, flip: {cooldown: {userSeconds: 0}}}")
	host := start(t, "plugin", "host", "--channel", "movienight", "--server", site, "--nats", server.URL(), "--http",
		"127.0.0.1:0", "--plugins", list)
	dice := func(reason status.Reason) {
		t.Helper()
		natstest.Within(t, 60*time.Second, "the plugin: "+string(reason), func() bool {
			plugins := bot.report().Plugins
			return len(plugins) == 1 && plugins[0].Reason == reason
		})
	}
	bot.waitFor(status.ReasonReady)
	dice(status.ReasonReady)
	channel := sim.Channel("movienight")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the channel: %v\nthe bot: %v\nthe plugin: %v", channel.Log(), bot.log(), host.log())
		}
	})
	expect := func(user, line, want string) {
		t.Helper()
		before := len(linesOf(channel))
		if _, err := channel.Say(user, line); err != nil {
			t.Fatal(err)
		}
		natstest.Eventually(t, line+": "+want, func() bool {
			said := linesOf(channel)[before:]
			return slices.ContainsFunc(said, func(line string) bool { return strings.HasPrefix(line, want) })
		})
	}
	for _, name := range []string{"alice", "bob", "carol"} {
		if err := channel.Join(name); err != nil {
			t.Fatal(err)
		}
	}
	expect("alice", "!roll 1d1", "🎲 alice: 1d1 = 1")
	processtest.Stop(t, host.command.Process.Pid)
	if _, err := channel.Say("alice", "!roll 2d1"); err != nil {
		t.Fatal(err)
	}
	expect("bob", "!uptime", "Running for")
	// It did not answer in time; or it is away, where the bot happens to look for plugins meanwhile.
	const failed = "!roll: the plugin "
	expect("bob", "!roll 3d1", failed)
	natstest.Eventually(t, "both calls are over", func() bool {
		return strings.Count(strings.Join(linesOf(channel), "\n"), failed) == 2
	})
	if err := host.command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	dice(status.ReasonReady)
	expect("carol", "!flip", "🪙") // beside the calls that came too late: the others have one each
	for _, line := range linesOf(channel) {
		if strings.Contains(line, "2d1") || strings.Contains(line, "3d1") {
			t.Errorf("said too late: %s", line)
		}
	}
	connected := server.Clients()
	host.end(syscall.SIGKILL)
	natstest.Eventually(t, "the server sees the end of the process", func() bool { return server.Clients() < connected })
	expect("alice", "!roll 4d1", "!roll: the plugin is away")
	dice(status.ReasonPluginAbsent)
	expect("bob", "!help", "Commands: !help, !seen USER, !stats [USER], !top, !uptime; away: dice")
	if code := bot.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d\n%v", code, bot.log())
	}
}
