package bot

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/speech"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// startDatabase runs the real database service instead of the fake one, and returns a Requester for it.
func (r *rig) startDatabase() *bus.Requester {
	r.t.Helper()
	subjects, err := bus.NewSubjects(r.config.NATS.SubjectPrefix)
	must(r.t, err)
	connection, err := bus.Connect(r.t.Context(), bus.Options{URL: r.config.NATS.URL, Log: natstest.Log(r.t)})
	must(r.t, err)
	path := filepath.Join(r.t.TempDir(), "rosey.db")
	service := database.NewService(database.ServiceOptions{
		EngineOptions: database.EngineOptions{
			Channel: store.Channel{Server: r.config.Channel.Server, Name: r.config.Channel.Name},
			Open:    func(ctx context.Context) (store.Store, error) { return sqlite.Open(ctx, path) },
			Log:     natstest.Log(r.t),
		},
		Conn: connection, Subjects: subjects,
	})
	running, end := context.WithCancel(context.WithoutCancel(r.t.Context()))
	var worker sync.WaitGroup
	worker.Go(func() {
		if err := service.Run(running); err != nil {
			r.t.Errorf("the database service: %v", err)
		}
	})
	r.t.Cleanup(func() { end(); worker.Wait(); connection.Close() })
	r.eventually("the database service", func() bool { return service.NATSCheck().OK && service.StoreCheck().OK })
	return bus.NewRequester(connection, subjects)
}

// TestWithTheDatabaseService uses outbound lines and commands with the real database service.
func TestWithTheDatabaseService(t *testing.T) {
	r := newRig(t)
	r.config.NATS.SubjectPrefix = "rosey_real"
	r.timings.RefusalDelay = 200 * time.Millisecond
	r.config.Commands.CooldownSeconds = new(0)
	database := r.startDatabase()
	must(t, r.channel.Join("mod"))
	r.startJoined()
	put := func(id, text string) {
		var reply bus.OutboundPutReply
		must(t, database.Request(t.Context(), bus.OutboundPut, bus.OutboundPutRequest{
			Message: text, ClientID: id, Origin: r.bot.channelOrigin(),
		}, &reply))
		if !reply.Success {
			t.Fatalf("the service rejects a line: %s", reply.Error)
		}
	}
	put("1", "from the queue")
	put("1", "from the queue") // a retry is not a second line
	r.eventually("the line is said", func() bool { return len(r.linesOf("Rosey")) == 1 })
	r.say("mod", "one")
	for command, want := range map[string]string{
		"stats":       "Most users at once: 2; most connected: 2; seen altogether: 2",
		"user MOD":    "mod: rank 2, away: false, muted: false",
		"user nobody": "nobody is not in the channel",
	} {
		r.expectReply("mod", command, want)
	}
	r.say("mod", "!stats")
	r.eventually("an answer", func() bool { return len(r.linesOf("Rosey")) == 2 })
	// The command is a line, too, which may be stored before or after it is asked for.
	if answer := r.linesOf("Rosey")[1]; !regexp.MustCompile(`^mod: (1 line|2 lines), connected for`).MatchString(answer) {
		t.Errorf("answer %q", answer)
	}

	// A line that cannot be said is abandoned, and none is said twice.
	must(t, r.channel.Mute("Rosey"))
	put("2", "hello?")
	r.eventually("the mute", func() bool { return r.metric("rosey_bot_outbound_total", string(speech.Muted)) == 1 })
	must(t, r.channel.Unmute("Rosey"))
	put("3", "back again")
	r.eventually("the next line", func() bool { return slices.Contains(r.linesOf("Rosey"), "back again") })
	if diff := cmp.Diff([]string{"from the queue", "back again"}, slices.Delete(r.linesOf("Rosey"), 1, 2)); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

// TestALineIsSaidAtOnce checks this with a bot that polls so rarely that the test would time out.
func TestALineIsSaidAtOnce(t *testing.T) {
	r := newRig(t)
	r.config.NATS.SubjectPrefix = "rosey_real"
	r.timings.Outbound = time.Hour
	database := r.startDatabase()
	must(t, r.channel.Join("owner"))
	r.startJoined()
	for i, text := range []string{"one", "two", "three"} {
		var reply bus.OutboundPutReply
		must(t, database.Request(t.Context(), bus.OutboundPut, bus.OutboundPutRequest{
			Message: text, Origin: r.bot.channelOrigin(),
		}, &reply))
		r.eventually(text, func() bool { return len(r.linesOf("Rosey")) == i+1 })
		r.expectReply("owner", "info", "Rosey, rank")
	}
}

// TestWhatWasPutAsALineIsNeverExecuted puts commands with the subject for lines and with that for commands.
func TestWhatWasPutAsALineIsNeverExecuted(t *testing.T) {
	r := newRig(t)
	r.config.NATS.SubjectPrefix = "rosey_real"
	database := r.startDatabase()
	must(t, r.channel.Join("alice"))
	r.startJoined()
	put := func(suffix bus.Suffix, text string) (reply bus.OutboundPutReply) {
		must(t, database.Request(t.Context(), suffix, bus.OutboundPutRequest{
			Message: text, Origin: r.bot.channelOrigin(),
		}, &reply))
		return reply
	}
	refused := []string{"/kick alice", "\x00/kick alice", " /kick alice", "hi\n/kick alice"}
	for _, text := range refused {
		if reply := put(bus.OutboundPut, text); reply.Success {
			t.Errorf("put takes %q", text)
		}
	}
	said := []string{
		"\uff0fkick alice", "&#47;kick alice", "and/or /kick alice", strings.Repeat("x", cytube.MaxLine-1) + "/kick alice",
	}
	for _, text := range said {
		if reply := put(bus.OutboundPut, text); !reply.Success {
			t.Errorf("put refuses %q: %s", text, reply.Error)
		}
	}
	r.eventually("all lines", func() bool { return len(r.linesOf("Rosey")) == len(said)+1 })
	alicePresent := func() bool {
		return slices.ContainsFunc(r.channel.Users(), func(u simulator.User) bool { return u.Name == "alice" })
	}
	if !alicePresent() {
		t.Fatal("a line was executed")
	}
	if reply := put(bus.OutboundPutCommand, "/kick alice"); !reply.Success {
		t.Errorf("put_command: %s", reply.Error)
	}
	r.eventually("the command", func() bool { return !alicePresent() })
}

// TestAGuestNamedServerIsAPerson checks everything that is kept and told of users.
func TestAGuestNamedServerIsAPerson(t *testing.T) {
	r := newRig(t)
	r.config.NATS.SubjectPrefix = "rosey_real"
	database := r.startDatabase()
	must(t, r.channel.Join("mod"))
	r.startJoined()
	must(t, r.channel.Join("Server"))
	r.say("Server", "hello")
	r.say("Server", "!stats")
	r.eventually("an answer", func() bool {
		lines := r.linesOf("Rosey")
		return len(lines) == 1 && strings.HasPrefix(lines[0], "Server: ")
	})
	r.expectReply("mod", "user server", "Server: rank 0, away: false, muted: false")
	var user bus.UserStatsReply
	r.eventually("both lines are counted", func() bool {
		must(t, database.Request(t.Context(), bus.QueryUserStats, bus.UserStatsRequest{
			Username: "SERVER", Origin: r.bot.channelOrigin(),
		}, &user))
		return user.TotalChatLines == 2
	})
	if user.Username != "Server" || user.CurrentSessionStart == nil {
		t.Errorf("%+v", user)
	}
	var stats bus.ChannelStatsReply
	must(t, database.Request(t.Context(), bus.QueryChannelStats, bus.ChannelStatsRequest{
		Origin: r.bot.channelOrigin(),
	}, &stats))
	if !slices.Contains(stats.TopChatters, bus.TopChatter{Username: "Server", ChatLines: 2}) {
		t.Errorf("%+v", stats.TopChatters)
	}
}

// TestTwoBotsShareTheLines checks that of two bots with one queue, as while one takes over from the other, one says
// each line.
func TestTwoBotsShareTheLines(t *testing.T) {
	r := newRigWith(t, simulator.Options{})
	r.config.NATS.SubjectPrefix = "rosey_real"
	database := r.startDatabase()
	r.startJoined()
	second := *r
	second.config.Account = &config.Account{Username: "plain", PasswordFile: secret(t, "p")}
	second.instance, second.metrics = "pod-2", nil
	second.start()
	second.awaitReason(status.ReasonJoined)
	const lines = 12
	for i := range lines {
		var reply bus.OutboundPutReply
		must(t, database.Request(t.Context(), bus.OutboundPut, bus.OutboundPutRequest{
			Message: strings.Repeat("x", i+1), Origin: r.bot.channelOrigin(),
		}, &reply))
	}
	all := func() []string { return append(r.linesOf("Rosey"), r.linesOf("plain")...) }
	r.eventually("all lines", func() bool { return len(all()) >= lines })
	must(t, second.stop())
	must(t, r.stop())
	said := all()
	slices.Sort(said)
	if len(slices.Compact(said)) != lines || len(all()) != lines {
		t.Errorf("said %q", all())
	}
}

// TestALineSaidManyTimesAtOnceIsStoredAsOften has a client that emits one line many times, and bots that join
// meanwhile and afterwards.
func TestALineSaidManyTimesAtOnceIsStoredAsOften(t *testing.T) {
	r := newRigWith(t, simulator.Options{})
	r.config.NATS.SubjectPrefix = "rosey_real"
	database := r.startDatabase()
	must(t, r.channel.Join("alice"))
	r.startJoined()
	const times = 40 // far more than the milliseconds that it takes
	for range times {
		r.say("alice", "again")
	}
	stored := func() int {
		var user bus.UserStatsReply
		must(t, database.Request(t.Context(), bus.QueryUserStats, bus.UserStatsRequest{
			Username: "alice", Origin: r.bot.channelOrigin(),
		}, &user))
		return user.TotalChatLines
	}
	r.eventually("all of them", func() bool { return stored() >= times })
	must(t, r.channel.Drop("Rosey"))
	r.eventually("the bot is away", func() bool { return r.reconnects(status.ReasonServerUnreachable) > 0 })
	r.awaitJoined()
	must(t, r.stop())
	second := *r
	second.metrics = nil
	second.startJoined()
	must(t, second.stop())
	if got := stored(); got != times {
		t.Errorf("%d lines are stored, %d were said", got, times)
	}
}
