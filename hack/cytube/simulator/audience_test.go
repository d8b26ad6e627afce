package simulator_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rosey.dev/rosey/hack/cytube/simulator"
)

func newServer(t *testing.T, options simulator.Options) *simulator.Server {
	t.Helper()
	sim, err := simulator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	return sim
}

// TestLog checks the log entries of the audience's actions.
func TestLog(t *testing.T) {
	t.Parallel()
	sim := newServer(t, simulator.Options{
		UsercountInterval: -1, Accounts: []simulator.Account{{Name: "Mona", Rank: 2}},
	})
	started := time.Now().UnixMilli()
	join(t, sim, "MovieNight", "mona")
	join(t, sim, "movienight", "alice")
	say(t, sim, "alice", "a < b")
	say(t, sim, "ALICE", "/me waves")
	if _, err := sim.Channel("movienight").PM("alice", "mona", "psst"); err != nil {
		t.Fatal(err)
	}
	leave(t, sim, "alice")

	want := []simulator.Entry{
		{Seq: 1, Kind: simulator.KindConnect},
		{Seq: 2, Kind: simulator.KindUsercount, Count: 1},
		{Seq: 3, Kind: simulator.KindJoin, User: "Mona"},
		{Seq: 4, Kind: simulator.KindConnect},
		{Seq: 5, Kind: simulator.KindUsercount, Count: 2},
		{Seq: 6, Kind: simulator.KindJoin, User: "alice"},
		{Seq: 7, Kind: simulator.KindChat, User: "alice", Text: "a &lt; b"},
		{Seq: 8, Kind: simulator.KindChat, User: "alice", Text: "waves", Class: "action"},
		{Seq: 9, Kind: simulator.KindPM, User: "alice", To: "Mona", Text: "psst"},
		{Seq: 10, Kind: simulator.KindLeave, User: "alice"},
		{Seq: 11, Kind: simulator.KindDisconnect, User: "alice"},
		{Seq: 12, Kind: simulator.KindUsercount, Count: 1},
	}
	got := sim.Channel("movienight").Log()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(simulator.Entry{}, "Time")); diff != "" {
		t.Errorf("log: -want +got:\n%s", diff)
	}
	for _, e := range got {
		if e.Time < started || e.Time > time.Now().UnixMilli() {
			t.Errorf("entry %d has time %d, the test started at %d", e.Seq, e.Time, started)
		}
	}
	if diff := cmp.Diff([]simulator.User{{Name: "Mona", Rank: 2}}, sim.Channel("movienight").Users()); diff != "" {
		t.Errorf("users: -want +got:\n%s", diff)
	}
}

func TestLogKeepsTheNewest(t *testing.T) {
	t.Parallel()
	sim := newServer(t, simulator.Options{LogLimit: 10})
	join(t, sim, "movienight", "alice")
	for i := range 30 {
		say(t, sim, "alice", fmt.Sprint("line ", i))
	}
	entries := sim.Channel("movienight").Log()
	last := entries[len(entries)-1]
	if len(entries) < 10 || len(entries) > 11 || last.Text != "line 29" || last.Seq != 33 {
		t.Fatalf("a log limited to 10 has %d entries, the last %+v", len(entries), last)
	}
	for i, e := range entries {
		if want := last.Seq - uint64(len(entries)-1-i); e.Seq != want {
			t.Errorf("entry %d has sequence number %d, expected %d", i, e.Seq, want)
		}
	}
	e, err := sim.Channel("movienight").WaitFor(t.Context(), last.Seq-2, func(simulator.Entry) bool { return true })
	if err != nil || e.Seq != last.Seq-1 {
		t.Errorf("waiting after %d gave %d, %v", last.Seq-2, e.Seq, err)
	}
}

// TestReplayOfChat joins after more lines than the chat history has.
func TestReplayOfChat(t *testing.T) {
	t.Parallel()
	sim, url := startSimulator(t, simulator.Options{})
	join(t, sim, "movienight", "alice")
	var want []any
	for i := range 20 {
		e, err := sim.Channel("movienight").Say("alice", fmt.Sprint("line ", i))
		if err != nil {
			t.Fatal(err)
		}
		if i >= 5 {
			want = append(want, map[string]any{
				"username": "alice", "msg": e.Text, "meta": map[string]any{}, "time": float64(e.Time),
			})
		}
	}
	client := connect(t, url)
	client.send(`42["joinChannel",{"name":"movienight"}]`)
	client.until("emoteList")
	for i, line := range want {
		if diff := cmp.Diff(line, client.until("chatMsg")); diff != "" {
			t.Fatalf("replayed line %d: -want +got:\n%s", i, diff)
		}
	}
	if name, _ := splitEvent(t, client.receive()); name != "drinkCount" {
		t.Errorf("after 15 replayed lines came %s", name)
	}
}

func TestUsercountIsDelayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := newServer(t, simulator.Options{})
		channel := sim.Channel("movienight")
		start := time.Now()
		join(t, sim, "movienight", "alice")
		join(t, sim, "movienight", "bob")
		join(t, sim, "movienight", "carol")
		time.Sleep(25 * time.Second) // in the bubble's time
		leave(t, sim, "carol")
		synctest.Wait()

		type broadcast struct {
			After time.Duration
			Count int
		}
		var got []broadcast
		for _, e := range channel.Log() {
			if e.Kind == simulator.KindUsercount {
				got = append(got, broadcast{time.UnixMilli(e.Time).Sub(start), e.Count})
			}
		}
		want := []broadcast{{0, 1}, {10 * time.Second, 3}, {25 * time.Second, 2}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("usercount: -want +got:\n%s", diff)
		}
		if n := channel.Connections(); n != 2 {
			t.Errorf("connections: got %d, expected 2", n)
		}
	})
}

func TestAudienceErrors(t *testing.T) {
	t.Parallel()
	sim := newServer(t, simulator.Options{})
	c := sim.Channel("movienight")
	join(t, sim, "movienight", "alice")
	second := func(_ simulator.Entry, err error) error { return err }
	tests := map[string]struct{ got, want error }{
		"join twice, in other letters": {c.Join("Alice"), simulator.ErrNameInUse},
		"join with a blank":            {c.Join("al ice"), simulator.ErrInvalidName},
		"say without being there":      {second(c.Say("bob", "hi")), simulator.ErrNotInside},
		"say nothing":                  {second(c.Say("alice", " \t\n")), simulator.ErrRefused},
		"shout as a guest":             {second(c.Say("alice", "/say hear me")), simulator.ErrRefused},
		"leave without being there":    {c.Leave("bob"), simulator.ErrNotInside},
		"message to nobody":            {second(c.PM("alice", "bob", "hi")), simulator.ErrRefused},
	}
	for name, test := range tests {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: got error %v, expected %v", name, test.got, test.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a channel name that CyTube refuses did not panic")
		}
	}()
	sim.Channel("bad name!")
}

func TestLongLinesAreTruncated(t *testing.T) {
	t.Parallel()
	sim := newServer(t, simulator.Options{})
	join(t, sim, "movienight", "alice")
	// An emoji counts as two, as in JavaScript.
	e, err := sim.Channel("movienight").Say("alice", strings.Repeat("🍿", 200))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("🍿", 160); e.Text != want {
		t.Errorf("got %d bytes, expected %d", len(e.Text), len(want))
	}
}
