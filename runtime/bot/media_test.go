package bot

import (
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
)

// TestPlayedMediaIsReported checks that what begins to play is reported for the database, and again, with the same
// beginning, by a bot that joins later.
func TestPlayedMediaIsReported(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("owner"))
	r.startJoined()
	uid, err := r.channel.Queue("owner", simulator.Media{ID: "a", Type: "yt", Title: "Alien", Seconds: 300},
		simulator.QueueEnd)
	must(t, err)
	must(t, r.channel.JumpTo("owner", uid))
	var found []any
	reports := func() (began []time.Time) {
		found = nil
		for _, event := range r.service.on(bus.MediaPlayed) {
			if p := event.Payload; p["id"] == "a" {
				if p["type"] != "yt" || p["title"] == "" || p["seconds"] != 300. || p["queued_by"] != "owner" {
					t.Errorf("report %v", p)
				}
				began, found = append(began, event.At), append(found, p["found"])
			}
		}
		return began
	}
	r.eventually("a report", func() bool { return len(reports()) == 1 })
	r.cable.Cut()
	r.eventually("the bot has lost the channel", func() bool { return !r.bot.Check().OK })
	r.cable.Restore()
	r.eventually("another report", func() bool { return len(reports()) == 2 })
	if began := reports(); began[1].Sub(began[0]).Abs() > 10*time.Second {
		t.Errorf("one play began at %v", began)
	}
	if found[0] != nil || found[1] == nil {
		t.Errorf("found at %v, want only the report of the bot that joined later to say so", found)
	}
}
