package bot

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/speech"
)

// Tests of what the session passes on to the speaker: the channel's limits, permissions and history. How the speaker
// works is tested in package speech.

// asPlain has the bot log in as a user to whom the channel's limits apply.
func (r *rig) asPlain() {
	r.config.Account = &config.Account{Username: "plain", PasswordFile: secret(r.t, "p")}
}

// TestFloodLimit checks that no line is refused in a channel that accepts fewer lines at once than wait to be said.
func TestFloodLimit(t *testing.T) {
	r := newRigWith(t, simulator.Options{Channels: []simulator.ChannelOptions{{
		Name: "movienight", ChatAntiflood: simulator.Flood{Burst: 2, Sustained: 20, Cooldown: time.Second},
	}}})
	r.asPlain()
	var want []string
	for i := range 6 {
		want = append(want, strings.Repeat("x", i+1))
		r.service.toSay(bus.OutboundMessage{ID: int64(i), Timestamp: 10, Message: want[i]})
	}
	r.start()
	r.eventually("all is said", r.service.isEmpty)
	if diff := cmp.Diff(want, r.linesOf("plain")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	if failures := r.service.on(bus.OutboundFailed); len(failures) > 0 {
		t.Errorf("failures %v", failures)
	}
	for _, entry := range r.channel.Log() {
		if entry.Kind == simulator.KindRefuse && strings.Contains(entry.Text, "cooldown") {
			t.Errorf("the server refused a line: %s", entry.Text)
		}
	}
}

// TestCommandsForFormattingCountTwice checks with CyTube's own limit that no line is refused, and that all keep their
// order.
func TestCommandsForFormattingCountTwice(t *testing.T) {
	r := newRigWith(t, simulator.Options{Limits: simulator.Limits{Chat: simulator.CyTubeLimits().Chat}})
	var want []string
	for i := range 24 {
		want = append(want, strings.Repeat("x", i+1))
	}
	for i, text := range append(slices.Clone(want), "/me waves", "/sp the end", "bye") {
		r.service.toSay(bus.OutboundMessage{ID: int64(i + 1), Timestamp: 10, Message: text})
	}
	r.start()
	r.eventually("all is said", r.service.isEmpty)
	if diff := cmp.Diff(append(want, "waves", "the end", "bye"), r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	for _, entry := range r.channel.Log() {
		if entry.Kind == simulator.KindRefuse && strings.Contains(entry.Text, "cooldown") {
			t.Errorf("the server refused a line: %s", entry.Text)
		}
	}
}

// TestAServerThatCutsLines checks with CyTube's filters that nothing of what the bot says is lost, in the channel and
// by private message, and that the bot learns how long lines may be, or is told.
func TestAServerThatCutsLines(t *testing.T) {
	texts := []string{
		strings.Repeat("the projectionist told *me* that ", 9) + "it was _all_ true",
		"look: https://example.com/" + strings.Repeat("a_b_", 70) + " and more",
		strings.Repeat("🍿", 200) + "end", "/me " + strings.Repeat("waves & ", 50), "hi",
	}
	for name, configured := range map[string]int{"learned": 0, "configured": 240} {
		t.Run(name, func(t *testing.T) {
			r := newRigWith(t, simulator.Options{Limits: simulator.Limits{MessageLength: 240}})
			r.config.Channel.MaxMessageLength = configured
			r.config.Commands.CooldownSeconds = new(0)
			must(t, r.channel.Join("mod"))
			must(t, r.channel.Join("alice"))
			for i, text := range texts {
				r.service.toSay(bus.OutboundMessage{ID: int64(i + 1), Timestamp: 10, Message: text})
			}
			r.start()
			r.eventually("all is said", r.service.isEmpty)
			want := letters(strings.ReplaceAll(strings.Join(texts, ""), "/me ", ""))
			if diff := cmp.Diff(want, letters(strings.Join(r.linesOf("Rosey"), ""))); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
			long := strings.Repeat("x", 230)
			r.expectReply("mod", "pm alice "+long, "Said")
			r.expectReply("mod", "user "+long, "user: usage")
			if got := strings.Join(r.pms("alice"), ""); got != long {
				t.Errorf("written to alice: %s", got)
			}
			if failures := r.service.on(bus.OutboundFailed); len(failures) > 0 {
				t.Errorf("failures %v", failures)
			}
		})
	}
}

// letters returns the letters of lines that CyTube shows.
func letters(lines string) string {
	text := cytube.PlainText(lines)
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, text)
}

// TestALineSaidJustBeforeTheConnectionBreaks checks that a line whose echo is lost with the connection is found in the
// history on the next join.
func TestALineSaidJustBeforeTheConnectionBreaks(t *testing.T) {
	r := newRig(t)
	r.startJoined()
	must(t, r.channel.Join("alice"))
	r.sim.Slow(simulator.Target{User: "Rosey"}, 200*time.Millisecond)
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "last words"})
	r.eventually("the line is said", func() bool { return len(r.linesOf("Rosey")) == 1 })
	must(t, r.channel.Drop("Rosey"))
	r.sim.Slow(simulator.Target{}, 0)
	r.eventually("the report", func() bool { return len(r.service.on(bus.OutboundSent)) == 1 })
	if diff := cmp.Diff([]string{"last words"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

// claimed is a line that another bot has just claimed.
func claimed(id int64, text string) bus.OutboundMessage {
	return bus.OutboundMessage{
		ID: id, Timestamp: 10, Message: text, LeaseSeconds: 60, ClaimedSince: bus.Seconds{Time: time.Now()},
	}
}

// before has another client say lines under the bot's name and leave, as a bot that died.
func (r *rig) before(lines ...string) {
	r.t.Helper()
	must(r.t, r.channel.Join("Rosey"))
	for _, line := range lines {
		r.say("Rosey", line)
	}
	must(r.t, r.channel.Leave("Rosey"))
}

func (r *rig) marked() (ids []any) {
	for _, each := range r.service.on(bus.OutboundSent) {
		ids = append(ids, each.Payload["message_id"])
	}
	return ids
}

// TestALineThatADeadBotSaidIsNotSaidAgain checks a line that was said, one that was not, one that was said in part, and
// one that was never claimed and has the text of the first.
func TestALineThatADeadBotSaidIsNotSaidAgain(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	r.say("alice", "hello") // the history goes back to before the claim
	long := strings.TrimSpace(strings.Repeat("popcorn ", 60))
	r.service.toSay(claimed(1, "said"), claimed(2, "not said"), claimed(3, long),
		bus.OutboundMessage{ID: 4, Timestamp: 10, Message: "said", LeaseSeconds: 60})
	r.before("said", strings.TrimSpace(strings.Repeat("popcorn ", 40)))
	r.startJoined()
	r.eventually("all reports", func() bool { return len(r.marked()) == 4 })
	want := []string{
		"said", strings.TrimSpace(strings.Repeat("popcorn ", 40)), "not said",
		strings.TrimSpace(strings.Repeat("popcorn ", 20)), "said",
	}
	if diff := cmp.Diff(want, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{1., 2., 3., 4.}, r.marked()); diff != "" {
		t.Errorf("marked (-want +got):\n%s", diff)
	}
}

func TestChatPermission(t *testing.T) {
	permissions := cytube.Permissions{Ranks: map[string]float64{"chat": 1}}
	tests := map[string]struct {
		self   string
		events []cytube.Event
		want   speech.Permission
	}{
		"permissions unknown": {self: "Rosey", want: speech.PermissionUnknown},
		"anonymous":           {events: []cytube.Event{permissions}, want: speech.PermissionUnknown},
		"rank too low":        {self: "Rosey", events: []cytube.Event{permissions}, want: speech.PermissionRankTooLow},
		"muted": {
			self: "Rosey", want: speech.PermissionMuted,
			events: []cytube.Event{permissions, cytube.Rank{Rank: 1}, cytube.SetUserMeta{Name: "Rosey", Muted: true}},
		},
		"granted": {
			self: "Rosey", events: []cytube.Event{permissions, cytube.Rank{Rank: 1}}, want: speech.PermissionGranted,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := room.New()
			users := cytube.UserList{Users: []cytube.User{{Name: "Rosey"}}}
			for _, event := range append([]cytube.Event{cytube.Joined{Name: test.self}, users}, test.events...) {
				r.Apply(event, time.Now())
			}
			if got := chatPermission(r); got != test.want {
				t.Errorf("permission %v, want %v", got, test.want)
			}
		})
	}
}
