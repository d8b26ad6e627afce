package bot

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/status"
)

const stateSubject = prefix + ".channel.movienight.get"

// stateOf returns the state with which the bot that leads replies.
func stateOf(t *testing.T, client *nats.Conn) (state bus.ChannelState) {
	t.Helper()
	reply, err := client.Request(stateSubject, nil, 10*time.Second)
	must(t, err)
	must(t, json.Unmarshal(reply.Data, &state))
	return state
}

func TestChannelStateReply(t *testing.T) {
	r := newRig(t)
	must(t, r.channel.Join("owner"))
	must(t, r.channel.Join("alice"))
	must(t, r.channel.SetAFK("alice", true))
	must(t, r.channel.Mute("alice"))
	r.startJoined()
	client := r.nats.Client()
	uids := map[string]int{}
	for _, id := range []string{"a", "b"} {
		uid, err := r.channel.Queue("owner", simulator.Media{ID: id, Type: "yt", Title: "Film " + id, Seconds: 300},
			simulator.QueueEnd)
		must(t, err)
		uids[id] = uid
	}
	must(t, r.channel.JumpTo("owner", uids["a"]))
	var state bus.ChannelState
	r.eventually("a plays and everybody is known", func() bool {
		state = stateOf(t, client)
		return state.Playing != nil && state.Playing.ID == "a" && state.PlaylistItems == 2 && state.UserCount == 3 &&
			state.Connected == 3 && len(state.Next) == 1
	})
	want := bus.ChannelState{
		Success: true, Server: r.config.Channel.Server, Channel: "movienight", Joined: true, Self: "Rosey",
		Users: []bus.ChannelUser{
			{Name: "Rosey", Rank: 3}, {Name: "alice", AFK: true, Muted: true}, {Name: "owner", Rank: 5}},
		UserCount: 3, Connected: 3, PlaylistItems: 2,
		Playing: &bus.PlayingMedia{UID: uids["a"], Media: film("a")},
		Next:    []bus.QueuedMedia{{UID: uids["b"], Media: film("b")}},
	}
	ignored := cmp.Options{
		cmpopts.IgnoreFields(bus.ChannelState{}, "At", "Check", "FeedPosition"),
		cmpopts.IgnoreFields(bus.PlayingMedia{}, "Position", "Paused"),
	}
	if diff := cmp.Diff(want, state, ignored); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	r.cable.Cut()
	r.eventually("the bot has lost the channel", func() bool { return !stateOf(t, client).Joined })
	state = stateOf(t, client)
	if state.Check.OK || state.Check.Reason == "" || len(state.Users) > 0 || state.Playing != nil || state.Number == 0 {
		t.Errorf("out of the channel: %+v", state)
	}
	must(t, r.stop())
	if _, err := client.Request(stateSubject, nil, 10*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("after the end: error %v, want no responder", err)
	}
}

func film(id string) bus.Media {
	return bus.Media{Type: "yt", ID: id, Title: "Film " + id, Seconds: 300, QueuedBy: "owner"}
}

// TestAFollowerMissesNothing checks that somebody who subscribes to the feed, then asks for the state, and applies the
// events behind its position, knows who is there, while people come and go.
func TestAFollowerMissesNothing(t *testing.T) {
	r := newRig(t)
	r.startJoined()
	client := r.nats.Client()
	moved := make(chan error, 1)
	go func() {
		for i := range 70 {
			name := fmt.Sprintf("guest%d", i%7)
			err := r.channel.Join(name)
			if err == nil && (i < 63 || i%2 > 0) {
				err = r.channel.Leave(name)
			}
			if err != nil {
				moved <- fmt.Errorf("move %d of %s: %w", i, name, err)
				return
			}
		}
		moved <- nil
	}()
	feed, err := client.SubscribeSync(prefix + "." + string(bus.FeedOf("movienight")))
	must(t, err)
	state := stateOf(t, client)
	there := map[string]bool{}
	for _, user := range state.Users {
		there[user.Name] = true
	}
	must(t, <-moved)
	r.say("guest1", "the end")
	last := state.FeedPosition
	for {
		message, err := feed.NextMsg(10 * time.Second)
		must(t, err)
		var event feedEvent
		must(t, json.Unmarshal(message.Data, &event))
		if event.BotStart != state.BotStart {
			t.Fatalf("an event of another bot: %s", message.Data)
		}
		if event.Number <= state.Number {
			continue
		}
		if event.Number != last.Number+1 {
			t.Fatalf("event %d follows %d", event.Number, last.Number)
		}
		last = event.FeedPosition
		switch event.Event {
		case eventUserJoin:
			there[event.User] = true
		case eventUserLeave:
			delete(there, event.User)
		}
		if event.Event == eventMessage {
			break
		}
	}
	want := []string{}
	for _, user := range r.channel.Users() {
		want = append(want, user.Name)
	}
	slices.Sort(want)
	got := []string{}
	for name := range there {
		got = append(got, name)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who is there (-want +got):\n%s", diff)
	}
}

// TestAStateOfManyPeopleFits checks that the reply of a full channel is one message, whatever names and titles its
// server sends, and that it says how many people were left out.
func TestAStateOfManyPeopleFits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ users, nameLength, maxPayload, listed int }{
		"5,000 people":            {5000, 20, 1 << 20, 5000},
		"10,000 long names":       {10_000, 1000, 1 << 20, -1},
		"a server that is narrow": {5000, 20, 64 << 10, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &session{Bot: &Bot{feed: &feed{}}, room: room.New()}
			list, title := cytube.UserList{}, strings.Repeat("é", 40_000)
			for i := range test.users {
				list.Users = append(list.Users, cytube.User{
					Name: fmt.Sprintf("%0*d", test.nameLength, i), Rank: 1.5, AFK: true, Muted: true})
			}
			s.room.Apply(list, time.Now())
			items := cytube.Playlist{}
			for uid := range 2 * bus.MaxNextItems {
				items.Items = append(items.Items, cytube.Item{UID: uid, Media: cytube.Media{ID: title, Title: title}})
			}
			s.room.Apply(items, time.Now())
			s.room.Apply(cytube.ChangeMedia{Media: items.Items[0].Media}, time.Now())
			var state bus.ChannelState
			s.describe(&state, bus.PluginThings...)
			bound(&state, test.maxPayload)
			data, err := bus.Encode(state)
			must(t, err)
			if len(data) > min(test.maxPayload, bus.MaxChannelStateBytes) || len(state.Next) == 0 || len(state.Users) == 0 {
				t.Errorf("%d bytes with %d users and %d items", len(data), len(state.Users), len(state.Next))
			}
			if state.UserCount != test.users || test.listed >= 0 && len(state.Users) != test.listed {
				t.Errorf("%d of %d users", len(state.Users), state.UserCount)
			}
		})
	}
}

// TestOnlyInboxesGetAState checks that nobody can have the bot publish where the requester itself may not.
func TestOnlyInboxesGetAState(t *testing.T) {
	r := newRig(t)
	r.startJoined()
	client := r.nats.Client()
	elsewhere, err := client.SubscribeSync(prefix + ".db.message.log")
	must(t, err)
	must(t, client.PublishRequest(stateSubject, prefix+".db.message.log", nil))
	must(t, client.Publish(stateSubject, nil))
	stateOf(t, client) // the bot has read what came before
	must(t, client.Flush())
	for {
		message, err := elsewhere.NextMsg(time.Millisecond)
		if err != nil {
			break
		}
		if strings.Contains(string(message.Data), "bot_start_ms") {
			t.Errorf("published %s", message.Data)
		}
	}
}

// TestAStandbyDoesNotReply checks that the state comes from the bot in the channel alone.
func TestAStandbyDoesNotReply(t *testing.T) {
	r := newRig(t)
	r.standBy()
	won := r.candidate()
	r.awaitWon(won)
	r.start()
	r.eventually("it stands by", func() bool { return r.bot.Check().Reason == status.ReasonStandby })
	_, err := r.nats.Client().Request(stateSubject, nil, 10*time.Second)
	if !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("error %v, want no responder", err)
	}
}
