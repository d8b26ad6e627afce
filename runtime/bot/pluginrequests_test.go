package bot

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// offers has a plugin offer other commands. It does not say so.
func (p *testPlugin) offers(commands ...bus.PluginCommand) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commands = commands
}

// send sends a request that nobody has to wait for, and returns the subscription that gets the answer.
func (p *testPlugin) send(subject string, body any, header nats.Header) *nats.Subscription {
	p.r.t.Helper()
	data, err := bus.Encode(body)
	must(p.r.t, err)
	inbox := p.conn.NewInbox()
	answers, err := p.conn.SubscribeSync(inbox)
	must(p.r.t, err)
	must(p.r.t, p.conn.PublishMsg(&nats.Msg{Subject: subject, Reply: inbox, Data: data, Header: header}))
	return answers
}

func outcomeOf(t *testing.T, answers *nats.Subscription) (outcome bus.PluginOutcome) {
	t.Helper()
	m, err := answers.NextMsg(20 * time.Second)
	must(t, err)
	must(t, json.Unmarshal(m.Data, &outcome))
	return outcome
}

// A hello that is lost behind a flood of requests would leave the commands unknown until a process ends.
func TestAHelloBehindAFloodIsHeard(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice"})
	p := r.plug("dice", "one", bus.PluginCommand{Name: "roll"})
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	p.offers(bus.PluginCommand{Name: "flip"})
	for i := range 1000 {
		must(t, p.conn.PublishRequest(p.subjects.Say(), p.conn.NewInbox(), fmt.Appendf(nil, `{"id":"%d"}`, i)))
	}
	p.hello()
	r.eventually("the new command", func() bool {
		reports := r.bot.Plugins()
		return len(reports) == 1 && slices.Equal(reports[0].Commands, []string{"flip"})
	})
	if r.metricOf("rosey_bot_plugin_requests_total", "dice", "say", "dropped") == 0 {
		t.Error("no request was dropped, so the test shows nothing")
	}
}

// One command whose subscription the server has refused must not make the others unavailable.
func TestADeafCommandDoesNotMakeThePluginAway(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "dice"})
	p := r.newPlugin("dice", "one", bus.PluginCommand{Name: "roll"}, bus.PluginCommand{Name: "deaf"})
	p.on("$SRV.INFO."+p.subjects.ServiceName(), "", func(m *nats.Msg) { p.respond(m, p.info()) })
	p.on(p.subjects.Call("roll"), p.subjects.QueueGroup(), p.call)
	must(t, p.conn.Flush())
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	r.say("alice", "!deaf")
	r.heard("!deaf: the plugin is away")
	report := r.bot.Plugins()[0]
	if !report.OK || !strings.Contains(report.Message, "call of deaf failed: nobody has subscribed to its calls") {
		t.Errorf("report %+v", report)
	}
	r.say("bob", "!roll 1")
	r.heard("rolled 1")
}

// newActor returns a plugin that may kick because of a moderator's call, and open and close polls.
func newActor(t *testing.T) (*rig, *testPlugin) {
	t.Helper()
	rank := 2.0
	r := newPluginRig(t, config.Plugin{Name: "dice", Grants: &config.PluginGrants{
		State: []string{"users", "poll"},
		Act:   []config.ActGrant{{Verb: "kick", Rank: &rank}, {Verb: "poll.open"}, {Verb: "poll.close"}},
	}})
	p := r.plug("dice", "one", bus.PluginCommand{Name: "roll"})
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	return r, p
}

// ghostPoll has the bot see a poll that the server does not have, whose end the server does not confirm, so that it
// takes its time.
func (p *testPlugin) ghostPoll() {
	p.r.t.Helper()
	must(p.r.t, p.r.channel.Inject("Rosey",
		`42["newPoll",{"title":"a","options":["b"],"counts":[0],"initiator":"mod","timestamp":1795421885821}]`))
	p.r.eventually("the poll", func() bool {
		var state bus.ChannelState
		p.ask(p.subjects.State(bus.StatePoll), struct{}{}, &state)
		return state.Poll != nil
	})
}

func openPoll(id string) bus.PluginActRequest {
	return bus.PluginActRequest{ID: id, Title: "What?", Options: []string{"this", "that"}}
}

// A plugin whose request was answered too late asks again.
func TestAnActThatIsRepeatedIsDoneOnce(t *testing.T) {
	r, p := newActor(t)
	for i := range 3 {
		if got := p.request(p.subjects.Act(bus.VerbPollOpen), openPoll("the same")); !got.Success {
			t.Errorf("%d: %+v", i, got)
		}
	}
	if got := p.request(p.subjects.Act(bus.VerbPollOpen), openPoll("another")); !got.Success {
		t.Errorf("another: %+v", got)
	}
	actions := r.service.on(bus.ActionPMCommand)
	r.eventually("the audit", func() bool { actions = r.service.on(bus.ActionPMCommand); return len(actions) >= 2 })
	if len(actions) != 2 {
		t.Errorf("%d acts were done", len(actions))
	}
}

// Whoever asked has given up, and may have asked again: nothing is done for them any more. And what can be done at once
// does not wait for what takes long.
func TestWhatNobodyWaitsForIsNotDone(t *testing.T) {
	r, p := newActor(t)
	p.ghostPoll()
	long := p.send(p.subjects.Act(bus.VerbPollClose), bus.PluginActRequest{ID: "1"}, nil)
	given := p.send(p.subjects.Act(bus.VerbPollOpen), openPoll("2"), nats.Header{bus.DeadlineHeader: {"50"}})
	var state bus.ChannelState
	p.ask(p.subjects.State(bus.StateUsers), struct{}{}, &state)
	if count, _, _ := long.Pending(); count > 0 || !state.Success {
		t.Errorf("the state came behind the act, or not at all: %+v", state)
	}
	if got := outcomeOf(t, long); got.Success || got.Outcome != bus.OutcomeUnconfirmed {
		t.Errorf("a poll that is not there was closed, or was not tried: %+v", got)
	}
	r.eventually("it is dropped", func() bool {
		return r.metricOf("rosey_bot_plugin_requests_total", "dice", "act", "dropped") == 1
	})
	if got := p.request(p.subjects.Act(bus.VerbPollOpen), openPoll("2")); !got.Success {
		t.Errorf("asked again: %+v", got)
	}
	if count, _, _ := given.Pending(); count > 0 {
		t.Error("the first request was answered")
	}
	if done := r.metricOf("rosey_bot_plugin_requests_total", "dice", "act", "done"); done != 1 {
		t.Errorf("%v acts were done", done)
	}
}

// Acts that wait are few: each may take many seconds.
func TestActsBeyondAFewAreThrottled(t *testing.T) {
	_, p := newActor(t)
	p.ghostPoll()
	var answers []*nats.Subscription
	for i := range 15 {
		answers = append(answers, p.send(p.subjects.Act(bus.VerbPollClose), bus.PluginActRequest{ID: fmt.Sprint(i)},
			nats.Header{bus.DeadlineHeader: {"100"}}))
	}
	if got := outcomeOf(t, answers[14]); got.Outcome != bus.OutcomeThrottled {
		t.Errorf("%+v", got)
	}
}

// One command of a moderator is no permit to kick people for minutes.
func TestACallIsNoPermitForManyActs(t *testing.T) {
	r, p := newActor(t)
	for _, name := range []string{"carl", "dora", "emma", "fred"} {
		must(t, r.channel.Join(name))
	}
	r.say("mod", "!roll 1")
	r.heard("rolled 1")
	call := p.called()[0].ID
	kick := func(name string) bus.PluginOutcome {
		return p.request(p.subjects.Act(bus.VerbKick), bus.PluginActRequest{ID: name, Call: call, User: name})
	}
	for _, name := range []string{"carl", "dora", "emma"} {
		if got := kick(name); !got.Success {
			t.Errorf("%s: %+v", name, got)
		}
	}
	got := kick("fred")
	if got.Outcome != bus.OutcomeDenied || got.Error != "call: 3 acts were done because of it, and no more are" {
		t.Errorf("fred: %+v", got)
	}
	if got := kick("carl"); !got.Success {
		t.Errorf("carl again: %+v", got)
	}
}

// Whoever removes a plugin that misbehaves wants it to be silent.
func TestARemovedPluginSaysNothingMore(t *testing.T) {
	r := newPluginRig(t)
	r.timings.Live = 10 * time.Millisecond
	dir := t.TempDir()
	r.config.PluginsFile = filepath.Join(dir, config.PluginsFile)
	inForce := func(content string) {
		t.Helper()
		must(t, os.WriteFile(r.config.PluginsFile, []byte(content), 0o600))
		r.eventually(content+" is in force", func() bool {
			return r.bot.LiveFiles()[config.PluginsFile] == status.ContentHash([]byte(content))
		})
	}
	must(t, os.WriteFile(r.config.PluginsFile, []byte(`[{name: dice, grants: {say: true}}]`), 0o600))
	p := r.plug("dice", "one", bus.PluginCommand{Name: "roll", TimeoutMS: 60_000})
	r.startJoined()
	r.awaitPlugin("dice", status.ReasonReady, "")
	lines := func(id, call, text string) *nats.Subscription {
		return p.send(p.subjects.Say(), bus.PluginSayRequest{
			ID: id, Call: call, Lines: slices.Repeat([]string{text}, 5), ExpiresMS: 600_000,
		}, nil)
	}
	refused := func(answers *nats.Subscription, why string) {
		t.Helper()
		if got := outcomeOf(t, answers); got.Outcome != bus.OutcomeFailed || got.Error != why {
			t.Errorf("%+v, want %s", got, why)
		}
	}
	r.say("alice", "!roll 1")
	r.heard("rolled 1")
	call := p.called()[0].ID
	lines("1", call, "because of a call")
	lines("2", call, "because of a call")
	last := lines("3", call, "because of a call") // beyond what the flood limit accepts at once
	own := lines("4", "", "by itself")
	r.heard("because of a call")
	inForce(`[{name: dice}]`)
	refused(own, "the plugin has no grants.say any more")
	kept := make(chan *nats.Msg, 1)
	p.does(func(m *nats.Msg, _ bus.PluginCall) { kept <- m })
	r.say("bob", "!roll")
	<-kept
	inForce(`[]`)
	refused(last, "the plugin is configured no more")
	r.eventually("the end of the call", func() bool { return len(p.cancelled()) == 1 })
	if got := p.cancelled()[0].Why; got != bus.CancelRemoved {
		t.Errorf("cancelled because of %s", got)
	}
	r.eventually("the end of the call in the audit", func() bool {
		return slices.ContainsFunc(r.service.on(bus.ActionPMCommand), func(one received) bool {
			return one.Payload["username"] == "bob" && one.Payload["result"] == "error"
		})
	})
	if calls := r.metricOf("rosey_bot_plugin_calls_total", "dice", "left"); calls != 0 {
		t.Error("the end of the call has made the plugin's metrics anew")
	}
	if said := r.linesOf("Rosey"); slices.Contains(said, "by itself") || len(said) > 15 {
		t.Errorf("said %q", said)
	}
}
