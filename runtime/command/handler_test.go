package command

import (
	"context"
	"fmt"
	"html"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/speech"
)

// rig is a Handler in a channel that the test plays. It runs in a bubble of synctest, so waiting takes no time. The
// server says what the bot says, and shows no effect of a request by itself.
type rig struct {
	*Handler
	t       *testing.T
	stop    func()
	leading atomic.Bool

	mu        sync.Mutex
	said      []string
	requested []string
	counted   []string
	audited   []string
	called    []string
	refund    func() // of the last call of a plugin, and forgive
	forgive   func()
	// statsOf is the name in the reply to a query of a user. Empty: the name in the query.
	statsOf string
	// queries is what a query of the database waits for. Nil: nothing.
	queries chan struct{}
}

func (r *rig) note(list *[]string, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, text)
}

// take returns a list once everything waits, and empties it.
func (r *rig) take(list *[]string) []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := *list
	*list = nil
	return taken
}

func (r *rig) expect(what string, list *[]string, want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.take(list)); diff != "" {
		r.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Say and PM make the rig a speech.Conn.

func (r *rig) Say(ctx context.Context, text string) error {
	if strings.HasPrefix(text, "/") {
		text = " " + text // as *cytube.Conn does
	}
	return r.Command(ctx, text)
}

func (r *rig) Command(_ context.Context, text string) error {
	r.note(&r.said, text)
	r.Speaker.HeardOwn(cytube.ChatMessage{User: "Rosey", HTML: html.EscapeString(text), Time: time.Now()})
	return nil
}

func (r *rig) PM(_ context.Context, to, text string) error {
	r.note(&r.said, to+": "+text)
	r.Speaker.HeardOwnPM(cytube.PM{To: to, HTML: html.EscapeString(text)})
	return nil
}

// Request makes the rig a speech.Requester.
func (r *rig) Request(ctx context.Context, suffix bus.Suffix, _, out any) error {
	if suffix == bus.OutboundGet {
		return nil
	}
	if r.queries != nil {
		select {
		case <-r.queries:
		case <-ctx.Done():
			return fmt.Errorf("requesting %s: %w", suffix, ctx.Err())
		}
	}
	if stats, ok := out.(*bus.ChannelStatsReply); ok {
		stats.Success = true
	}
	if stats, ok := out.(*bus.UserStatsReply); ok {
		stats.Success = true
		if r.statsOf != "" {
			stats.Username = r.statsOf
		}
	}
	return nil
}

// Publish makes the rig a speech.Publisher.
func (r *rig) Publish(_ context.Context, _ bus.Suffix, _ string, payload any) {
	if action, ok := payload.(bus.PMCommandPayload); ok {
		text := fmt.Sprintf("%s %s %q %s", action.Username, action.Command, action.Args, action.Result)
		if action.Error != nil {
			text += ": " + *action.Error
		}
		r.note(&r.audited, text)
	}
}

// conn notes the requests of commands.
type conn struct{ *rig }

func (c conn) request(format string, args ...any) error {
	c.note(&c.requested, fmt.Sprintf(format, args...))
	return nil
}

func (c conn) Enqueue(_ context.Context, media cytube.Media, temp bool) error {
	return c.request("queue %s %s %t", media.Type, media.ID, temp)
}

func (c conn) Delete(_ context.Context, uid int) error { return c.request("delete %d", uid) }
func (c conn) JumpTo(_ context.Context, uid int) error { return c.request("jump %d", uid) }
func (c conn) PlayNext(context.Context) error          { return c.request("next") }
func (c conn) Voteskip(context.Context) error          { return c.request("voteskip") }
func (c conn) ClearChat(context.Context) error         { return c.request("clear") }
func (c conn) ToggleAFK(context.Context) error         { return c.request("afk") }
func (c conn) ShufflePlaylist(context.Context) error   { return c.request("shuffle") }
func (c conn) ClosePoll(context.Context) error         { return c.request("close poll") }

func (c conn) OpenPoll(_ context.Context, poll cytube.Poll) error {
	return c.request("open poll %s %q", poll.Title, poll.Options)
}

func (c conn) Move(_ context.Context, uid int, after cytube.Place) error {
	return c.request("move %d after %d", uid, after.UID)
}

func (c conn) AssignLeader(_ context.Context, name string) error { return c.request("leader %q", name) }

func (c conn) Lead(_ context.Context, media cytube.Media, position float64, paused bool) error {
	return c.request("lead %s %v %t", media.ID, position, paused)
}

func (c conn) Kick(_ context.Context, name, reason string) error {
	return c.request("kick %s %q", name, reason)
}

// plugins notes the calls of plugins.
type plugins struct{ *rig }

func (p plugins) Call(c Call) {
	p.refund, p.forgive = c.Refund, c.Forgive
	p.note(&p.called, fmt.Sprintf("%s %s %s %s %g %q %q",
		c.Plugin, c.Command.Name, c.Via, c.User.Name, c.User.Rank, c.Args, c.Text))
}

func (p plugins) Rejected(plugin string) { p.note(&p.called, plugin+" rejected") }

// enabled is the configuration of all commands, with a prefix and a cooldown in seconds.
func enabled(prefix string, cooldown int) config.Commands {
	return config.Commands{
		Chat: new(true), PM: new(true), Prefix: prefix, CooldownSeconds: new(cooldown), ChannelCooldownSeconds: new(0)}
}

func countable() map[string]bool {
	all := map[string]bool{}
	ForEachCount(func(source, name, outcome string) { all[source+" "+name+" "+outcome] = true })
	return all
}

// inChannel runs a test with a Handler whose bot, rank 3, is in a channel with mod, rank 2, and alice, rank 1.
func inChannel(t *testing.T, c config.Commands, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t}
		r.leading.Store(true)
		leading := r.leading.Load
		id := func(at time.Time) string { return at.String() }
		origin := bus.Origin{Server: "https://cytu.be", Channel: "movienight"}
		log := slog.New(slog.DiscardHandler)
		speaker := speech.New(speech.Options{
			Conn: r, Tracker: speech.NewTracker(0), Requester: r, Publisher: r, EventID: id, Origin: origin,
			Leading: leading, Count: func(speech.Outcome) {}, Log: log, Poll: 2 * time.Second, RefusalDelay: 10 * time.Second,
		})
		speaker.SetPermission(speech.PermissionGranted)
		registry := NewRegistry()
		registry.Configure(c)
		r.Handler = New(Options{
			Registry: registry, Plugins: plugins{r},
			Room: room.New(), Conn: conn{r}, Speaker: speaker, Requester: r, Publisher: r, EventID: id,
			Origin: origin, Leading: leading, Started: time.Now(), Log: log,
			Status: func() (string, string) { return "joined", "connected" },
			Count: func(source, name, outcome string) {
				counted := source + " " + name + " " + outcome
				if !countable()[counted] {
					t.Errorf("counted %q, which ForEachCount does not name", counted)
				}
				r.note(&r.counted, counted)
			},
		})
		r.arrive(
			cytube.Joined{Name: "Rosey"}, cytube.Rank{Rank: 3},
			cytube.Permissions{Ranks: map[string]float64{
				"chat": 0, "chatclear": 2, "kick": 2, "seeplaylist": -1, "playlistadd": 2, "addnontemp": 3, "playlistdelete": 2,
				"playlistmove": 2, "playlistjump": 2, "leaderctl": 2, "voteskip": -1, "playlistaddlive": 3,
				"playlistaddlist": 2,
			}},
			cytube.ChannelOptions{AllowVoteskip: true},
			cytube.UserList{Users: []cytube.User{{Name: "Rosey", Rank: 3}, {Name: "mod", Rank: 2}, {Name: "alice", Rank: 1}}},
		)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { speaker.Run(ctx) })
		running.Go(func() { r.Run(ctx) })
		r.stop = func() {
			cancel()
			running.Wait()
		}
		defer r.stop()
		test(r)
	})
}

// arrive has events arrive as the session does it.
func (r *rig) arrive(events ...cytube.Event) {
	for _, event := range events {
		r.Room.Apply(event, time.Now())
		r.Handle(event)
	}
}

func (r *rig) pmFrom(user, text string) { r.arrive(cytube.PM{From: user, To: "Rosey", HTML: text}) }

func (r *rig) chatFrom(user, text string) { r.arrive(cytube.ChatMessage{User: user, HTML: text}) }

// TestRejectedCommandsLeaveNothingBehind checks 1,000 commands that are rejected before they act.
func TestRejectedCommandsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 5), func(r *rig) {
		r.arrive(cytube.SetUserRank{Name: "Rosey", Rank: 1}, cytube.Rank{Rank: 1})
		rejected := []string{"kick alice", "add yt:abc", "remove 1", "move 1 2", "next", "pause", "afk maybe", "clear",
			"kick nobody", "shrug"}
		for i := range 1000 {
			r.pmFrom("mod", rejected[i%len(rejected)])
			synctest.Wait()
			if r.confirmations.len() > 0 {
				t.Fatalf("%q left a confirmation", rejected[i%len(rejected)])
			}
		}
		time.Sleep(time.Hour) // the flood limit lets all replies through
		if requests := r.take(&r.requested); len(requests) > 0 {
			t.Errorf("requests %v", requests)
		}
		r.arrive(cytube.SetUserRank{Name: "Rosey", Rank: 3}, cytube.Rank{Rank: 3})
		r.take(&r.said)
		r.pmFrom("mod", "voteskip")
		r.expect("requests", &r.requested, "voteskip")
		r.arrive(cytube.Voteskip{})
		r.expect("replies", &r.said, "mod: Voted")
		if r.confirmations.len() > 0 || len(r.jobs) > 0 || len(r.Registry.cooldowns.users) > 0 {
			t.Errorf("left behind: %d confirmations, %d jobs, %d users", r.confirmations.len(), len(r.jobs),
				len(r.Registry.cooldowns.users))
		}
	})
}

func TestConfirmation(t *testing.T) {
	t.Parallel()
	alien := cytube.Item{UID: 1, Media: cytube.Media{ID: "a", Title: "Alien", Seconds: 60}}
	brazil := cytube.Item{UID: 2, Media: cytube.Media{ID: "b", Title: "Brazil"}}
	added := added(3, "yt", "abc")
	added.After.Last = true
	othersAdded := added
	othersAdded.Item.QueuedBy = "alice"
	for _, test := range []struct {
		command, request string
		events           []cytube.Event
		want             string
	}{
		{"add yt:abc", "queue yt abc true", []cytube.Event{othersAdded, added}, "Added yt:abc"},
		{"add yp:PL1", "queue yp PL1 true", []cytube.Event{added}, "Added yp:PL1"},
		{"add yt:abc", "queue yt abc true", []cytube.Event{cytube.QueueFail{Message: "Too <b>long</b>"}}, "add: Too long"},
		{"afk", "afk", []cytube.Event{cytube.SetAFK{Name: "alice"}, cytube.SetAFK{Name: "rosey"}}, "The bot is away"},
		{"clear", "clear", []cytube.Event{cytube.ClearChat{By: "Rosey"}}, "The chat is cleared"},
		{"jump 2", "jump 2", []cytube.Event{cytube.SetCurrent{UID: 1}, cytube.SetCurrent{UID: 2}}, "Playing Brazil"},
		{"kick alice rude", `kick alice "rude"`, []cytube.Event{cytube.UserLeave{Name: "Alice"}}, "Kicked alice"},
		{"kick alice", `kick alice ""`,
			[]cytube.Event{
				cytube.ErrorMsg{Message: "no"}, cytube.ErrorMsg{Message: "You do not have permission to kick Bob"},
				cytube.ErrorMsg{Message: "You do not have permission to kick Alice"},
			}, "kick: You do not have permission to kick Alice"},
		{"move 1 2", "move 1 after 2", []cytube.Event{cytube.MoveVideo{UID: 1, After: cytube.Place{UID: 2}}},
			"Moved Alien to 2"},
		{"next", "next", []cytube.Event{cytube.PlaylistMeta{Count: 0}}, "Skipped"},
		{"remove 1", "delete 1", []cytube.Event{cytube.Delete{UID: 2}, cytube.Delete{UID: 1}}, "Removed Alien"},
		{"voteskip", "voteskip", nil, "voteskip: the server did not confirm it in time"},
	} {
		inChannel(t, enabled("!", 5), func(r *rig) {
			r.arrive(cytube.Playlist{Items: []cytube.Item{alien, brazil}}, cytube.ChangeMedia{Media: alien.Media, Paused: true})
			r.pmFrom("mod", test.command)
			r.expect("requests of "+test.command, &r.requested, test.request)
			for i, event := range test.events {
				if replies := r.take(&r.said); len(replies) > 0 {
					t.Errorf("%s: reply %v before event %d", test.command, replies, i)
				}
				r.arrive(event)
			}
			if test.events == nil {
				time.Sleep(confirmTimeout)
			}
			r.expect("reply to "+test.command, &r.said, "mod: "+test.want)
			if r.confirmations.len() > 0 {
				t.Errorf("%s left a confirmation", test.command)
			}
		})
	}
}

// CyTube refuses each video of a list by itself, with the ID of the list. The bot forgot the list with the first one,
// and let a live stream among the others stay although who added the list may not add any.
func TestARefusedVideoOfAListHidesNoLiveStream(t *testing.T) {
	t.Parallel()
	refused := cytube.QueueFail{ID: "PL1", Message: "This item is already on the playlist"}
	video, stream := added(3, "yt", "abc"), added(4, "yt", "live")
	stream.Item.Media.Seconds = 0
	for name, events := range map[string][]cytube.Event{
		"first": {refused, video, stream}, "between": {video, refused, stream},
	} {
		inChannel(t, enabled("!", 5), func(r *rig) {
			r.pmFrom("mod", "add yp:PL1")
			r.expect("requests of add, "+name, &r.requested, "queue yp PL1 true")
			for _, event := range events {
				r.arrive(event)
				synctest.Wait()
			}
			r.expect("requests for the live stream, "+name, &r.requested, "delete 4")
		})
	}
}

// TestPause pauses and continues, which takes a second request.
func TestPause(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 5), func(r *rig) {
		r.pmFrom("mod", "pause")
		r.expect("reply", &r.said, "mod: pause: nothing is playing")
		r.arrive(cytube.ChangeMedia{Media: cytube.Media{ID: "a", Seconds: 60}, Position: 7})
		r.pmFrom("mod", "pause")
		r.expect("requests", &r.requested, `leader "Rosey"`)
		r.arrive(cytube.SetLeader{Name: "Rosey"})
		r.expect("requests", &r.requested, "lead a 7 true")
		r.arrive(cytube.MediaUpdate{Position: 7, Paused: true})
		r.expect("reply", &r.said, "mod: Paused; send pause again to continue")
		r.pmFrom("mod", "pause")
		r.expect("requests", &r.requested, `leader ""`)
		r.arrive(cytube.SetLeader{})
		r.expect("reply", &r.said, "mod: Playback continues")
	})
}

// TestQueueIsBounded checks more commands than can wait, and a session that ends before they are executed.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 5), func(r *rig) {
		r.queries = make(chan struct{})
		r.pmFrom("mod", "stats") // waits for the database
		synctest.Wait()
		for range maxJobs + 1 {
			r.pmFrom("mod", "users")
		}
		r.expect("counted", &r.counted, "pm users busy")
		r.expect("audited", &r.audited, `mod users "" error: too many commands at once; try again later`)
		r.stop()
		r.Close()
		left := " error: " + errLeft.Error()
		want := append([]string{`mod stats ""` + left}, slices.Repeat([]string{`mod users ""` + left}, maxJobs)...)
		r.expect("audited", &r.audited, want...)
	})
}

func TestCommandTakesTooLong(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 5), func(r *rig) {
		r.queries = make(chan struct{})
		r.pmFrom("mod", "user alice")
		r.pmFrom("mod", "info")
		time.Sleep(taskTimeout)
		r.expect("replies", &r.said, "mod: alice: rank 1, away: false, muted: false", "mod: user: the command took too long",
			"mod: Rosey, rank 3, in channel movienight on https://cytu.be", "mod: Running for 0 s")
	})
}

func TestCommandsWhileNotLeading(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 5), func(r *rig) {
		r.queries = make(chan struct{})
		r.pmFrom("mod", "stats")
		synctest.Wait()
		r.pmFrom("mod", "voteskip")
		r.leading.Store(false)
		r.pmFrom("mod", "help")
		r.chatFrom("alice", "!help")
		close(r.queries)
		r.expect("audited", &r.audited, `mod stats "" success`,
			`mod voteskip "" error: the bot is not the leader any more`)
		r.expect("said", &r.said)
		r.expect("requests", &r.requested)
	})
}

func TestWhoIsAnswered(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 5), func(r *rig) {
		r.pmFrom("alice", "help")
		r.pmFrom("nobody", "help")
		r.pmFrom("mod", " ")
		r.arrive(cytube.PM{From: "Rosey", To: "mod", HTML: "help"})
		r.chatFrom("[server]", "!help")
		r.chatFrom("Rosey", "!help")
		r.chatFrom("alice", "!add yt:abc")
		r.arrive(cytube.ChatMessage{User: "alice", HTML: "!help", Kind: "action"})
		r.arrive(cytube.ChatMessage{User: "alice", HTML: "!help", Shadow: true})
		r.expect("said", &r.said)
		r.expect("counted", &r.counted)
		r.chatFrom("alice", "!HELP")
		r.expect("said", &r.said, "Commands: !help, !seen USER, !stats [USER], !top, !uptime")
		r.pmFrom("MOD", "Shrug")
		r.expect("said", &r.said, "mod: unknown: there is no such command; send help for a list")
		r.expect("audited", &r.audited, `mod unknown "" error: there is no such command; send help for a list`)
	})
}

// TestARepliedNameIsNoCommand has somebody else answer the bot's query, with a name that is none.
func TestARepliedNameIsNoCommand(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 5), func(r *rig) {
		r.statsOf = "/kick alice"
		r.chatFrom("alice", "!stats")
		r.expect("said", &r.said, " /kick alice: never seen here")
		r.pmFrom("mod", "say /me waves")
		r.expect("said by a command", &r.said, "/me waves", "mod: Said")
	})
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled("!", 5), func(r *rig) {
		for command, want := range map[string]string{
			"add li:abc":     "add: your rank in the channel does not allow it (playlistaddlive)",
			"kick mod":       "kick: mod has at least your rank",
			"say /me /clear": "say: the bot executes no chat commands except /me",
			"say":            "say: usage: say MESSAGE",
		} {
			r.pmFrom("mod", command)
			r.expect("reply to "+command, &r.said, "mod: "+want)
		}
		if got := r.take(&r.counted); !slices.Contains(got, "pm add denied") || !slices.Contains(got, "pm kick denied") {
			t.Errorf("counted %v", got)
		}
		r.arrive(cytube.Rank{Rank: 1})
		r.pmFrom("mod", "clear")
		r.expect("reply", &r.said, "mod: clear: the bot's rank in the channel does not allow it (chatclear)")
	})
}

func TestCooldownIsPerUser(t *testing.T) {
	t.Parallel()
	inChannel(t, enabled(".", 10), func(r *rig) {
		r.chatFrom("alice", ".uptime")
		synctest.Wait()
		r.chatFrom("ALICE", ".top")
		r.chatFrom("mod", ".stats alice bob")
		r.chatFrom("mod", "!help")
		r.expect("said", &r.said, "Running for 0 s", "stats: usage: .stats [USER]")
		r.expect("counted", &r.counted, "chat uptime success", "chat top cooldown", "chat stats error")
		time.Sleep(10 * time.Second)
		r.chatFrom("alice", ".top")
		r.expect("said", &r.said, "Nobody has said anything yet")
		if len(r.Registry.cooldowns.users) != 1 {
			t.Errorf("%d users in the cooldown", len(r.Registry.cooldowns.users))
		}
		r.expect("audited", &r.audited)
	})
}

func TestTable(t *testing.T) {
	t.Parallel()
	commands := table()
	inOrder := slices.IsSortedFunc(commands, func(a, b command) int {
		return strings.Compare(string(a.source)+" "+a.Name, string(b.source)+" "+b.Name)
	})
	if !inOrder {
		t.Error("commands are not sorted by source and name")
	}
	for _, c := range commands {
		if c.source == fromPM && c.Rank < cytube.ModeratorRank {
			t.Errorf("PM command %s is for rank %g", c.Name, c.Rank)
		}
		if c.Help == "" {
			t.Errorf("help tells nothing about %s", c.Name)
		}
	}
}
