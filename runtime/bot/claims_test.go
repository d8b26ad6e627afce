package bot

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
)

// replayLength is how many lines the server repeats on a join.
const replayLength = 15

// claimed is a line that a bot had before which died.
func claimed(id int64, text string) bus.OutboundMessage {
	return bus.OutboundMessage{
		ID: id, Timestamp: 10, Message: text, LeaseSeconds: 60, ClaimedSince: bus.Seconds{Time: time.Now().Add(-time.Second)},
	}
}

// before has somebody in the channel under the bot's name, as a bot that died.
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

// TestALineThatADeadBotSaidIsNotSaidAgain has one that was said, one that was not, one that was said in part,
// and one that looks like what was said and was never claimed.
func TestALineThatADeadBotSaidIsNotSaidAgain(t *testing.T) {
	r := newRig(t)
	long := strings.TrimSpace(strings.Repeat("popcorn ", 60))
	r.service.toSay(claimed(1, "said"), claimed(2, "not said"), claimed(3, long),
		bus.OutboundMessage{ID: 4, Timestamp: 10, Message: "said", LeaseSeconds: 60})
	r.before("said", strings.TrimSpace(strings.Repeat("popcorn ", 40)))
	r.startJoined()
	r.eventually("all is told", func() bool { return len(r.marked()) == 4 })
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

// TestALineInDoubtIsNotSaidAgain has more said since than the server repeats.
func TestALineInDoubtIsNotSaidAgain(t *testing.T) {
	r := newRig(t)
	r.service.toSay(claimed(1, "said"), bus.OutboundMessage{ID: 2, Timestamp: 10, Message: "new", LeaseSeconds: 60})
	r.before("said")
	must(t, r.channel.Join("alice"))
	for range replayLength {
		r.say("alice", "and on it goes")
	}
	r.startJoined()
	failure := r.failure()
	if failure["permanent"] != true || !strings.HasPrefix(failure["error"].(string), "doubtful") {
		t.Errorf("failure %v", failure)
	}
	r.eventually("the next line", r.service.isEmpty)
	if diff := cmp.Diff([]string{"said", "new"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

// TestALineThatABotHadAllAlongIsSaid has an answer lost in which a line was claimed.
func TestALineThatABotHadAllAlongIsSaid(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	for range replayLength {
		r.say("alice", "and on it goes")
	}
	r.startJoined()
	line := claimed(1, "hello")
	line.ClaimedSince.Time = time.Now()
	r.service.toSay(line)
	r.eventually("the line is said", r.service.isEmpty)
	if diff := cmp.Diff([]string{"hello"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

// TestAPythonServiceTellsNothingOfClaims has a line that was said since it was queued.
func TestAPythonServiceTellsNothingOfClaims(t *testing.T) {
	r := newRig(t)
	r.service.toSay(bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "said"},
		bus.OutboundMessage{ID: 2, Timestamp: time.Now().Add(time.Hour).Unix(), Message: "said"})
	r.before("said", "said")
	r.startJoined()
	r.eventually("all is told", func() bool { return len(r.marked()) == 2 })
	if diff := cmp.Diff([]string{"said", "said", "said"}, r.linesOf("Rosey")); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}
