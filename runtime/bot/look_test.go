package bot

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/cytube"
)

// TestLook sees the channel as the bot does, and nothing once it has left.
func TestLook(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("alice"))
	must(t, r.channel.SetAFK("alice", true))
	must(t, r.channel.Mute("alice"))
	must(t, r.channel.Join("owner"))
	r.startJoined()
	_, err := r.channel.Queue("owner", simulator.Media{ID: "a", Type: "yt"}, simulator.QueueEnd)
	must(t, err)
	want := View{
		Self: "Rosey", Rank: 3, Connected: 3, Items: 2,
		Users: []cytube.User{{Name: "Rosey", Rank: 3}, {Name: "alice", AFK: true, Muted: true}, {Name: "owner", Rank: 5}},
		Media: cytube.Media{Title: "Livestream"},
	}
	var view View
	r.eventually("what is there", func() bool {
		var inside bool
		view, inside = r.bot.Look(t.Context())
		return inside && view.Items == 2 && len(view.Users) == 3 && view.Connected == 3 && view.Rank == 3
	})
	want.Media.ID, want.Media.Type, want.Position = view.Media.ID, view.Media.Type, view.Position
	if diff := cmp.Diff(want, view); diff != "" || view.Media.ID == "" {
		t.Errorf("view (-want +got):\n%s", diff)
	}
	must(t, r.stop())
	if view, inside := r.bot.Look(t.Context()); inside {
		t.Errorf("after the end: %+v", view)
	}
}

// TestLookingWaitsForNobody has somebody ask who is gone before the answer: the channel goes on.
func TestLookingWaitsForNobody(t *testing.T) {
	r := newRig(t)
	r.startJoined()
	for range 100 {
		select {
		case r.bot.looks <- make(chan View, 1):
		case <-time.After(10 * time.Second):
			t.Fatal("the channel's goroutine takes no question")
		}
	}
	must(t, r.channel.Join("alice"))
	r.say("alice", "still there?")
	r.eventually("alice in the bot's list", func() bool {
		view, _ := r.bot.Look(t.Context())
		return len(view.Users) == 2
	})
}
