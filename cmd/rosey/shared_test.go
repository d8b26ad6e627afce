package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

const (
	sharingBots = 50
	sharedLines = 20 // in each channel
)

// sharedRig is many bots, each in its own channel, that use the database service of one of them, as with
// database.sharedFrom: they have the same NATS server, prefix and service.
type sharedRig struct {
	*testing.T

	sim    *simulator.Server
	site   string
	nats   *natstest.Server
	path   string
	list   string // the file that lists the channels
	bots   []*roseyProcess
	events jetstream.JetStream
}

func channelOf(bot int) string { return fmt.Sprintf("room%02d", bot) }

// talker is a user of every channel: rows differ in nothing but the channel.
const talker = "alice"

func textOf(bot, line int) string { return fmt.Sprintf("%s says %03d", channelOf(bot), line) }

func newSharedRig(t *testing.T) *sharedRig {
	t.Helper()
	s := &sharedRig{T: t, nats: natstest.Start(t, natstest.JetStream(t)), path: filepath.Join(t.TempDir(), "rosey.db")}
	// All bots have one address, so the server must not limit connections or guest logins.
	s.sim, s.site = simulatortest.Start(t, simulator.Options{})
	var err error
	if s.events, err = jetstream.New(s.nats.Client()); err != nil {
		t.Fatal(err)
	}
	s.list = filepath.Join(t.TempDir(), "channels.yaml")
	s.writeList(sharingBots)
	service := start(t, "db", "--channel", channelOf(0), "--server", s.site, "--nats", s.nats.URL(), "--database", s.path,
		"--database-channels-file", s.list, "--http", "127.0.0.1:0")
	if report := service.waitFor(status.ReasonReady); len(report.Channels) != sharingBots {
		t.Errorf("the service serves %d channels, want %d", len(report.Channels), sharingBots)
	}
	for i := range sharingBots {
		if err := s.sim.Channel(channelOf(i)).Join(talker); err != nil {
			t.Fatal(err)
		}
		s.bots = append(s.bots, start(t, "bot", "--channel", channelOf(i), "--server", s.site, "--nats", s.nats.URL(),
			"--username", "Rosey", "--http", "127.0.0.1:0"))
	}
	return s
}

// writeList lists the first channels.
func (s *sharedRig) writeList(channels int) {
	s.Helper()
	var list strings.Builder
	for i := range channels {
		fmt.Fprintf(&list, "- {server: %q, name: %s}\n", s.site, channelOf(i))
	}
	if err := os.WriteFile(s.list, []byte(list.String()), 0o600); err != nil {
		s.Fatal(err)
	}
}

// talk says a line in every channel in turn, so that the lines of all channels are mixed in the stream.
func (s *sharedRig) talk() {
	s.Helper()
	for line := range sharedLines {
		for bot := range s.bots {
			if _, err := s.sim.Channel(channelOf(bot)).Say(talker, textOf(bot, line)); err != nil {
				s.Fatal(err)
			}
		}
	}
}

// stored returns the lines of a channel when the database has all of them.
func (s *sharedRig) stored(opened *sqlite.Store, bot int) (lines []store.RecentLine) {
	s.Helper()
	channel := store.Channel{Server: s.site, Name: channelOf(bot)}
	natstest.Within(s.T, time.Minute, "all lines of "+channel.Name, func() bool {
		var err error
		if lines, err = opened.RecentChat(s.Context(), channel, 1000); err != nil {
			s.Fatal(err)
		}
		return len(lines) >= sharedLines
	})
	return lines
}

// TestFiftyBotsShareOneService: the same users talk at the same time in fifty channels. The events go through one
// stream, one consumer and one service, and each must be stored in its own channel.
func TestFiftyBotsShareOneService(t *testing.T) {
	t.Parallel()
	s := newSharedRig(t)
	for _, bot := range s.bots {
		bot.waitFor(status.ReasonReady)
	}
	s.talk()
	opened, err := sqlite.OpenReadOnly(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	for bot := range s.bots {
		var texts, want []string
		for _, line := range s.stored(opened, bot) {
			texts = append(texts, line.Text)
		}
		for line := range sharedLines {
			want = append(want, textOf(bot, line))
		}
		slices.Sort(texts) // lines of one millisecond have no order
		if !slices.Equal(texts, want) {
			t.Errorf("%s has %q, want %q", channelOf(bot), texts, want)
		}
		s.checkUsers(opened, bot)
	}
	s.checkOneConsumer()
	s.checkOutbound()
	for _, bot := range s.bots {
		if code := bot.end(syscall.SIGTERM); code != exit.Clean {
			t.Errorf("exit code %d", code)
		}
	}
}

// checkUsers checks the users of a channel, and that lines of other channels do not count.
func (s *sharedRig) checkUsers(opened *sqlite.Store, bot int) {
	s.Helper()
	channel := store.Channel{Server: s.site, Name: channelOf(bot)}
	users, err := opened.Users(s.Context(), channel)
	if err != nil {
		s.Fatal(err)
	}
	lines := map[string]int{}
	for _, user := range users {
		lines[user.Username] = user.Lines
	}
	if len(lines) != 2 || lines[talker] != sharedLines || lines["Rosey"] != 0 {
		s.Errorf("%s has users with lines %v", channel.Name, lines)
	}
	status, err := opened.Status(s.Context(), channel)
	if err != nil {
		s.Fatal(err)
	}
	if name := string(status["channel_name"]); name != "" && name != strconv.Quote(channel.Name) {
		s.Errorf("%s has the status of %s", channel.Name, name)
	}
}

// checkOutbound queues a line for each channel, and checks that it is said there and nowhere else.
func (s *sharedRig) checkOutbound() {
	s.Helper()
	text := func(bot int) string { return "for " + channelOf(bot) }
	for bot := range s.bots {
		body := fmt.Sprintf(`{"message":%q,"server":%q,"channel":%q}`, text(bot), s.site, channelOf(bot))
		if _, err := s.nats.Client().Request("rosey.db.messages.outbound.put", []byte(body), time.Minute); err != nil {
			s.Fatal(err)
		}
	}
	for bot := range s.bots {
		channel := s.sim.Channel(channelOf(bot))
		if _, err := channel.WaitFor(s.Context(), 0, func(e simulator.Entry) bool {
			return e.Kind == simulator.KindChat && e.User == "Rosey"
		}); err != nil {
			s.Fatalf("%s: waiting for its line: %v", channelOf(bot), err)
		}
	}
	for bot := range s.bots {
		for _, e := range s.sim.Channel(channelOf(bot)).Log() {
			if e.Kind == simulator.KindChat && e.User == "Rosey" && e.Text != text(bot) {
				s.Errorf("in %s the bot says %q", channelOf(bot), e.Text)
			}
		}
	}
}

// checkOneConsumer checks that all events went through one stream and one consumer.
func (s *sharedRig) checkOneConsumer() {
	s.Helper()
	stream, err := s.events.Stream(s.Context(), "rosey_events")
	if err != nil {
		s.Fatal(err)
	}
	var consumers []string
	for name := range stream.ConsumerNames(s.Context()).Name() {
		consumers = append(consumers, name)
	}
	if !slices.Equal(consumers, []string{"rosey_db"}) {
		s.Errorf("the stream has consumers %q", consumers)
	}
	if info := stream.CachedInfo(); info.State.Msgs < sharingBots*sharedLines {
		s.Errorf("the stream has %d events of %d lines", info.State.Msgs, sharingBots*sharedLines)
	}
}
