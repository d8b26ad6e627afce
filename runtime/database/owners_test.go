package database_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// TestMain stops the PostgreSQL server of the tests.
func TestMain(m *testing.M) { os.Exit(pgtest.Run(m.Run)) }

// ownerRig is one PostgreSQL database for several services.
type ownerRig struct {
	*rig

	urlFile string
}

func newOwnerRig(t *testing.T) *ownerRig {
	t.Helper()
	urlFile := pgtest.Use(t).URLFile(t)
	return &ownerRig{rig: newStreamRig(t), urlFile: urlFile}
}

func (r *ownerRig) open() *postgres.Store {
	r.t.Helper()
	s, err := postgres.Open(r.t.Context(), r.urlFile)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	return s
}

// begin starts the service of a prefix, whose own channel is named like it unless change names another.
func (r *ownerRig) begin(prefix string, change ...func(*database.ServiceOptions)) *running {
	r.t.Helper()
	return r.start(append([]func(*database.ServiceOptions){func(o *database.ServiceOptions) {
		subjects, err := bus.NewSubjects(prefix)
		if err != nil {
			r.t.Fatal(err)
		}
		o.Subjects, o.Channel = subjects, onCyTube(prefix)
		o.Service = store.Service{Prefix: prefix, Name: "fun/" + prefix}
		o.Open = func(ctx context.Context) (store.Store, error) { return postgres.Open(ctx, r.urlFile) }
		o.Binding = bus.NewBinding(bus.BindingOptions{
			Conn: o.Conn, Subjects: subjects, Log: natstest.Log(r.t),
			JetStream: config.JetStream{Mode: config.JetStreamAuto, Replicas: 1, MaxAge: "72h", MaxBytes: 64 << 20},
		})
		database.WithChannelsInterval(&o.EngineOptions, 20*time.Millisecond)
	}}, change...)...)
}

func (r *ownerRig) ask(prefix string, suffix bus.Suffix, body string) string {
	r.t.Helper()
	reply, err := r.client.Request(prefix+"."+string(suffix), []byte(body), 10*time.Second)
	if err != nil {
		r.t.Fatalf("requesting %s of %s: %v", suffix, prefix, err)
	}
	return string(reply.Data)
}

// publishDurably publishes an event into the stream of a prefix.
func (r *ownerRig) publishDurably(prefix string, suffix bus.Suffix, body string) {
	r.t.Helper()
	js, err := jetstream.New(r.client)
	if err == nil {
		_, err = js.Publish(r.t.Context(), prefix+"."+string(suffix), []byte(body))
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// settled waits until the service of a prefix has handled all events in its stream.
func (r *ownerRig) settled(prefix string) {
	r.t.Helper()
	js, err := jetstream.New(r.client)
	if err != nil {
		r.t.Fatal(err)
	}
	natstest.Eventually(r.t, "all events of "+prefix, func() bool {
		stream, err := js.Stream(r.t.Context(), prefix+"_events")
		if err != nil {
			return false
		}
		consumer, err := stream.Consumer(r.t.Context(), prefix+"_db")
		// Not the numbers of pending messages, which do not count one that the stream has just stored.
		return err == nil && consumer.CachedInfo().AckFloor.Stream >= stream.CachedInfo().State.LastSeq
	})
}

func forChannel(name, fields string) string {
	return fmt.Sprintf(`{"server":"https://cytu.be","channel":%q,%s}`, name, fields)
}

// Two services use one database, and a client may publish under the prefix of one of them. It must neither have a /ban
// said in the channel of the other one, read its keys, claim its lines, nor make them vanish by their IDs. That the
// service lists the channel does not help either.
func TestOnePrefixCannotReachTheRowsOfAnotherOne(t *testing.T) {
	r := newOwnerRig(t)
	r.ready(r.begin("songs"))
	films := r.ready(r.begin("films", listing("songs", "books")))
	same(t, "films serves", []string{"https://cytu.be/books", "https://cytu.be/films"}, films.Channels())
	if refused := films.RefusedChannels()["https://cytu.be/songs"]; !strings.Contains(refused, "prefix songs") {
		t.Errorf("songs is refused because %q", refused)
	}

	var line bus.OutboundPutReply
	if err := json.Unmarshal([]byte(r.ask("songs", bus.OutboundPut, `{"message":"hello"}`)), &line); err != nil {
		t.Fatal(err)
	}
	r.ask("songs", bus.KVSet, `{"plugin_name":"p","key":"k","value":"secret"}`)
	old := time.Now().Add(-2 * time.Hour).Unix()
	r.publishDurably("songs", bus.MessageLog, fmt.Sprintf(`{"username":"alice","message":"old","timestamp":%d}`, old))
	r.settled("songs")
	before := r.rowsOf(onCyTube("songs"))

	for suffix := range bodies {
		message := body(suffix, onCyTube("songs"))
		switch suffix {
		case bus.UserJoined, bus.UserLeft, bus.MessageLog, bus.StatsUserCount, bus.StatsHighWater, bus.StatusUpdate,
			bus.ActionPMCommand, bus.OutboundSent, bus.OutboundFailed:
			r.publishDurably("films", suffix, message)
		default:
			if reply := r.ask("films", suffix, message); strings.Contains(reply, "secret") ||
				strings.Contains(reply, "hello") || strings.Contains(reply, `"success":true`) {
				t.Errorf("%s replies %s", suffix, reply)
			}
		}
	}
	r.ask("films", bus.OutboundPut, forChannel("songs", `"message":"/ban alice"`))
	for _, channel := range []string{"songs", "films", "books"} {
		r.publishDurably("films", bus.OutboundSent, forChannel(channel, fmt.Sprintf(`"message_id":%d`, line.ID)))
		r.publishDurably("films", bus.OutboundFailed,
			forChannel(channel, fmt.Sprintf(`"message_id":%d,"retry_count":0,"permanent":true`, line.ID)))
	}
	r.publishDurably("films", bus.OutboundSent, fmt.Sprintf(`{"message_id":%d}`, line.ID))
	r.settled("films")
	r.ask("films", bus.MaintenanceRun, `{}`)
	same(t, "the rows of songs", before, r.rowsOf(onCyTube("songs")))
}

// Maintenance that is requested under one prefix must not apply its retention to the channels of another one.
func TestMaintenanceLeavesTheChannelsOfOtherServices(t *testing.T) {
	r := newOwnerRig(t)
	brief := func(o *database.ServiceOptions) { o.Retention = store.Retention{Chat: time.Hour} }
	r.ready(r.begin("songs"))
	r.ready(r.begin("films", brief))
	old := time.Now().Add(-2 * time.Hour).Unix()
	for _, prefix := range []string{"songs", "films"} {
		r.publishDurably(prefix, bus.MessageLog, fmt.Sprintf(`{"username":"alice","message":"old","timestamp":%d}`, old))
		r.settled(prefix)
	}
	r.ask("films", bus.MaintenanceRun, `{}`)
	for name, want := range map[string]int{"songs": 1, "films": 0} {
		lines, err := r.open().RecentChat(t.Context(), onCyTube(name), 10)
		if err != nil || len(lines) != want {
			t.Errorf("%s has %d lines, %v; want %d", name, len(lines), err, want)
		}
	}
}

// Who may publish under one prefix must not be able to displace the dead letters of another one, nor to keep its events
// out by using their IDs before.
func TestServicesOfOneDatabaseHaveTheirOwnDeadLettersAndIDs(t *testing.T) {
	r := newOwnerRig(t)
	r.ready(r.begin("songs"))
	r.ready(r.begin("films", func(o *database.ServiceOptions) { o.Limits.DeadLetters = 2 }))
	js, err := jetstream.New(r.client)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(prefix, text, id string) {
		t.Helper()
		m := &nats.Msg{
			Subject: prefix + "." + string(bus.MessageLog), Data: []byte(text),
			Header: nats.Header{bus.MsgIDHeader: {bus.MsgID(id, bus.MessageLog)}},
		}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	publish("songs", "not JSON of songs", "dead")
	r.settled("songs")
	for i := range 5 {
		publish("films", "not JSON of films", fmt.Sprint("dead", i))
	}
	publish("films", "not JSON of films", "dead")
	publish("films", `{"username":"eve","message":"first"}`, "line")
	r.settled("films")
	publish("songs", `{"username":"alice","message":"second"}`, "line")
	r.settled("songs")

	opened := r.open()
	letters, err := opened.DeadLetters(t.Context(), "", 0, 10)
	kept := map[string]int{}
	for _, letter := range letters {
		kept[letter.Prefix]++
	}
	if err != nil || kept["songs"] != 1 || kept["films"] != 2 {
		t.Errorf("dead letters by prefix: %v, %v", kept, err)
	}
	// Nor does a client of films reach the dead letters of songs.
	list := r.ask("films", bus.DeadList, `{}`)
	if strings.Contains(list, "of songs") || !strings.Contains(list, "of films") {
		t.Errorf("the service of films lists %s", list)
	}
	ofSongs := letters[slices.IndexFunc(letters, func(l store.DeadLetter) bool { return l.Prefix == "songs" })].ID
	for _, suffix := range []bus.Suffix{bus.DeadRetry, bus.DeadDrop} {
		reply := r.ask("films", suffix, fmt.Sprintf(`{"ids":[%d]}`, ofSongs))
		if !strings.Contains(reply, "not found") {
			t.Errorf("%s of another prefix: %s", suffix, reply)
		}
	}
	lines, err := opened.RecentChat(t.Context(), onCyTube("songs"), 10)
	if err != nil || len(lines) != 1 || lines[0].Text != "second" {
		t.Errorf("lines of songs are %v, %v", lines, err)
	}
}

// A bot in direct mode has a retention of its own too. It removes the rows of its channel and of those that no service
// serves.
func TestDirectModeLeavesTheChannelsOfServices(t *testing.T) {
	r := newOwnerRig(t)
	r.ready(r.begin("songs"))
	opened := r.open()
	old := time.Now().Add(-2 * time.Hour)
	for i, name := range []string{"songs", "films", "books"} {
		line := store.Event{
			ID: fmt.Sprint(i), Channel: onCyTube(name), At: old, Fact: store.ChatLine{Username: "alice", Text: "old"},
		}
		if err := opened.Apply(t.Context(), []store.Event{line}); err != nil {
			t.Fatal(err)
		}
	}
	options := database.EngineOptions{
		Channel: onCyTube("films"), Log: natstest.Log(t), Retention: store.Retention{Chat: time.Hour},
		Open: func(ctx context.Context) (store.Store, error) { return postgres.Open(ctx, r.urlFile) },
	}
	database.WithMaintenanceInterval(&options, 10*time.Millisecond)
	direct := database.NewDirect(database.DirectOptions{EngineOptions: options})
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- direct.Run(ctx) }()
	lines := func(name string) int {
		t.Helper()
		all, err := opened.RecentChat(t.Context(), onCyTube(name), 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	natstest.Eventually(t, "the old lines to be removed", func() bool { return lines("films")+lines("books") == 0 })
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	same(t, "lines of songs", 1, lines("songs"))
}

// rowsOf describes what can be read of a channel.
func (r *ownerRig) rowsOf(channel store.Channel) string {
	r.t.Helper()
	s, ctx := r.open(), r.t.Context()
	chat, chatErr := s.RecentChat(ctx, channel, 100)
	users, usersErr := s.Users(ctx, channel)
	maxima, maximaErr := s.HighWater(ctx, channel)
	counts, countsErr := s.UserCounts(ctx, channel, 100)
	fields, statusErr := s.Status(ctx, channel)
	actions, actionsErr := s.Actions(ctx, channel, 100)
	value, _, valueErr := s.KVGet(ctx, store.KVKey{Channel: channel, Plugin: "p", Key: "k"}, time.Now())
	due, dueErr := postgresReader(r).Outbound(ctx, channel, store.OutboundQuery{Limit: 10, MaxRetries: 4, Now: time.Now()})
	if err := errors.Join(chatErr, usersErr, maximaErr, countsErr, statusErr, actionsErr, valueErr, dueErr); err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprintf("%+v %+v %+v %+v %s %+v %s %+v", chat, users, maxima, counts, fields, actions, value.Value, due)
}

// postgresReader returns a store that claims nothing.
func postgresReader(r *ownerRig) *postgres.Store {
	r.t.Helper()
	s, err := postgres.OpenReadOnly(r.t.Context(), r.urlFile)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	return s
}

// A service whose channel another one owns must neither take messages nor end. It starts once the channel is assigned
// to it, and the one that had it stops to take messages, which stay in its stream.
func TestServiceWaitsForAChannelThatAnotherOneOwns(t *testing.T) {
	r := newOwnerRig(t)
	films := onCyTube("films")
	first := r.ready(r.begin("films"))
	second := r.begin("other", func(o *database.ServiceOptions) { o.Channel = films })
	waits := func(s *running, owner string) {
		t.Helper()
		natstest.Eventually(t, "a service to wait for the channel of "+owner, func() bool {
			check := s.StoreCheck()
			return check.Reason == status.ReasonChannelOwned && !check.OK &&
				strings.Contains(check.Message, "prefix "+owner) && strings.Contains(check.Message, "rosey db channel assign")
		})
	}
	waits(second, "films")
	if _, err := r.client.Request("other.db.kv.list", []byte(`{"plugin_name":"p"}`), time.Second); err == nil {
		t.Error("a service answers for a channel that it does not own")
	}

	assign := func(prefix string) {
		t.Helper()
		service := store.Service{Prefix: prefix, Name: "fun/" + prefix}
		if _, err := r.open().AssignChannel(t.Context(), service, films); err != nil {
			t.Fatal(err)
		}
	}
	assign("other")
	r.ready(second)
	waits(first, "other")
	natstest.Eventually(t, "the first service to unsubscribe", func() bool {
		_, err := r.client.Request("films.db.kv.list", []byte(`{"plugin_name":"p"}`), time.Second)
		return errors.Is(err, nats.ErrNoResponders)
	})
	r.publishDurably("films", bus.MessageLog, `{"username":"alice","message":"kept"}`)
	opened := r.open()
	lines := func() int {
		t.Helper()
		all, err := opened.RecentChat(t.Context(), films, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	same(t, "lines while another service owns the channel", 0, lines())
	assign("films")
	waits(second, "films")
	natstest.Eventually(t, "the line that stayed in the stream", func() bool { return lines() == 1 })
	r.ready(first)
}

// A RoseyBot whose prefix changes takes its channel with it, and its old pods work until they are replaced.
func TestChangedPrefixOfARoseyBotTakesOver(t *testing.T) {
	r := newOwnerRig(t)
	renamed := func(o *database.ServiceOptions) {
		o.Channel, o.Service.Name = onCyTube("films"), "fun/films"
	}
	before := r.ready(r.begin("films"))
	r.ready(r.begin("renamed", renamed))
	for range 3 {
		r.ask("films", bus.KVList, `{"plugin_name":"p"}`)
		r.ask("renamed", bus.KVList, `{"plugin_name":"p"}`)
	}
	if check := before.StoreCheck(); !check.OK {
		t.Errorf("the pod with the old prefix: %+v", check)
	}
	channels, err := r.open().Channels(t.Context())
	if err != nil || len(channels) != 1 || channels[0].Owner.Prefix != "renamed" {
		t.Errorf("owners are %+v, %v", channels, err)
	}
}

// Direct mode holds the database's URL: it stores for its own channel, whoever owns that, and changes no owner.
func TestDirectModeChangesNoOwner(t *testing.T) {
	r := newOwnerRig(t)
	r.ready(r.begin("films"))
	direct := database.NewDirect(database.DirectOptions{EngineOptions: database.EngineOptions{
		Channel: onCyTube("films"), Log: natstest.Log(t),
		Open: func(ctx context.Context) (store.Store, error) { return postgres.Open(ctx, r.urlFile) },
	}})
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- direct.RunOnDemand(ctx) }()
	messages := []bus.Message{
		{Suffix: bus.MessageLog, Data: []byte(body(bus.MessageLog, onCyTube("films")))},
		{Suffix: bus.MessageLog, Data: []byte(body(bus.MessageLog, onCyTube("songs")))},
	}
	if err := direct.Store(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	channels, err := r.open().Channels(t.Context())
	if err != nil || len(channels) != 1 || channels[0].Owner.Prefix != "films" {
		t.Errorf("channels are %+v, %v", channels, err)
	}
	if lines, err := r.open().RecentChat(t.Context(), onCyTube("films"), 10); err != nil || len(lines) != 1 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}
