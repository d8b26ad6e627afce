package bot

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

// testPlugin is a process of a plugin that does what a test says.
type testPlugin struct {
	r        *rig
	conn     *nats.Conn
	subjects bus.PluginSubjects
	id       string
	commands []bus.PluginCommand
	// extra are endpoints beside those of the commands.
	extra []*micro.EndpointInfo

	mu sync.Mutex
	// answer replies to a call. Nil: it says "rolled" and the arguments.
	answer  func(m *nats.Msg, call bus.PluginCall)
	calls   []bus.PluginCall
	cancels []bus.PluginCancel
}

// plug starts a process of a plugin with commands.
func (r *rig) plug(name, id string, commands ...bus.PluginCommand) *testPlugin {
	r.t.Helper()
	p := r.newPlugin(name, id, commands...)
	p.start()
	return p
}

func (r *rig) newPlugin(name, id string, commands ...bus.PluginCommand) *testPlugin {
	r.t.Helper()
	subjects, err := bus.NewSubjects(prefix)
	must(r.t, err)
	own, err := subjects.Plugin("movienight", name)
	must(r.t, err)
	return &testPlugin{r: r, conn: r.nats.Client(), subjects: own, id: id, commands: commands}
}

func (p *testPlugin) start() {
	p.r.t.Helper()
	p.on("$SRV.INFO."+p.subjects.ServiceName(), "", func(m *nats.Msg) { p.respond(m, p.info()) })
	p.on("$SRV.PING."+p.subjects.ServiceName(), "", func(m *nats.Msg) {
		p.respond(m, micro.Ping{ServiceIdentity: p.info().ServiceIdentity})
	})
	p.on(p.subjects.AllCalls(), p.subjects.QueueGroup(), p.call)
	p.on(p.subjects.Cancel(), "", func(m *nats.Msg) {
		var cancel bus.PluginCancel
		must(p.r.t, json.Unmarshal(m.Data, &cancel))
		p.mu.Lock()
		defer p.mu.Unlock()
		p.cancels = append(p.cancels, cancel)
	})
	must(p.r.t, p.conn.Flush())
	p.hello()
}

func (p *testPlugin) on(subject, group string, f func(*nats.Msg)) {
	p.r.t.Helper()
	var err error
	if group == "" {
		_, err = p.conn.Subscribe(subject, f)
	} else {
		_, err = p.conn.QueueSubscribe(subject, group, f)
	}
	must(p.r.t, err)
}

func (p *testPlugin) hello() {
	must(p.r.t, p.conn.Publish(p.subjects.Hello(), []byte(`{"id":"`+p.id+`"}`)))
}

func (p *testPlugin) respond(m *nats.Msg, answer any) {
	data, err := bus.Encode(answer)
	must(p.r.t, err)
	_ = m.Respond(data) // the bot may be gone
}

func (p *testPlugin) info() micro.Info {
	info := micro.Info{ServiceIdentity: micro.ServiceIdentity{Name: p.subjects.ServiceName(), ID: p.id, Version: "1.0.0"}}
	for _, one := range p.commands {
		metadata, err := bus.Encode(one)
		must(p.r.t, err)
		info.Endpoints = append(info.Endpoints, micro.EndpointInfo{
			Name: one.Name, Subject: p.subjects.Call(one.Name), QueueGroup: p.subjects.QueueGroup(),
			Metadata: map[string]string{bus.CommandMetadata: string(metadata)},
		})
	}
	for _, one := range p.extra {
		info.Endpoints = append(info.Endpoints, *one)
	}
	return info
}

func (p *testPlugin) call(m *nats.Msg) {
	var call bus.PluginCall
	must(p.r.t, json.Unmarshal(m.Data, &call))
	p.mu.Lock()
	p.calls = append(p.calls, call)
	answer := p.answer
	p.mu.Unlock()
	if answer == nil {
		p.respond(m, bus.PluginReply{Lines: []string{"rolled " + call.Args}})
		return
	}
	answer(m, call)
}

// does has the plugin answer calls in another way.
func (p *testPlugin) does(answer func(m *nats.Msg, call bus.PluginCall)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *testPlugin) called() []bus.PluginCall {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

func (p *testPlugin) cancelled() []bus.PluginCancel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.cancels)
}

// request sends a request of the plugin and returns the reply.
func (p *testPlugin) request(subject string, body any) bus.PluginOutcome {
	p.r.t.Helper()
	var outcome bus.PluginOutcome
	p.ask(subject, body, &outcome)
	return outcome
}

func (p *testPlugin) ask(subject string, body, out any) {
	p.r.t.Helper()
	data, err := bus.Encode(body)
	must(p.r.t, err)
	reply, err := p.conn.Request(subject, data, 10*time.Second)
	must(p.r.t, err)
	must(p.r.t, json.Unmarshal(reply.Data, out))
}

// newPluginRig returns a rig with the given plugins configured, in whose channel are mod, alice and bob.
func newPluginRig(t *testing.T, plugins ...config.Plugin) *rig {
	t.Helper()
	r := newRig(t)
	r.config.Plugins = plugins
	r.config.Commands.CooldownSeconds = new(0)
	for _, name := range []string{"mod", "alice", "bob"} {
		must(t, r.channel.Join(name))
	}
	return r
}

// awaitPlugin waits until the status says something of a plugin.
func (r *rig) awaitPlugin(name string, reason status.Reason, message string) status.PluginReport {
	r.t.Helper()
	var report status.PluginReport
	r.eventually(fmt.Sprintf("plugin %s: %s, %s", name, reason, message), func() bool {
		reports := r.bot.Plugins()
		at := slices.IndexFunc(reports, func(one status.PluginReport) bool { return one.Name == name })
		if at >= 0 {
			report = reports[at]
		}
		return report.Reason == reason && strings.Contains(report.Message, message)
	})
	return report
}

// heard waits for a line of the bot in the channel that begins as given.
func (r *rig) heard(beginning string) {
	r.t.Helper()
	r.eventually("the bot says "+beginning, func() bool {
		return slices.ContainsFunc(r.linesOf("Rosey"), func(line string) bool { return strings.HasPrefix(line, beginning) })
	})
}

func TestPluginsAreFoundCalledAndAudited(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice"}, config.Plugin{Name: "away"})
	p := r.plug("dice", "one", bus.PluginCommand{Name: "roll", Usage: "[n]dS", Aliases: []string{"r"}})
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	r.awaitPlugin("away", status.ReasonPluginAbsent, "no process of the plugin answers")
	r.say("alice", "!roll 2d6")
	r.heard("rolled 2d6")
	call := p.called()[0]
	isAlice := call.User == bus.PluginUser{Name: "alice"}
	if call.ID == "" || call.Via != bus.ViaChat || !isAlice || call.Command != "roll" || call.Text != "!roll 2d6" {
		t.Errorf("call %+v", call)
	}
	_, err := r.channel.PM("bob", "Rosey", "!r 1d1")
	must(t, err)
	r.eventually("a private answer", func() bool { return slices.Equal(r.pms("bob"), []string{"rolled 1d1"}) })
	var actions []received
	r.eventually("the audit", func() bool { actions = r.service.on(bus.ActionPMCommand); return len(actions) == 2 })
	got := actions[0].Payload
	if got["username"] != "alice" || got["command"] != "dice.roll" || got["args"] != "2d6" || got["plugin"] != "dice" ||
		got["call"] != call.ID || got["result"] != "success" || got["said"] != "rolled 2d6" {
		t.Errorf("audit %v", got)
	}
	if got := actions[1].Payload; got["username"] != "bob" || got["command"] != "dice.roll" ||
		got["args"] != "(3 characters)" || got["said"] != "to bob (10 characters)" {
		t.Errorf("the audit of a private call %v", got)
	}
	reply, err := r.nats.Client().Request(prefix+".channel.movienight.commands", nil, 10*time.Second)
	must(t, err)
	var told bus.ChannelCommands
	must(t, json.Unmarshal(reply.Data, &told))
	isRoll := func(one bus.OfferedCommand) bool { return one.Plugin == "dice" && one.Name == "roll" && one.Available }
	if !told.Success || told.Prefix != "!" || len(told.Plugins) != 2 || !slices.ContainsFunc(told.Commands, isRoll) {
		t.Errorf("told %+v", told)
	}
	r.say("alice", "!help")
	r.heard("Commands: !help, !seen USER, !stats [USER], !top, !uptime, !roll [n]dS; away: away")
	if check := r.bot.PluginsCheck(); !check.OK || check.Reason != status.ReasonPermissionsNotEnforced {
		t.Errorf("check %+v", check)
	}
	report := r.awaitPlugin("dice", status.ReasonReady, "")
	if !report.OK || !slices.Equal(report.Commands, []string{"roll"}) {
		t.Errorf("report %+v", report)
	}
}

// TestArgumentsOfPrivateCommandsAreNotStored gives a plugin a password.
func TestArgumentsOfPrivateCommandsAreNotStored(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice"})
	p := r.plug("dice", "one", bus.PluginCommand{Name: "setkey", Private: true})
	p.does(func(m *nats.Msg, _ bus.PluginCall) { p.respond(m, bus.PluginReply{Lines: []string{"kept"}}) })
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	_, err := r.channel.PM("bob", "Rosey", "!setkey swordfish")
	must(t, err)
	var actions []received
	r.eventually("the audit", func() bool { actions = r.service.on(bus.ActionPMCommand); return len(actions) == 1 })
	if got := actions[0].Payload["args"]; got != "(9 characters)" {
		t.Errorf("the audit has %v", got)
	}
	if got := p.called()[0].Args; got != "swordfish" {
		t.Errorf("the plugin got %q", got)
	}
	must(t, r.stop())
	if r.log.count("swordfish") > 0 {
		t.Error("the log has the argument")
	}
}

// TestPrivateMessagesToPluginsAreNeitherPublishedNorLogged has plugins answer them, and repeat them in errors.
func TestPrivateMessagesToPluginsAreNeitherPublishedNorLogged(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice"})
	p := r.plug("dice", "one", bus.PluginCommand{Name: "ask"})
	codes := []string{"", bus.CodeUsage, "500"}
	p.does(func(m *nats.Msg, call bus.PluginCall) {
		code := codes[len(p.called())-1]
		if code == "" {
			p.respond(m, bus.PluginReply{Lines: []string{call.Args + "!"}, To: bus.ViaPM})
			return
		}
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{
			micro.ErrorCodeHeader: {code}, micro.ErrorHeader: {"no " + call.Args},
		}})
	})
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	for i, problem := range []any{nil, "wrong arguments", "the plugin answered with an error"} {
		_, err := r.channel.PM("bob", "Rosey", "!ask swordfish")
		must(t, err)
		var actions []received
		r.eventually("the audit", func() bool { actions = r.service.on(bus.ActionPMCommand); return len(actions) == i+1 })
		got := actions[i].Payload
		if got["username"] != "bob" || got["command"] != "dice.ask" || got["args"] != "(9 characters)" ||
			got["error"] != problem || strings.Contains(fmt.Sprint(got), "swordfish") {
			t.Errorf("audit %v, want the error %v", got, problem)
		}
	}
	for _, want := range []string{"swordfish!", "!ask: no swordfish"} {
		if !slices.Contains(r.pms("bob"), want) {
			t.Errorf("bob got %q, want %q", r.pms("bob"), want)
		}
	}
	if report := r.awaitPlugin("dice", status.ReasonReady, ""); strings.Contains(report.Message, "swordfish") {
		t.Errorf("the status has %q", report.Message)
	}
	must(t, r.stop())
	if r.log.count("swordfish") > 0 {
		t.Error("the log has the text of a private message")
	}
}

// TestWhatPluginsAnswerIsBounded has a plugin give answers of all kinds. Each has one line in the channel.
func TestWhatPluginsAnswerIsBounded(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice"})
	p := r.plug("dice", "one", bus.PluginCommand{Name: "roll", TimeoutMS: 60_000})
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	raw := func(data string) func(*nats.Msg) { return func(m *nats.Msg) { _ = m.Respond([]byte(data)) } }
	lines := func(lines ...string) func(*nats.Msg) {
		return func(m *nats.Msg) { p.respond(m, bus.PluginReply{Lines: lines}) }
	}
	failure := func(code, text string) func(*nats.Msg) {
		return func(m *nats.Msg) {
			_ = m.RespondMsg(&nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {code}, micro.ErrorHeader: {text}}})
		}
	}
	const wrong = "!roll: something went wrong"
	for i, test := range []struct {
		what   string
		answer func(*nats.Msg)
		said   string
		cause  string
	}{
		{"HTML", lines("<b>1</b>"), "&lt;b&gt;1&lt;/b&gt;", ""},
		{"control characters", lines("a\x1b[31m\u202eb\nc"), "a�[31m�b c", ""},
		{"a command", lines("\u200b /kick alice"), wrong, `lines[0]: expected a line that does not begin with "/"`},
		{"a command in a second line", lines("a\n/clear"), wrong, `does not begin with "/"`},
		{"nothing in a line", lines("a", " "), wrong, "lines[1]: expected a text"},
		{"many lines", lines("1", "2", "3", "4", "5", "6"), wrong, "lines: 6, expected at most 5"},
		{"a long line", lines(strings.Repeat("x", 321)), wrong, "lines[0]: 321 characters, expected at most 320"},
		{"a megabyte", lines(strings.Repeat("x", 900_000)), wrong, "900014 bytes, expected at most 16384"},
		{"no JSON", raw("<html>"), wrong, "expected JSON with lines, to and cooldown"},
		{"an unknown place", raw(`{"to":"all"}`), wrong, `to: "all", expected chat or pm`},
		{"wrong arguments", failure("400", "expected\x07 dice"), "!roll: expected� dice", ""},
		{"an error", failure("500", "the database\x1b is gone"), wrong, "error 500: the database� is gone"},
		{"too busy", failure("503", ""), "!roll: too many calls at once; try again later", ""},
		{"twice", func(m *nats.Msg) { lines("once")(m); lines("again")(m) }, "once", ""},
	} {
		p.does(func(m *nats.Msg, _ bus.PluginCall) { test.answer(m) })
		before := len(r.linesOf("Rosey"))
		r.say("alice", "!roll")
		r.eventually(test.what, func() bool { return len(r.linesOf("Rosey")) > before })
		if test.cause != "" {
			r.awaitPlugin("dice", status.ReasonReady, test.cause)
		}
		p.does(nil)
		r.say("alice", fmt.Sprintf("!roll %d", i)) // behind it nothing of the first answer can come
		r.heard(fmt.Sprintf("rolled %d", i))
		said := r.linesOf("Rosey")[before:]
		if len(said) != 2 || said[0] != test.said {
			t.Errorf("%s: said %q, want %q", test.what, said, test.said)
		}
	}
	if late := r.metricOf("rosey_bot_plugin_calls_total", "dice", "late"); late != 1 {
		t.Errorf("%v late answers", late)
	}
	if invalid := r.metricOf("rosey_bot_plugin_calls_total", "dice", "invalid"); invalid != 8 {
		t.Errorf("%v invalid answers", invalid)
	}
}

// metricOf returns the value of a metric by all values of its labels, which are in any order.
func (r *rig) metricOf(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.metrics.Gather()
	must(r.t, err)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var values []string
			for _, label := range metric.GetLabel() {
				values = append(values, label.GetValue())
			}
			slices.Sort(values)
			if family.GetName() == name && slices.Equal(values, slices.Sorted(slices.Values(labels))) {
				return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestAPluginThatHangs checks a plugin that takes calls and answers nothing, like one that was stopped by a signal.
func TestAPluginThatHangs(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice"})
	p := r.plug("dice", "one", bus.PluginCommand{Name: "roll", TimeoutMS: 300},
		bus.PluginCommand{Name: "slow", TimeoutMS: 60_000})
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	kept := make(chan *nats.Msg, 2)
	p.does(func(m *nats.Msg, _ bus.PluginCall) { kept <- m })
	r.say("mod", "!slow")
	r.eventually("a call", func() bool { return len(p.called()) == 1 })
	r.say("alice", "!roll")
	r.say("bob", "!help")
	r.heard("Commands:")
	r.heard("!roll: the plugin did not answer in time")
	r.eventually("the end of the call", func() bool { return len(p.cancelled()) == 1 })
	if got := p.cancelled()[0]; got.Why != bus.CancelDeadline || got.ID != p.called()[1].ID {
		t.Errorf("cancelled %+v", got)
	}
	<-kept
	p.respond(<-kept, bus.PluginReply{Lines: []string{"too late"}})
	r.eventually("the late answer", func() bool {
		return r.metricOf("rosey_bot_plugin_calls_total", "dice", "late")+
			r.metricOf("rosey_bot_plugin_calls_total", "other", "late") == 1
	})
	r.awaitPlugin("dice", status.ReasonReady, "the last call of roll failed: no answer to roll within 300ms")
	r.say("mod", "!slow") // the first call is still waited for
	r.say("mod", "!uptime")
	r.heard("Running for")
	if count := len(p.called()); count != 2 {
		t.Errorf("%d calls", count)
	}
	must(t, r.stop())
	if got := p.cancelled(); len(got) != 2 || got[1].Why != bus.CancelLeft || got[1].ID != p.called()[0].ID {
		t.Errorf("cancelled %+v", got)
	}
	if said := r.linesOf("Rosey"); len(said) != 3 {
		t.Errorf("said %q", said)
	}
}

// TestAPluginThatIsKilled kills it in the middle of a call, and starts it again.
func TestAPluginThatIsKilled(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice"})
	roll := bus.PluginCommand{Name: "roll", TimeoutMS: 200, Cooldown: bus.PluginCooldown{UserMS: 3_600_000}}
	p := r.plug("dice", "one", roll)
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	p.does(func(*nats.Msg, bus.PluginCall) { go p.conn.Close() })
	r.say("alice", "!roll")
	r.heard("!roll: the plugin did not answer in time")
	r.say("bob", "!roll")
	r.heard("!roll: the plugin is away")
	r.awaitPlugin("dice", status.ReasonPluginAbsent, "")
	r.say("mod", "!help")
	r.heard("Commands: !help, !seen USER, !stats [USER], !top, !uptime; away: dice")
	p = r.plug("dice", "two", roll)
	r.awaitPlugin("dice", status.ReasonReady, "")
	r.say("alice", "!roll 1") // the cooldown outlasts the restart
	r.say("mod", "!roll 2")
	r.heard("rolled 2")
	if calls := p.called(); len(calls) != 1 || calls[0].User != (bus.PluginUser{Name: "mod", Rank: 2}) {
		t.Errorf("calls %+v", calls)
	}
	must(t, p.conn.Publish(p.subjects.Bye(), []byte(`{"id":"three"}`)))
	must(t, p.conn.Publish(p.subjects.Bye(), []byte(`{"id":"two"}`)))
	r.awaitPlugin("dice", status.ReasonPluginAbsent, "")
}

// TestAFloodOfAPluginDelaysNoCommand has a plugin say as much as it may, and request more.
func TestAFloodOfAPluginDelaysNoCommand(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "flood", Grants: &config.PluginGrants{Say: true}},
		config.Plugin{Name: "dice"})
	p := r.plug("flood", "one", bus.PluginCommand{Name: "many"})
	r.plug("dice", "one", bus.PluginCommand{Name: "roll"})
	r.startJoined()
	r.awaitPlugin("flood", status.ReasonReady, "")
	r.awaitPlugin("dice", status.ReasonReady, "")
	p.does(func(m *nats.Msg, call bus.PluginCall) {
		p.respond(m, bus.PluginReply{Lines: []string{"flood", "flood", "flood", "flood", "flood"}})
		for i := range 500 {
			id := fmt.Sprint(call.ID, i)
			data, _ := bus.Encode(bus.PluginSayRequest{ID: id, Call: call.ID, Lines: []string{"flood", "flood"}})
			_ = p.conn.PublishRequest(p.subjects.Say(), p.conn.NewInbox(), data)
		}
	})
	r.say("mod", "!many")
	r.heard("flood")
	isReply := func(line string) bool { return strings.HasPrefix(line, "Running for") }
	for i := range 3 {
		r.say("alice", "!uptime")
		r.eventually("a reply", func() bool {
			return len(slices.DeleteFunc(r.linesOf("Rosey"), func(line string) bool { return !isReply(line) })) == i+1
		})
	}
	r.say("bob", "!roll 7")
	r.heard("rolled 7")
	between := 0
	var counted []int
	for _, line := range r.linesFrom("!uptime") {
		switch {
		case line == "alice: !uptime":
			between = 0
		case line == "Rosey: flood":
			between++
		case isReply(strings.TrimPrefix(line, "Rosey: ")):
			counted = append(counted, between)
		}
	}
	// On a slow machine the flood's half of CyTube's burst is said before the bot has read the command. All that the
	// plugin has to say would take several bursts.
	const halfOfBurst = 10
	if len(counted) != 3 || slices.Max(counted) > halfOfBurst {
		t.Errorf("%v lines of the flood before the replies", counted)
	}
	if dropped := r.metricOf("rosey_bot_plugin_requests_total", "flood", "say", "dropped"); dropped == 0 {
		t.Error("no request was dropped")
	}
}

// linesFrom returns the lines of chat with their authors, from the one with a text on.
func (r *rig) linesFrom(text string) []string {
	var lines []string
	for _, entry := range r.channel.Log() {
		if entry.Kind == simulator.KindChat && (len(lines) > 0 || entry.Text == text) {
			shown, _ := cytube.TypedText(entry.Text)
			lines = append(lines, entry.User+": "+shown)
		}
	}
	return lines
}

// TestALeaderChangeInTheMiddleOfACall checks that nothing is said, and that the plugin hears of it.
func TestALeaderChangeInTheMiddleOfACall(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice", Grants: &config.PluginGrants{Say: true}})
	r.standBy()
	r.startJoined()
	p := r.plug("dice", "one", bus.PluginCommand{Name: "roll", TimeoutMS: 60_000})
	r.awaitPlugin("dice", status.ReasonReady, "")
	kept := make(chan *nats.Msg, 1)
	p.does(func(m *nats.Msg, _ bus.PluginCall) { kept <- m })
	r.say("alice", "!roll")
	call := <-kept
	r.otherLeads()
	r.eventually("the end of the call", func() bool { return len(p.cancelled()) == 1 })
	if got := p.cancelled()[0]; got.Why != bus.CancelLeader || got.ID != p.called()[0].ID {
		t.Errorf("cancelled %+v", got)
	}
	p.respond(call, bus.PluginReply{Lines: []string{"too late"}})
	r.eventually("it stands by", func() bool { return r.bot.Leader() == "other" && r.bot.Check().OK })
	r.awaitPlugin("dice", status.ReasonStarting, "only the bot in the channel looks for it")
	if reply, err := p.conn.Request(p.subjects.Say(), []byte(`{"id":"1","lines":["hi"]}`), time.Second); err == nil {
		t.Errorf("a bot that does not lead answered %s", reply.Data)
	}
	r.awaitJoined() // the other pod does not renew
	r.awaitPlugin("dice", status.ReasonReady, "")
	outcome := p.request(p.subjects.Say(), bus.PluginSayRequest{ID: "2", Call: p.called()[0].ID, Lines: []string{"hi"}})
	if outcome.Outcome != bus.OutcomeDenied {
		t.Errorf("a call of the former leader: %+v", outcome)
	}
	p.does(nil)
	r.say("bob", "!roll 3")
	r.heard("rolled 3")
	if said := r.linesOf("Rosey"); len(said) != 1 {
		t.Errorf("said %q", said)
	}
}

// TestWhatPluginsAreGranted has plugins request what they may and may not.
func TestWhatPluginsAreGranted(t *testing.T) {
	rank := func(rank float64) *float64 { return &rank }
	r := newPluginRig(t, config.Plugin{Name: "poor"}, config.Plugin{Name: "rich", Grants: &config.PluginGrants{
		Say: true, Queue: true, State: []string{"users"},
		Act: []config.ActGrant{{Verb: "poll.open", Rank: rank(2)}, {Verb: "poll.close"}, {Verb: "kick", Rank: rank(2)}},
	}})
	roll := bus.PluginCommand{Name: "roll"}
	poor, rich := r.plug("poor", "one", roll), r.plug("rich", "one", roll)
	r.startJoined()
	r.awaitPlugin("poor", status.ReasonReady, "")
	r.awaitPlugin("rich", status.ReasonPluginConflict, "roll is a command of poor")
	r.say("alice", "!poor.roll 1")
	r.heard("rolled 1")
	r.say("mod", "!rich.roll 2")
	r.heard("rolled 2")
	ofAlice, ofMod := poor.called()[0].ID, rich.called()[0].ID
	poll := bus.PluginActRequest{Title: "What?", Options: []string{"this", "that"}}
	acts := 0
	act := func(request bus.PluginActRequest, call string) bus.PluginActRequest {
		acts++
		request.ID, request.Call = fmt.Sprint("act", acts), call
		return request
	}
	for _, test := range []struct {
		what    string
		plugin  *testPlugin
		subject string
		body    any
		want    string // the outcome and the error
	}{
		{"speaking by itself", poor, poor.subjects.Say(), bus.PluginSayRequest{ID: "1", Lines: []string{"a"}},
			"denied: to speak by itself the plugin needs grants.say"},
		{"a call of another plugin", poor, poor.subjects.Say(),
			bus.PluginSayRequest{ID: "2", Call: ofMod, Lines: []string{"a"}},
			"denied: call: there is no such call of the plugin, or it is over"},
		{"a call of its own", poor, poor.subjects.Say(),
			bus.PluginSayRequest{ID: "3", Call: ofAlice, Lines: []string{"poor"}}, "done: "},
		{"the same again", poor, poor.subjects.Say(),
			bus.PluginSayRequest{ID: "3", Call: ofAlice, Lines: []string{"poor"}}, "done: "},
		{"a message to somebody else", poor, poor.subjects.Say(),
			bus.PluginSayRequest{ID: "4", Call: ofAlice, Lines: []string{"a"}, To: bus.ViaPM, User: "bob"},
			"denied: to write to others than who called it the plugin needs grants.say"},
		{"the queue", poor, poor.subjects.Queue(), bus.PluginQueueRequest{ID: "1", Line: "a"},
			"denied: the plugin needs grants.queue"},
		{"a verb", poor, poor.subjects.Act(bus.VerbPollOpen), act(poll, ""),
			"denied: the plugin needs poll.open in grants.act"},
		{"a part of the state", poor, poor.subjects.State(bus.StateUsers), struct{}{},
			"denied: the plugin needs users in grants.state"},
		{"another part of the state", rich, rich.subjects.State(bus.StateMedia), struct{}{},
			"denied: the plugin needs media in grants.state"},
		{"a command", rich, rich.subjects.Say(), bus.PluginSayRequest{ID: "1", Lines: []string{"/clear"}},
			`invalid: lines[0]: expected a line that does not begin with "/"`},
		{"no ID", rich, rich.subjects.Say(), bus.PluginSayRequest{Lines: []string{"a"}},
			"invalid: id: expected 1 to 64 bytes"},
		{"no lines", rich, rich.subjects.Say(), bus.PluginSayRequest{ID: "2"}, "invalid: lines: expected at least one"},
		{"no JSON", rich, rich.subjects.Say(), "x",
			"invalid: expected the fields of the request as JSON: json: cannot unmarshal string into Go value of type " +
				"bus.PluginSayRequest"},
		{"by itself", rich, rich.subjects.Say(), bus.PluginSayRequest{ID: "3", Lines: []string{"rich"}}, "done: "},
		{"nobody", rich, rich.subjects.Say(), bus.PluginSayRequest{ID: "5", Lines: []string{"a"}, To: bus.ViaPM, User: "x"},
			"invalid: user: there is no user of that name in the channel"},
		{"a private message", rich, rich.subjects.Say(),
			bus.PluginSayRequest{ID: "6", Lines: []string{"psst"}, To: bus.ViaPM, User: "BOB"}, "done: "},
		{"a verb without a call", rich, rich.subjects.Act(bus.VerbPollOpen), act(poll, ""),
			"denied: call: poll.open is granted only because of a call, by rank"},
		{"a verb by who may", rich, rich.subjects.Act(bus.VerbPollOpen), act(poll, ofMod), "done: "},
		{"a verb by itself", rich, rich.subjects.Act(bus.VerbPollClose), act(bus.PluginActRequest{}, ""), "done: "},
		{"a verb without an ID", rich, rich.subjects.Act(bus.VerbPollClose), struct{}{},
			"invalid: id: expected 1 to 64 bytes"},
		{"a kick of a moderator", rich, rich.subjects.Act(bus.VerbKick), act(bus.PluginActRequest{User: "mod"}, ofMod),
			"denied: the rank of mod is 2, and only lower ones than 2 are kicked"},
		{"an unknown verb", rich, rich.subjects.Act("ban"), struct{}{}, "invalid: there is no such verb"},
	} {
		got := test.plugin.request(test.subject, test.body)
		if text := got.Outcome + ": " + got.Error; text != test.want || got.Success != (got.Outcome == bus.OutcomeDone) {
			t.Errorf("%s: %+v, want %s", test.what, got, test.want)
		}
	}
	// A plugin that tries what it may not is named, but not as often as it tries.
	if refused := r.log.count(`"request of a plugin refused","plugin":"poor"`); refused != 1 {
		t.Errorf("%d lines of the log name the plugin", refused)
	}
	if said := r.linesOf("Rosey"); !slices.Equal(said, []string{"rolled 1", "rolled 2", "poor", "rich"}) {
		t.Errorf("said %q", said)
	}
	var state bus.ChannelState
	rich.ask(rich.subjects.State(bus.StateUsers), struct{}{}, &state)
	if !state.Success || len(state.Users) != 4 || state.Playing != nil || state.Self != "Rosey" {
		t.Errorf("state %+v", state)
	}
	r.say("alice", "!rich.roll 3")
	r.heard("rolled 3")
	got := rich.request(rich.subjects.Act(bus.VerbPollOpen), act(poll, rich.called()[1].ID))
	if got.Outcome != bus.OutcomeDenied || got.Error != "the rank of alice is 0, and it needs 2" {
		t.Errorf("a verb by who may not: %+v", got)
	}
}

// TestPluginsLearnWhatTheyHaveAdded has a plugin add what is not there and what cannot be added.
func TestPluginsLearnWhatTheyHaveAdded(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice", Grants: &config.PluginGrants{
		Act: []config.ActGrant{{Verb: "playlist.add"}}}})
	p := r.plug("dice", "one", bus.PluginCommand{Name: "roll"})
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	subject := p.subjects.Act(bus.VerbPlaylistAdd)
	abc := bus.QueuedMedia{Media: bus.Media{Type: "yt", ID: "abc"}}
	for _, check := range []struct{ link, outcome string }{
		{"yt:abc", bus.OutcomeDone}, {"https://youtu.be/abc", bus.OutcomeDone},
		{"https://www.youtube.com/watch?v=abc&t=9", bus.OutcomeDone},
		{"the film", bus.OutcomeInvalid}, {"cu:abc", bus.OutcomeDenied},
	} {
		got := p.request(subject, bus.PluginActRequest{URL: check.link, Check: true})
		isRight := got.Outcome == check.outcome && got.Success == (check.outcome == bus.OutcomeDone)
		if !isRight || got.Success && (got.Item == nil || *got.Item != abc) || !got.Success && got.Item != nil {
			t.Errorf("%s may be added: %+v", check.link, got)
		}
	}
	queued := func() []simulator.Entry {
		return slices.DeleteFunc(r.channel.Log(), func(e simulator.Entry) bool { return e.Kind != simulator.KindQueue })
	}
	if actions := r.service.on(bus.ActionPMCommand); len(actions) > 0 || len(queued()) > 0 {
		t.Errorf("a check did something: %v", actions)
	}
	watching := r.watch()
	got := p.request(subject, bus.PluginActRequest{ID: "1", URL: "yt:abc"})
	if !got.Success || got.Item == nil {
		t.Fatalf("added %+v", got)
	}
	if event := nextEvent(t, watching, "queue"); event["plugin"] != "dice" || event["call"] != nil {
		t.Errorf("event %v", event)
	}
	want := bus.QueuedMedia{
		UID: queued()[0].Count, Media: bus.Media{Type: "yt", ID: "abc", Title: queued()[0].Text, QueuedBy: "Rosey"}}
	want.Seconds = got.Item.Seconds
	if *got.Item != want || want.Seconds == 0 {
		t.Errorf("added %+v, want %+v", *got.Item, want)
	}
	got = p.request(subject, bus.PluginActRequest{ID: "2", URL: "yt:abc"})
	if got.Outcome != bus.OutcomeFailed || got.Item != nil {
		t.Errorf("what is there already: %+v", got)
	}
	if event := nextEvent(t, watching, "queueFail"); event["plugin"] != "dice" {
		t.Errorf("the event of a refusal: %v", event)
	}
}

// TestPluginsSeeThePoll follows a poll from its beginning to its end.
func TestPluginsSeeThePoll(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "polls", Grants: &config.PluginGrants{State: []string{"poll"}}})
	p := r.plug("polls", "one", bus.PluginCommand{Name: "ask"})
	r.startJoined()
	r.awaitPlugin("polls", status.ReasonReady, "")
	var state bus.ChannelState
	await := func(what string, isThere func(*bus.Poll) bool) {
		t.Helper()
		r.eventually(what, func() bool {
			state = bus.ChannelState{}
			p.ask(p.subjects.State(bus.StatePoll), struct{}{}, &state)
			return state.Success && isThere(state.Poll)
		})
	}
	await("no poll", func(poll *bus.Poll) bool { return poll == nil })
	if len(state.Users) > 0 || state.UserCount > 0 || state.Self != "Rosey" {
		t.Errorf("the state has more than the poll: %+v", state)
	}
	must(t, r.channel.Poll("mod", "This & that?", "Alien", "<b>"))
	await("a poll", func(poll *bus.Poll) bool { return poll != nil })
	if state.Poll.Opened == 0 {
		t.Error("when it was opened is not known")
	}
	state.Poll.Opened = 0
	want := bus.Poll{
		Title: "This & that?", Options: []string{"Alien", "<b>"}, Counts: []int{0, 0}, Initiator: "mod", Open: true}
	if !reflect.DeepEqual(*state.Poll, want) {
		t.Errorf("poll %+v, want %+v", *state.Poll, want)
	}
	must(t, r.channel.Vote("alice", 1))
	await("a vote", func(poll *bus.Poll) bool { return slices.Equal(poll.Counts, []int{0, 1}) && poll.Open })
	must(t, r.channel.ClosePoll("mod"))
	await("the end", func(poll *bus.Poll) bool { return slices.Equal(poll.Counts, []int{0, 1}) && !poll.Open })
}

// TestLinesOfPluginsInTheQueueNameWhoAsked checks what a row of the outbound queue says.
func TestLinesOfPluginsInTheQueueNameWhoAsked(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice", Grants: &config.PluginGrants{Queue: true}})
	r.service.putID = 17
	p := r.plug("dice", "one", bus.PluginCommand{Name: "roll"})
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	r.say("alice", "!roll")
	r.heard("rolled")
	call := p.called()[0].ID
	for _, request := range []bus.PluginQueueRequest{{ID: "a", Call: call, Line: "one\x07"}, {ID: "b", Line: "two"}} {
		if got := p.request(p.subjects.Queue(), request); !got.Success || got.Row != 17 {
			t.Errorf("queue: %+v", got)
		}
	}
	var rows []string
	for _, one := range r.service.on(bus.OutboundPut) {
		rows = append(rows, fmt.Sprint(one.Payload["message"], ", ", one.Payload["client_id"], ", ", one.Payload["asker"]))
	}
	want := []string{"one�, plugin/dice/" + call + "/a, alice", "two, plugin/dice//b, plugin dice"}
	if !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}

// TestPluginsCannotHaveTheBotPublish sends requests whose reply subjects are no inboxes.
func TestPluginsCannotHaveTheBotPublish(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice", Grants: &config.PluginGrants{Say: true}})
	p := r.plug("dice", "one", bus.PluginCommand{Name: "roll"})
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	forged, err := p.conn.SubscribeSync(prefix + ".db.user.left.forged")
	must(t, err)
	must(t, p.conn.PublishRequest(p.subjects.Say(), prefix+".db.user.left.forged", []byte(`{"id":"1","lines":["x"]}`)))
	must(t, p.conn.Publish(p.subjects.State("users"), nil))
	r.eventually("both are dropped", func() bool {
		return r.metricOf("rosey_bot_plugin_requests_total", "dice", "say", "no_inbox") == 1 &&
			r.metricOf("rosey_bot_plugin_requests_total", "dice", "state", "no_inbox") == 1
	})
	large := bus.PluginSayRequest{ID: "2", Lines: []string{strings.Repeat("x", bus.MaxPluginBytes)}}
	data, err := bus.Encode(large)
	must(t, err)
	must(t, p.conn.PublishRequest(p.subjects.Say(), p.conn.NewInbox(), data))
	r.eventually("a large one is dropped", func() bool {
		return r.metricOf("rosey_bot_plugin_requests_total", "dice", "say", "dropped") == 1
	})
	if count, _, _ := forged.Pending(); count > 0 || len(r.linesOf("Rosey")) > 0 {
		t.Errorf("%d forged messages, said %q", count, r.linesOf("Rosey"))
	}
}

// TestWhatPluginsOfferIsChecked has a plugin offer what is not its own, and more than it may.
func TestWhatPluginsOfferIsChecked(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice"})
	p := r.newPlugin("dice", "one",
		bus.PluginCommand{Name: "roll", Usage: "\x1b[2J" + strings.Repeat("x", 500), Help: "rolls\nall", Rank: -5},
		bus.PluginCommand{Name: "Roll"}, bus.PluginCommand{Name: "fly", Via: []string{"air"}},
		bus.PluginCommand{Name: "roll"})
	p.extra = []*micro.EndpointInfo{
		{Name: "theft", Subject: prefix + ".db.user.left"},
		{Name: "other", Subject: prefix + ".plugin.movienight.other.in.call.roll", Metadata: map[string]string{
			bus.CommandMetadata: `{"name":"other"}`}},
		{Name: "large", Subject: p.subjects.Call("large"), Metadata: map[string]string{
			bus.CommandMetadata: `{"name":"large","help":"` + strings.Repeat("x", bus.MaxPluginMetadataBytes) + `"}`}},
	}
	p.start()
	// Whoever answers in the name of another service is no process of the plugin.
	foreign := r.newPlugin("dice", "two", bus.PluginCommand{Name: "foreign"})
	foreign.subjects, _ = mustSubjects(t).Plugin("movienight", "other")
	foreign.on("$SRV.INFO."+p.subjects.ServiceName(), "", func(m *nats.Msg) { foreign.respond(m, foreign.info()) })
	must(t, foreign.conn.Flush())
	r.startJoined()
	report := r.awaitPlugin("dice", status.ReasonReady, "endpoint theft: its subject is not one of the plugin")
	for _, want := range []string{
		"endpoint Roll: name: expected 1 to 30 lower-case letters", "endpoint fly: via: expected chat or pm",
		"endpoint roll: the command roll is declared twice",
		"endpoint other: its subject is rosey_test.plugin.movienight.other",
	} {
		if !strings.Contains(report.Message, want) {
			t.Errorf("the status lacks %q: %s", want, report.Message)
		}
	}
	if !slices.Equal(report.Commands, []string{"roll"}) {
		t.Errorf("commands %q", report.Commands)
	}
	r.say("alice", "!help roll")
	r.heard("!roll �[2Jxxx")
	if line := r.linesOf("Rosey")[0]; strings.ContainsAny(line, "\x1b\n") || len(line) > 320 {
		t.Errorf("help says %q", line)
	}
}

func mustSubjects(t *testing.T) bus.Subjects {
	t.Helper()
	subjects, err := bus.NewSubjects(prefix)
	must(t, err)
	return subjects
}

// TestCommandsAndPluginsChangeWhileTheBotIsInItsChannel edits the files that the operator writes.
func TestCommandsAndPluginsChangeWhileTheBotIsInItsChannel(t *testing.T) {
	r := newPluginRig(t)
	r.timings.Live = 10 * time.Millisecond
	dir := t.TempDir()
	r.config.CommandsFile = filepath.Join(dir, config.CommandsFile)
	r.config.PluginsFile = filepath.Join(dir, config.PluginsFile)
	write := func(name, content string) {
		t.Helper()
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	inForce := func(name, content string) {
		t.Helper()
		write(name, content)
		r.eventually(name+" is in force", func() bool {
			return r.bot.LiveFiles()[name] == status.ContentHash([]byte(content))
		})
	}
	write(config.CommandsFile, "{cooldownSeconds: 0}")
	r.plug("dice", "one", bus.PluginCommand{Name: "roll"})
	r.startJoined()
	r.eventually("the problem", func() bool { return r.bot.PluginsCheck().Reason == status.ReasonPluginsInvalid })
	r.say("alice", "!uptime")
	r.eventually("the line is handled", func() bool { return len(r.service.on(bus.MessageLog)) == 1 })
	inForce(config.PluginsFile, "[]")
	inForce(config.PluginsFile, "[{name: dice}]")
	r.awaitPlugin("dice", status.ReasonReady, "")
	r.say("alice", "!roll 1")
	r.heard("rolled 1")
	inForce(config.CommandsFile, "{cooldownSeconds: 0, prefix: '?', overrides: {dice.roll: {name: wurf}}, ignore: [bob]}")
	r.say("bob", "?wurf 2")
	r.say("alice", "!roll 3")
	r.say("alice", "?wurf 4")
	r.heard("rolled 4")
	write(config.PluginsFile, "[{name: Dice}]")
	r.eventually("the problem", func() bool {
		return strings.Contains(r.bot.PluginsCheck().Message, `[0].name: "Dice", expected 1 to 30 lower-case letters`)
	})
	r.say("alice", "?wurf 5")
	r.heard("rolled 5")
	inForce(config.PluginsFile, "[]")
	if check := r.bot.PluginsCheck(); !check.OK || check.Reason != status.ReasonOverridesUnused ||
		check.Message != "overrides that are about no command: dice.roll" {
		t.Errorf("check %+v", check)
	}
	r.say("alice", "?wurf 6")
	r.say("alice", "?help")
	r.heard("Commands: ?help")
	if said := r.linesOf("Rosey"); len(said) != 4 || len(r.bot.Plugins()) != 0 {
		t.Errorf("said %q, plugins %v", said, r.bot.Plugins())
	}
	if sessions := r.metric("rosey_bot_sessions_lost_total", ""); sessions != 0 || len(r.service.on(bus.UserLeft)) > 0 {
		t.Error("the bot left the channel")
	}
}
