package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

var natsURL = regexp.MustCompile(`NATS +(nats://[^,]+),`)

// TestRunFromStartToEnd runs everything in one process, as a person who has only the binary does.
func TestRunFromStartToEnd(t *testing.T) {
	t.Parallel()
	sim, site := simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{{Name: "Rosey", Password: "hush-hush", Rank: 2}}})
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("hush-hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "made", "here")
	p := start(t, "run", "--channel", "movienight", "--server", site, "--username", "rosey",
		"--password-file", password, "--data", data, "--http", "127.0.0.1:0")
	report := p.waitFor(status.ReasonReady)
	if report.Component != status.RunComponent || len(report.Checks) != 7 {
		t.Errorf("status: %+v", report)
	}
	for _, text := range []string{
		"movienight on " + site + ", as the account rosey", filepath.Join(data, "rosey.db"), "inside this process only",
	} {
		if !strings.Contains(p.output(), text) {
			t.Errorf("the banner lacks %q:\n%s", text, p.output())
		}
	}
	for _, check := range report.Checks {
		if check.Since.Before(report.Started) || check.Since.After(time.Now()) {
			t.Errorf("check %s is so since %s, started at %s", check.Name, check.Since, report.Started)
		}
	}
	_, page := p.get(status.ProcessPath)
	if strings.Contains(page, " days") || !strings.Contains(page, string(status.ReasonCoreOnly)) {
		t.Errorf("the page of a process that has just started:\n%s", page)
	}
	if strings.Contains(p.output()+fmt.Sprint(p.log()), "WARN") {
		t.Errorf("warnings at a start at which nothing is wrong:\n%s\n%v", p.output(), p.log())
	}
	checkOnlyListener(t, p, p.url(""))
	if err := sim.Channel("movienight").Join("alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Channel("movienight").Say("alice", "anybody there?"); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the line in the bot", func() bool {
		_, metrics := p.get(status.MetricsPath)
		// The first event tells moderators that alice has joined.
		return strings.Contains(metrics, `rosey_cytube_events_total{event="chatMsg"} 2`)
	})
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d\n%v", code, p.log())
	}
	if text := fmt.Sprint(p.log(), p.output()); strings.Contains(text, "hush-hush") {
		t.Error("the password is shown")
	}
	rows := showData(t, "--server", site, "--channel", "movienight", "--database", filepath.Join(data, "rosey.db"))
	if len(rows.Chat) != 1 || rows.Chat[0].Text != "anybody there?" {
		t.Errorf("stored: %+v", rows.Chat)
	}
	// What the bot publishes while it leaves is stored only if the service stops after it.
	if string(rows.Status["bot_connected"]) != "false" {
		t.Errorf("the last status is not that of a bot that has left: %s", rows.Status)
	}
	for _, user := range rows.Users {
		if user.SessionStart != 0 {
			t.Errorf("the session of %s is open after the end", user.Username)
		}
	}
}

func showData(t *testing.T, arguments ...string) (content channelRows) {
	t.Helper()
	code, out, stderr := call(t, append([]string{"db", "show", "--output", "json"}, arguments...)...)
	if err := json.Unmarshal([]byte(out), &content); err != nil || code != 0 {
		t.Fatalf("show: exit code %d, %v, %s%s", code, err, out, stderr)
	}
	return content
}

// checkOnlyListener checks that a process listens on the port of a URL and on no other.
func checkOnlyListener(t *testing.T, p *roseyProcess, url string) {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	sockets := map[string]bool{}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.command.Process.Pid))
	if err != nil || len(links) == 0 {
		t.Skip("there is no /proc")
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil {
			sockets[strings.Trim(strings.TrimPrefix(to, "socket:"), "[]")] = true
		}
	}
	const listening = "0A"
	for _, table := range []string{"tcp", "tcp6"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", p.command.Process.Pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(content), "\n")[1:] {
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != listening || !sockets[fields[9]] {
				continue
			}
			var at int
			if _, err := fmt.Sscanf(fields[1][strings.LastIndex(fields[1], ":")+1:], "%X", &at); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(at) != port {
				t.Errorf("it also listens on port %d", at)
			}
		}
	}
}

// TestRunLoadsV2File runs a bot with nothing but the Python bot's configuration.
func TestRunLoadsV2File(t *testing.T) {
	t.Parallel()
	sim, site := simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{{Name: "Rosey", Password: "hush-hush", Rank: 2}},
		Channels: []simulator.ChannelOptions{{Name: "private", Password: "open-sesame"}},
	})
	dir := t.TempDir()
	file := filepath.Join(dir, "config.json")
	content := fmt.Sprintf(`{"version": "2.0", "nats": {"url": "nats://localhost:4222"},
  "database": {"path": %q, "run_as_service": true}, "logging": {"level": "DEBUG"},
  "platforms": [{"domain": %q, "channel": ["private", "open-sesame"], "user": ["Rosey", "hush-hush"]}],
  "llm": {"openai": {"api_key": "sk-hush"}}}`, filepath.Join(dir, "bot_data.db"), site)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "run", "--config", file, "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0")
	p.waitFor(status.ReasonReady)
	if users := sim.Channel("private").Users(); len(users) != 1 || users[0].Name != "Rosey" {
		t.Errorf("users %+v", users)
	}
	if !natsURL.MatchString(p.output()) {
		t.Errorf("the banner does not show the NATS URL:\n%s", p.output())
	}
	if code := p.end(syscall.SIGINT); code != exit.Clean {
		t.Errorf("exit code %d", code)
	}
	log := fmt.Sprint(p.log(), p.output())
	for _, secret := range []string{"hush", "sesame"} {
		if strings.Contains(log, secret) {
			t.Errorf("a secret is shown: %s", log)
		}
	}
	for _, key := range []string{"llm.enabled is not true", "database.run_as_service", "nats.url"} {
		if !strings.Contains(log, key) {
			t.Errorf("no warning about %s", key)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "bot_data.rosey.db")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "bot_data.db")); err == nil {
		t.Error("the Python bot's database was written")
	}
}

func TestRunReportsWhyItCannotStart(t *testing.T) {
	t.Parallel()
	inUse, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inUse.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		arguments []string
		code      int
		stderr    string
	}{
		{nil, exit.Usage, `channel.name: "", expected 1 to 30`},
		{[]string{"--channel", "a b"}, exit.Usage, `channel.name (from --channel): "a b"`},
		{[]string{"--channel", "m", "--database-retention-chat", "5m"}, exit.Usage, "database.retention.chat"},
		{[]string{"--password", "pw"}, exit.Usage, "unknown flag: --password"},
		{[]string{"--channel", "m", "--data", filepath.Join(file, "in")}, exit.Failure, "creating the data directory"},
		{[]string{"--channel", "m", "--data", t.TempDir(), "--listen", "4222"}, exit.Failure, "expected host:port"},
		{[]string{"--channel", "m", "--data", t.TempDir(), "--http", inUse.Addr().String()}, exit.Failure, "in use"},
	} {
		code, _, stderr := call(t, append([]string{"run"}, test.arguments...)...)
		if code != test.code || !strings.Contains(stderr, test.stderr) {
			t.Errorf("%v: exit code %d, %s", test.arguments, code, stderr)
		}
	}
}

// TestRunOnTheNetworkNamesNobodyToStrangers: reading about the channel needs a token at every path.
func TestRunOnTheNetworkNamesNobodyToStrangers(t *testing.T) {
	t.Parallel()
	_, site := simulatortest.Start(t, simulator.Options{})
	tokens := t.TempDir()
	const token = "alice-has-this-token"
	if err := os.WriteFile(filepath.Join(tokens, "alice"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "run", "--channel", "movienight", "--server", site, "--data", t.TempDir(),
		"--http", "0.0.0.0:0", "--web-tokens-dir", tokens, "--web-base-path", "/rosey")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.url(""), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for path, codes := range map[string][2]int{
		status.ProcessPath: {401, 200}, status.StatePath: {401, 200}, "/rosey/api/v1/state": {401, 200},
		status.HealthPath: {200, 200}, status.StatusPath: {200, 200}, status.MetricsPath: {200, 200},
	} {
		for i, given := range []string{"", token} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-API-Token", given)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			if _ = response.Body.Close(); response.StatusCode != codes[i] {
				t.Errorf("%s with the token %q: %d, want %d", path, given, response.StatusCode, codes[i])
			}
		}
	}
	if text := "/rosey, for people with a token\n"; !strings.Contains(p.output(), text) {
		t.Errorf("the banner lacks %q:\n%s", text, p.output())
	}
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d\n%v", code, p.log())
	}
}

// TestMainTaskStopsWhenANeededOneFails: a bot whose service has failed must not run on.
func TestMainTaskStopsWhenANeededOneFails(t *testing.T) {
	broken := errors.New("broken")
	err := runWith(t.Context(),
		func(ctx context.Context) error { <-ctx.Done(); return nil },
		func(context.Context) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// With a plugin of somebody else the NATS server of `rosey run` has users: a plugin may do what it is granted and no
// more, nobody gets in without a password, and the passwords are those of the run before.
func TestRunHasUsersForPlugins(t *testing.T) {
	t.Parallel()
	_, site := simulatortest.Start(t, simulator.Options{})
	dir := t.TempDir()
	file, data := filepath.Join(dir, "rosey.yaml"), filepath.Join(dir, "data")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(pluginsConfig, "movies}", "rosey}")), 0o600); err != nil {
		t.Fatal(err)
	}
	var passwords []string
	for range 2 {
		p := start(t, "run", "--config", file, "--server", site, "--data", data, "--http", "127.0.0.1:0",
			"--listen", "127.0.0.1:0")
		p.waitFor(status.ReasonReady)
		url := natsURL.FindStringSubmatch(p.output())
		if url == nil {
			t.Fatalf("no URL in %s", p.output())
		}
		if _, err := nats.Connect(url[1]); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("without a password: %v", err)
		}
		passwords = append(passwords, checkPluginUser(t, url[1], filepath.Join(data, "nats", "weather")))
		say := []string{"say", "hi", "--nats", url[1]}
		if code, _, _ := call(t, say...); code != exit.Failure {
			t.Errorf("say without a password: exit code %d", code)
		}
		code, out, stderr := call(t, append(say, "--nats-credentials-dir", filepath.Join(data, "nats", "rosey-cli"))...)
		if code != exit.Clean {
			t.Errorf("say with the files of cli: exit code %d, %s%s", code, out, stderr)
		}
		for _, text := range []string{filepath.Join(data, "nats", "rosey-cli"), filepath.Join(data, "nats", "weather")} {
			if !strings.Contains(p.output(), text) {
				t.Errorf("the banner lacks %q:\n%s", text, p.output())
			}
		}
		if code := p.end(syscall.SIGTERM); code != exit.Clean {
			t.Errorf("exit code %d\n%v", code, p.log())
		}
		if strings.Contains(p.output()+fmt.Sprint(p.log()), passwords[0]) {
			t.Error("a password is shown")
		}
	}
	if passwords[0] != passwords[1] || len(passwords[0]) < 20 {
		t.Error("a new password at the second start, or a short one")
	}
}

// TestRunFollowsTheListOfPlugins: whoever removes a grant or a plugin while the bot runs wants it to have no effect any
// more. The bot is not asked for events and keys.
func TestRunFollowsTheListOfPlugins(t *testing.T) {
	t.Parallel()
	_, site := simulatortest.Start(t, simulator.Options{})
	data := filepath.Join(t.TempDir(), "data")
	list := writeFile(t, "plugins.yaml", "- {name: weather, grants: {events: [message]}}\n")
	weather := filepath.Join(data, "nats", "weather")
	if err := os.MkdirAll(filepath.Join(data, "nats", "rosey-run"), 0o755); err != nil { // as earlier versions left it
		t.Fatal(err)
	}
	if err := os.MkdirAll(weather, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(weather, "password"), []byte("of an earlier run\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, "run", "--channel", "rosey", "--plugins-file", list, "--server", site, "--data", data, "--http",
		"127.0.0.1:0", "--listen", "127.0.0.1:0")
	p.waitFor(status.ReasonReady)
	url := natsURL.FindStringSubmatch(p.output())
	if url == nil {
		t.Fatalf("no URL in %s", p.output())
	}
	for path, want := range map[string]os.FileMode{weather: 0o700, filepath.Join(weather, "password"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if _, err := os.Stat(filepath.Join(data, "nats", "rosey-run")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the password of the process is in a file: %v", err)
	}
	login := nats.UserInfo("weather", "of an earlier run")
	closed := make(chan struct{})
	conn, err := nats.Connect(url[1], login, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	events, err := conn.QueueSubscribeSync("rosey.events.cytube.rosey.message", "weather")
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	maySubscribe := func() bool {
		return conn.LastError() == nil && events.IsValid()
	}
	if !maySubscribe() {
		t.Fatalf("the plugin does not get what it is granted: %v", conn.LastError())
	}
	change := func(text string) {
		t.Helper()
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change("- {name: weather}\n- {name: later, grants: {say: true}}\n")
	natstest.Eventually(t, "the end of the grant", func() bool { return !maySubscribe() || !conn.IsConnected() })
	natstest.Eventually(t, "the files of a plugin that was added", func() bool {
		_, err := os.Stat(filepath.Join(data, "nats", "later", "password"))
		return err == nil
	})
	natstest.Eventually(t, "its login", func() bool {
		password, err := os.ReadFile(filepath.Join(data, "nats", "later", "password"))
		if err != nil {
			return false
		}
		later, err := nats.Connect(url[1], nats.UserInfo("later", string(password)))
		if err == nil {
			later.Close()
		}
		return err == nil
	})
	change("- {name: later}\n")
	<-closed
	if _, err := nats.Connect(url[1], login); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a plugin that was removed: %v", err)
	}
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d\n%v", code, p.log())
	}
}

// checkPluginUser logs in with the files of a plugin, tries what it may and may not, and returns its password.
func checkPluginUser(t *testing.T, url, dir string) (password string) {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"username", "password"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		files[name] = string(content)
	}
	denied := make(chan error, 10)
	conn, err := nats.Connect(url, nats.UserInfo(files["username"], files["password"]),
		nats.CustomInboxPrefix("_INBOX_rosey_plugin_movienight_weather"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reply, err := conn.Request("rosey.db.kv.movienight.weather.add", []byte(`{"key":"n","by":1}`), waitTimeout)
	if err != nil || !strings.Contains(string(reply.Data), `"success":true`) {
		t.Errorf("its own keys: %v, %v", reply, err)
	}
	for _, subject := range []string{"rosey.db.kv.movienight.dice.get", "rosey.db.messages.outbound.put"} {
		if err := conn.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if err := <-denied; !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v", subject, err)
		}
	}
	return files["password"]
}
