package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/natsauth"
	"rosey.dev/rosey/runtime/status"
)

// javascriptPlugin returns the directory of the plugin in JavaScript with its libraries, which npm puts into the cache.
// It skips the test where they cannot be had.
func javascriptPlugin(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("a plugin in JavaScript: %s is not installed", program)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("a plugin in JavaScript: %v", err)
	}
	dir := filepath.Join(cache, "rosey", "plugin-javascript")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	unlock := lockFile(t, filepath.Join(dir, "lock"))
	defer unlock()
	changed := false
	for _, name := range []string{"plugin.js", "package.json", "package-lock.json"} {
		content, err := os.ReadFile(filepath.Join("../../test/plugins/javascript", name))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if before, err := os.ReadFile(file); err == nil && string(before) == string(content) {
			continue
		}
		changed = changed || name != "plugin.js"
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err == nil && !changed {
		return dir
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	install.Dir = dir
	if output, err := install.CombinedOutput(); err != nil {
		_ = os.RemoveAll(filepath.Join(dir, "node_modules"))
		t.Skipf("a plugin in JavaScript: npm cannot install its libraries: %v, %s", err, output)
	}
	return dir
}

// lockFile locks a file against other processes.
func lockFile(t *testing.T, name string) (unlock func()) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = file.Close() }
}

// sumsPlugin has the rig's bot be in the channel of the plugin in JavaScript, and returns the subjects.
func (r *issuedRig) sumsPlugin() (bus.Subjects, bus.PluginSubjects) {
	r.Helper()
	r.common[1] = "Movie_Night"
	subjects, err := bus.NewSubjects(r.prefix)
	if err != nil {
		r.Fatal(err)
	}
	plugin, err := subjects.Plugin("Movie_Night", "sums")
	if err != nil {
		r.Fatal(err)
	}
	return subjects, plugin
}

// TestAPluginInJavaScript runs a plugin that uses NATS' own libraries and nothing of this repository, as the user that
// `rosey nats issue` has issued for it: it is discovered and called, uses its keys, and says that it begins and ends.
func TestAPluginInJavaScript(t *testing.T) {
	t.Parallel()
	dir := javascriptPlugin(t)
	for _, target := range []natsauth.Target{natsauth.ServerConfTarget, natsauth.JWTTarget} {
		t.Run(string(target), func(t *testing.T) {
			t.Parallel()
			r := newIssuedRig(t, string(target), "Never", "Automatic")
			subjects, plugin := r.sumsPlugin()
			r.startService().waitFor(status.ReasonReady)
			r.callJavaScript(dir, plugin, r.botClient(subjects))
			for _, violation := range r.denied() {
				t.Errorf("the server denied: %s", violation)
			}
		})
	}
}

// TestABotCallsAPluginInJavaScript does the same with the bot, a person in the channel, and the users that
// `rosey nats issue` has issued for bot, database service and plugin.
func TestABotCallsAPluginInJavaScript(t *testing.T) {
	t.Parallel()
	dir := javascriptPlugin(t)
	r := newIssuedRig(t, string(natsauth.JWTTarget), "Never", "Automatic")
	_, plugin := r.sumsPlugin()
	r.startService().waitFor(status.ReasonReady)
	bot := r.startBot(false, "--plugins", "[{name: sums}]")
	bot.waitFor(status.ReasonReady)
	r.startJavaScript(dir, plugin)
	awaitPlugin(t, bot, "js")
	channel := r.sim.Channel("Movie_Night")
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	for _, test := range []struct{ user, line, want string }{
		{"alice", "!js 1 2.5", "3.5 (call 1 of alice)"},
		{"bob", "!js one", "expected numbers, such as 1 2.5"},
		{"carol", "!help", "!js NUMBER…"},
	} {
		if err := channel.Join(test.user); err != nil {
			t.Fatal(err)
		}
		said, err := channel.Say(test.user, test.line)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := channel.WaitFor(ctx, said.Seq, func(e simulator.Entry) bool {
			return e.User == "Rosey" && strings.Contains(e.Text, test.want)
		}); err != nil {
			t.Fatalf("%s: %v\n%v", test.line, err, bot.log())
		}
	}
	for _, violation := range r.denied() {
		t.Errorf("the server denied: %s", violation)
	}
}

// botClient connects as the bot's user.
func (r *issuedRig) botClient(subjects bus.Subjects) *nats.Conn {
	r.Helper()
	dir := r.secret("bot-login")
	login := nats.UserCredentials(filepath.Join(dir, "nats.creds"))
	if user, err := os.ReadFile(filepath.Join(dir, "username")); err == nil {
		password, err := os.ReadFile(filepath.Join(dir, "password"))
		if err != nil {
			r.Fatal(err)
		}
		login = nats.UserInfo(string(user), string(password))
	}
	return r.nats.Client(login, nats.CustomInboxPrefix(subjects.InboxPrefix(bus.BotRole)))
}

// startJavaScript starts the plugin with the environment that the operator gives to plugins. It ends with the test.
func (r *issuedRig) startJavaScript(dir string, plugin bus.PluginSubjects) *exec.Cmd {
	r.Helper()
	node := exec.CommandContext(r.Context(), "node", "plugin.js")
	node.Dir, node.Stderr = dir, os.Stderr
	node.Env = append(os.Environ(), "ROSEY_NATS_URL="+r.nats.URL(), "ROSEY_NATS_SUBJECT_PREFIX="+r.prefix,
		"ROSEY_NATS_CREDENTIALS_DIR="+r.secret("sums-login"), "ROSEY_PLUGIN_NAME="+plugin.Name,
		"ROSEY_CHANNEL_NAME=Movie_Night")
	output, err := node.StdoutPipe()
	if err == nil {
		err = node.Start()
	}
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = node.Wait() }) // the context of the test has ended by then
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "serving as "+plugin.ServiceName() {
		r.Fatalf("the plugin prints %q, %v; want that it serves as %s", line, err, plugin.ServiceName())
	}
	return node
}

// callJavaScript does what a bot does with a plugin.
func (r *issuedRig) callJavaScript(dir string, plugin bus.PluginSubjects, bot *nats.Conn) {
	r.Helper()
	heard, err := bot.SubscribeSync(plugin.All())
	if err == nil {
		err = bot.Flush()
	}
	if err != nil {
		r.Fatal(err)
	}
	node := r.startJavaScript(dir, plugin)
	if hello, err := heard.NextMsg(waitTimeout); err != nil || hello.Subject != plugin.Hello() {
		r.Fatalf("no hello: %v, %v", hello, err)
	}
	r.discoverJavaScript(plugin, bot)
	for i, test := range []struct{ user, arguments, want, code string }{
		{"alice", "1 2.5", "3.5 (call 1 of alice)", ""},
		{"alice", "-1", "-1 (call 2 of alice)", ""},
		{"Ünal 🎬", "4", "4 (call 1 of Ünal 🎬)", ""},
		{"alice", "one", "expected numbers, such as 1 2.5", bus.CodeUsage},
		{"alice", "", "expected numbers, such as 1 2.5", bus.CodeUsage},
	} {
		call, err := json.Marshal(bus.PluginCall{
			ID: fmt.Sprint(i), Via: bus.ViaChat, User: bus.PluginUser{Name: test.user, Rank: 1}, Command: "js",
			Args: test.arguments, Text: "!js " + test.arguments,
		})
		if err != nil {
			r.Fatal(err)
		}
		reply, err := bot.Request(plugin.Call("js"), call, waitTimeout)
		if err != nil {
			r.Fatalf("%+v: %v", test, err)
		}
		if code := reply.Header.Get(micro.ErrorCodeHeader); test.code != "" {
			if description := reply.Header.Get(micro.ErrorHeader); code != test.code || description != test.want {
				r.Errorf("%+v: error %q %q", test, code, description)
			}
			continue
		}
		var answer bus.PluginReply
		if err := json.Unmarshal(reply.Data, &answer); err != nil || !slices.Equal(answer.Lines, []string{test.want}) {
			r.Errorf("%+v: %s %v, %v", test, reply.Data, reply.Header, err)
		}
	}
	if err := node.Process.Signal(syscall.SIGTERM); err != nil {
		r.Fatal(err)
	}
	if bye, err := heard.NextMsg(waitTimeout); err != nil || bye.Subject != plugin.Bye() {
		r.Errorf("no bye: %v, %v", bye, err)
	}
}

// discoverJavaScript asks the plugin alone for its description.
func (r *issuedRig) discoverJavaScript(plugin bus.PluginSubjects, bot *nats.Conn) {
	r.Helper()
	for _, verb := range []string{"PING", "INFO"} {
		reply, err := bot.Request("$SRV."+verb+"."+plugin.ServiceName(), nil, waitTimeout)
		if err != nil {
			r.Fatalf("%s: %v", verb, err)
		}
		var info micro.Info
		if err := json.Unmarshal(reply.Data, &info); err != nil || info.Name != plugin.ServiceName() || info.ID == "" {
			r.Fatalf("%s: %s, %v", verb, reply.Data, err)
		}
		if verb == "PING" {
			continue
		}
		if len(info.Endpoints) != 1 || info.Endpoints[0].Subject != plugin.Call("js") ||
			info.Endpoints[0].QueueGroup != plugin.QueueGroup() {
			r.Fatalf("endpoints: %+v", info.Endpoints)
		}
		var command bus.PluginCommand
		err = json.Unmarshal([]byte(info.Endpoints[0].Metadata[bus.CommandMetadata]), &command)
		if err != nil || command.Name != "js" || command.Usage != "NUMBER…" {
			r.Errorf("command: %+v, %v", command, err)
		}
	}
}
