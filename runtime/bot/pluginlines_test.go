package bot

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// Lines that are no commands reach plugins as events. What holds for commands must hold for them too, so events say
// whose lines a plugin may take as one.
func TestEventsSayWhoseLinesCallNothing(t *testing.T) {
	r := newPluginRig(t, config.Plugin{Name: "quiz"})
	r.config.Commands.Ignore = []string{"Bob"}
	r.config.Commands.Overrides = map[string]config.CommandOverride{"a": {Deny: []string{"Alice"}}}
	p := r.plug("quiz", "one", bus.PluginCommand{Name: "a", Lines: true, Cooldown: bus.PluginCooldown{UserMS: 3_600_000}},
		bus.PluginCommand{Name: "b", Lines: true})
	r.say("mod", "before")
	watching := r.watch()
	r.startJoined()
	if event := nextEvent(t, watching, "message"); event["may_call"] == nil || event["replayed"] != true {
		t.Errorf("a line that is repeated: %v", event)
	}
	r.awaitPlugin("quiz", status.ReasonReady, "")
	must(t, r.channel.Inject("Rosey", `42["chatMsg",{"username":"Rosey","msg":"own","meta":{},"time":1795421885821}]`))
	must(t, r.channel.Inject("Rosey", `42["chatMsg",{"username":"gone","msg":"bye","meta":{},"time":1795421885822}]`))
	for _, name := range []string{"alice", "bob", "mod"} {
		r.say(name, "hello")
	}
	got := map[string][]any{}
	for range 5 {
		event := nextEvent(t, watching, "message")
		rank := any(nil)
		if data, known := event["user_data"].(map[string]any); known {
			rank = data["rank"]
		}
		got[event["user"].(string)] = []any{event["ignored"], event["may_call"], event["cooldowns"], rank}
	}
	want := map[string][]any{
		"Rosey": {nil, []any{}, nil, 3.}, "gone": {nil, []any{}, nil, nil}, "alice": {nil, []any{"quiz.b"}, nil, 0.},
		"bob": {true, []any{}, nil, 0.}, "mod": {nil, []any{"quiz.a", "quiz.b"}, []any{"quiz.a"}, 2.},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for _, test := range []struct{ what, command, user, want string }{
		{"who may", "a", "MOD", "done: "},
		{"the same again", "a", "mod", "throttled: the cooldown of the command is not over"},
		{"another command", "b", "mod", "done: "},
		{"who is denied", "a", "alice", "denied: lines of this user are not to be taken as this command"},
		{"who is ignored", "b", "bob", "denied: lines of this user are not to be taken as this command"},
		{"no such command", "c", "mod", "denied: lines of this user are not to be taken as this command"},
		{"who has left", "a", "gone", "denied: there is no user of that name in the channel"},
	} {
		got := p.request(p.subjects.Take(), bus.PluginTakeRequest{Command: test.command, User: test.user})
		if text := got.Outcome + ": " + got.Error; text != test.want || got.Success != (got.Outcome == bus.OutcomeDone) {
			t.Errorf("%s: %+v, want %s", test.what, got, test.want)
		}
	}
}
