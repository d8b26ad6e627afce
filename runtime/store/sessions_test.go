package store_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/store"
)

func second(n float64) time.Time { return time.UnixMilli(int64(n * 1000)).UTC() }

// facts parses "+0 -100 …": joins and leaves with their times in seconds, in the order of their IDs.
func facts(t *testing.T, text string) (all []store.Presence) {
	t.Helper()
	for i, word := range strings.Fields(text) {
		at, err := time.ParseDuration(word[1:] + "s")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, store.Presence{ID: string(rune('a' + i)), At: second(at.Seconds()), Joined: word[0] == '+'})
	}
	return all
}

func TestSessions(t *testing.T) {
	for name, test := range map[string]struct {
		facts string
		want  []store.Session
	}{
		"none": {"", nil},
		"one":  {"+0 -100", []store.Session{{second(0), second(100)}}},
		"open": {"+7", []store.Session{{Join: second(7)}}},
		"two": {
			"+0 -100 +161 -200", []store.Session{{second(0), second(100)}, {second(161), second(200)}},
		},
		"a gap of a minute":          {"+0 -100 +160 -200", []store.Session{{second(0), second(200)}}},
		"open after a gap":           {"+0 -100 +130", []store.Session{{Join: second(0)}}},
		"reload in a millisecond":    {"+0 -100 +100", []store.Session{{Join: second(0)}}},
		"left in a millisecond":      {"+0 -50 +100 -100", []store.Session{{second(0), second(100)}}},
		"joined twice":               {"+0 +50 -100", []store.Session{{second(0), second(100)}}},
		"joined twice, long apart":   {"+0 +5000 -5100", []store.Session{{second(0), second(5100)}}},
		"left twice":                 {"+0 -100 -150", []store.Session{{second(0), second(100)}}},
		"left without having come":   {"-100", nil},
		"left before the first join": {"-1 +2 -3", []store.Session{{second(2), second(3)}}},
	} {
		t.Run(name, func(t *testing.T) {
			all := facts(t, test.facts)
			for range 5 {
				rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
				if diff := cmp.Diff(test.want, store.Sessions(all, store.Watches{})); diff != "" {
					t.Fatalf("in the order %v:\n%s", all, diff)
				}
			}
		})
	}
}

// A bot that is killed reports no leaves. The sessions of users who left before the next bot joined must end.
func TestSessionsWithUnseenLeaves(t *testing.T) {
	watches := []store.Watch{
		{Since: second(10), Until: second(500)}, {Since: second(700), Until: second(1000)},
		{Since: second(2000), Until: second(2000)},
	}
	session := func(join, leave float64) store.Session {
		return store.Session{Join: second(join), Leave: second(leave)}
	}
	for name, test := range map[string]struct {
		facts string
		want  []store.Session
	}{
		"gone when the next bot came":      {"+10", []store.Session{session(10, 500)}},
		"still there, and then gone":       {"+10 +700", []store.Session{session(10, 1000)}},
		"there all the time":               {"+10 +700 +2000", []store.Session{{Join: second(10)}}},
		"left before":                      {"+10 -400", []store.Session{session(10, 400)}},
		"came back later":                  {"+10 +750 -800", []store.Session{session(10, 500), session(750, 800)}},
		"came back at once":                {"+10 +701 -800", []store.Session{session(10, 500), session(701, 800)}},
		"came after the last sign of life": {"+550", []store.Session{session(550, 550)}},
		"came to the last bot":             {"+2000", []store.Session{{Join: second(2000)}}},
		"from before anybody watched":      {"+5", []store.Session{session(5, 500)}},
		"never came":                       {"", nil},
	} {
		all := facts(t, test.facts)
		for range 5 {
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			rand.Shuffle(len(watches), func(i, j int) { watches[i], watches[j] = watches[j], watches[i] })
			if diff := cmp.Diff(test.want, store.Sessions(all, store.NewWatches(watches))); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
	// A bot that lost its connection may overlap with the next one.
	both := []store.Watch{{Since: second(10), Until: second(800)}, {Since: second(700), Until: second(900)}}
	got := store.Sessions(facts(t, "+10"), store.NewWatches(both))
	if diff := cmp.Diff([]store.Session{session(10, 700)}, got); diff != "" {
		t.Errorf("two bots at once: %s", diff)
	}
}

func TestUserWithSessions(t *testing.T) {
	user := store.User{Username: "alice", LastSeen: second(250)}
	got := user.WithSessions(store.Sessions(facts(t, "+0 -100 +200"), store.Watches{}))
	start := second(200)
	want := store.User{
		Username: "alice", LastSeen: second(250), Connected: 150 * time.Second, SessionStart: &start,
		Sessions: []store.Session{{Join: second(0), Leave: second(100)}, {Join: start}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = user.WithSessions(store.Sessions(facts(t, "+0 -100"), store.Watches{}))
	if got.SessionStart != nil || got.Connected != 100*time.Second {
		t.Errorf("left: %+v", got)
	}
}
