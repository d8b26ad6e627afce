package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/cli"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// TestCommandsForARunningBot runs all commands of a person against one `rosey run`.
func TestCommandsForARunningBot(t *testing.T) {
	t.Parallel()
	sim, site := simulatortest.Start(t, simulator.Options{})
	p := start(t, "run", "--channel", "movienight", "--server", site, "--username", "Rosey",
		"--data", t.TempDir(), "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0")
	p.waitFor(status.ReasonReady)
	at := natsURL.FindStringSubmatch(p.output())
	if at == nil {
		t.Fatalf("the banner does not show the NATS URL:\n%s", p.output())
	}
	readable := start(t, "tail", "--nats", at[1], "--filter", "db.message.log")
	asJSON := start(t, "tail", "--nats", at[1], "--channel", "MOVIENIGHT", "--json", "--filter", "username=alice")
	for _, tail := range []*roseyProcess{readable, asJSON} {
		natstest.Eventually(t, "the tail command to watch", func() bool { return len(tail.log()) > 0 })
	}
	if err := sim.Channel("movienight").Join("alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Channel("movienight").Say("alice", "anybody <there>?"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the line in both outputs", func() bool {
		return strings.Contains(readable.output(), "alice: anybody <there>?\n") &&
			strings.Contains(asJSON.output(), "db.message.log")
	})
	if strings.Contains(readable.output(), "db.user.joined") {
		t.Errorf("the filter did not remove:\n%s", readable.output())
	}
	for line := range strings.Lines(asJSON.output()) {
		var message cli.Message
		if err := json.Unmarshal([]byte(line), &message); err != nil || message.Time.IsZero() || len(message.Payload) == 0 {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, test := range []struct{ command, want string }{
		{"say hello", "line 1 is queued for the bot"},
		{"top", "alice  1"},
		{"user ALICE", "alice, in the channel since"},
		{"user nobody", `user "nobody" has never been seen`},
		{"user alice --channel elsewhere", "/elsewhere: not served by this database service"},
	} {
		_, out, stderr := call(t, append(strings.Fields(test.command), "--nats", at[1])...)
		if !strings.Contains(out+stderr, test.want) {
			t.Errorf("%s: %s%s", test.command, out, stderr)
		}
	}
	natstest.Eventually(t, "the line said in the channel", func() bool {
		return strings.Contains(readable.output(), "Rosey: hello\n")
	})
	checkRequestsOfAPage(t, at[1])
	for _, test := range []struct{ command, want string }{
		{"user forget alice", "--yes: expected"},
		{"user export ALICE", `{"kind":"line",`},
		{"user forget Alice --yes", "Nothing is stored about Alice any more"},
	} {
		_, out, stderr := call(t, append(strings.Fields(test.command), "--nats", at[1])...)
		if !strings.Contains(out+stderr, test.want) {
			t.Errorf("%s: %s%s", test.command, out, stderr)
		}
	}
	if _, out, stderr := call(t, "user", "export", "alice", "--nats", at[1]); out+stderr != "" {
		t.Errorf("of somebody who was forgotten: %s%s", out, stderr)
	}
	for _, tail := range []*roseyProcess{readable, asJSON} {
		if code := tail.end(syscall.SIGINT); code != exit.Clean {
			t.Errorf("exit code %d: %v", code, tail.log())
		}
	}
	code, text, stderr := call(t, "status", "--http", p.url(""))
	if code != exit.Clean || !strings.Contains(text, "run ") || strings.Count(text, "\n  ok ") != 7 {
		t.Errorf("exit code %d, %s%s", code, text, stderr)
	}
}

// checkRequestsOfAPage asks as the web page does for the state of the channel and the status of all processes.
func checkRequestsOfAPage(t *testing.T, url string) {
	t.Helper()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := bus.Connect(t.Context(), bus.Options{URL: url, Log: natstest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	requester := bus.NewRequester(conn, subjects)
	var state bus.ChannelState
	err = requester.Request(t.Context(), bus.ChannelGet("MovieNight"), struct{}{}, &state)
	if err != nil || !state.Joined || state.Self != "Rosey" || state.UserCount != 2 || state.Number == 0 {
		t.Errorf("state %+v, %v", state, err)
	}
	processes, err := requester.Processes(t.Context())
	if err != nil || len(processes) != 1 || processes[0].Report.Component != status.RunComponent ||
		processes[0].Channel != "movienight" || !processes[0].Report.Ready {
		t.Errorf("processes %+v, %v", processes, err)
	}
}

func TestStatusOfProcessThatIsNotReady(t *testing.T) {
	t.Parallel()
	p := start(t, "db", "--config", writeConfig(t, t.TempDir(), "nats://127.0.0.1:1"))
	p.waitFor(status.ReasonNATSUnreachable)
	code, text, stderr := call(t, "status", "--http", strings.TrimPrefix(p.url(""), "http://"))
	if code != exit.Failure || !strings.Contains(text, "FAILED  nats    NATSUnreachable") ||
		!strings.Contains(stderr, "is not ready: NATSUnreachable") {
		t.Errorf("exit code %d, %s%s", code, text, stderr)
	}
	code, text, _ = call(t, "status", "--http", p.url(""), "-o", "json")
	var report status.Report
	if err := json.Unmarshal([]byte(text), &report); err != nil || code != exit.Failure || report.Ready {
		t.Errorf("exit code %d, %v, %s", code, err, text)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for _, test := range []struct {
		http, stderr string
		code         int
	}{
		{"127.0.0.1:1", "requesting http://127.0.0.1:1/status: connection refused", exit.Failure},
		{other.URL, "/status: HTTP status 404", exit.Failure},
		{"ftp://x", "--http: expected", exit.Usage},
	} {
		code, _, stderr := call(t, "status", "--http", test.http)
		if code != test.code || !strings.Contains(stderr, test.stderr) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, %s", test.http, code, stderr)
		}
	}
}

func TestCommandsWithAService(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	service := server.Client()
	for subject, reply := range map[string]string{
		"mine.db.messages.outbound.put": `{"success":true,"id":7}`,
		"mine.db.query.channel_stats": `{"high_water_mark":{"users":3,"timestamp":1763700000},
			"high_water_connected":{"users":9,"timestamp":null},"top_chatters":[{"username":"alice","chat_lines":3}],
			"total_users_seen":1,"success":true}`,
		"mine.db.query.user_stats": `{"username":"Alice","first_seen":1763700000,"last_seen":1763700060,"total_chat_lines":3,
			"total_time_connected":90,"current_session_start":1763700000,"success":true,"found":true}`,
	} {
		if _, err := service.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond([]byte(reply)) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := service.Flush(); err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]string{
		"say hello": "line 7 is queued",
		"top":       "  alice  3\n",
		"user alice": "Alice, in the channel since 2025-11-21 04:40:00. Times are UTC.\n" +
			"  first seen  2025-11-21 04:40:00\n  last seen   2025-11-21 04:41:00\n  lines       3\n  connected   1m30s",
		"top -o json":        `"total_users_seen": 1`,
		"user alice -o json": `"total_chat_lines": 3`,
	} {
		arguments := append(strings.Fields(command), "--nats", server.URL(), "--prefix", "mine")
		code, out, stderr := call(t, arguments...)
		if code != exit.Clean || !strings.Contains(out, want) || stderr != "" {
			t.Errorf("%s: exit code %d, %s%s", command, code, out, stderr)
		}
	}
	for command, want := range map[string]struct {
		code   int
		stderr string
	}{
		"top --prefix other":               {exit.Failure, "no database service answers on other.db.query.channel_stats"},
		"say x --nats nats://127.0.0.1:1":  {exit.Failure, "connection refused"},
		"say":                              {exit.Usage, "expected TEXT, the line to say"},
		"user":                             {exit.Usage, "expected one argument, NAME, got 0"},
		"tail --filter a..b":               {exit.Usage, `--filter: "a..b"`},
		"top -o xml":                       {exit.Usage, `"xml", expected text or json`},
		"tail --channel #x":                {exit.Usage, `channel.name (from --channel): "#x"`},
		"user x --config /nonexistent.yml": {exit.Usage, "/nonexistent.yml"},
	} {
		arguments := strings.Fields(command)
		if !strings.Contains(command, "--nats") {
			arguments = append(arguments, "--nats", server.URL())
		}
		code, _, stderr := call(t, arguments...)
		if code != want.code || !strings.Contains(stderr, want.stderr) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d, %s", command, code, stderr)
		}
	}
}

func TestConfigCheck(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"bot.yaml": "channel: {name: m}\nnats: {url: 'nats://n'}\n",
		"run.yaml": "channel: {name: m}\n",
		"bad.yaml": "channel: {nam: m}\nlogLevel: 5\n",
		"live.yaml": "channel: {name: m}\ncommandsFile: " + filepath.Join(dir, "commands.yaml") + "\npluginsFile: " +
			filepath.Join(dir, "plugins.yaml") + "\n",
		"commands.yaml": "overrides: {dice.roll: {rank: 2}}\n",
		"plugins.yaml":  "- {name: dice, builtin: dice}\n- {name: Dice2}\n- {name: mine, grants: {act: [{verb: ban}]}}\n",
		"half.yaml": "channel: {name: m}\ncommandsFile: " + filepath.Join(dir, "commands.yaml") + "\npluginsFile: " +
			filepath.Join(dir, "none.yaml") + "\n",
		"good.yaml": "channel: {name: m}\ncommandsFile: " + filepath.Join(dir, "commands.yaml") + "\n",
		"v2.json": `{"version":"2.0","platforms":[{"domain":"https://cytu.be","channel":"m","user":["R","hush"]}],
			"llm":{"enabled":true}}`,
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		arguments string
		code      int
		want      string
	}{
		{"bot.yaml", exit.Clean, "rosey bot: ok\n" +
			"rosey db: needs more, from flags or environment variables: database: expected one of sqlite and postgres"},
		{"run.yaml", exit.Clean, "rosey bot: needs more, from flags or environment variables: nats.url: required"},
		{"run.yaml --for bot", exit.Usage, "nats.url: required"},
		{"bot.yaml --for bot", exit.Clean, "channel m on https://cytu.be\nrosey bot: ok\n"},
		{"bot.yaml --for all", exit.Usage, `"all", expected run, bot, db or web`},
		{"bad.yaml", exit.Usage, "channel.nam: no such key, expected one of maxMessageLength, name, "},
		{"bad.yaml", exit.Usage, "logLevel: a number, expected text"},
		{"v2.json", exit.Clean, "Rosey v2 for channel m on https://cytu.be\nwarning: llm: becomes the built-in plugin llm, " +
			"which `rosey run` runs, with allowPrivate true, contextLines 10, endpoint http://localhost:11434/v1"},
		{"v2.json", exit.Clean, "rosey run: ok\nrosey bot: ok\nrosey db: ok\n"},
		{"absent.yaml", exit.Usage, "no such file"},
		{"live.yaml", exit.Usage, "plugins.yaml: plugins[1].name: "},
		{"live.yaml", exit.Usage, "plugins[2].grants.act[0].verb: "},
		{"half.yaml", exit.Usage, "none.yaml: no such file"},
		{"good.yaml", exit.Clean, "commands.yaml: 1 overrides of commands"},
	} {
		file, rest, _ := strings.Cut(test.arguments, " ")
		arguments := append([]string{"config", "check", filepath.Join(dir, file)}, strings.Fields(rest)...)
		code, out, stderr := call(t, arguments...)
		if code != test.code || !strings.Contains(out+stderr, test.want) || strings.Contains(out+stderr, "hush") {
			t.Errorf("%s: exit code %d\n%s%s", test.arguments, code, out, stderr)
		}
	}
	code, out, _ := call(t, "config", "schema")
	published, err := os.ReadFile("../../docs/config.schema.json")
	if err != nil || code != exit.Clean || out != string(published) {
		t.Errorf("schema: exit code %d, %v, %s", code, err, out)
	}
}
