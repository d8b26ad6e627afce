package natsauth_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/natsauth"
)

// The users of plugins: one without grants, one with some, and the host of two.
const (
	dice    = "plugin_dice"
	weather = "plugin_weather"
	host    = "plugins"
)

func pluginUsers(t *testing.T, channel string) []natsauth.PluginUser {
	t.Helper()
	users, err := natsauth.PluginUsers(channel, []config.Plugin{
		{Name: "dice"},
		{Name: "weather", Grants: &config.PluginGrants{
			Events: []string{"message"}, Say: true, Queue: true, State: []string{"users"},
			Act: []config.ActGrant{{Verb: "playlist.add", Rank: new(2.0)}},
		}},
		{Name: "trivia", Builtin: "trivia", Grants: &config.PluginGrants{Events: []string{"userJoin"}, Say: true}},
		{Name: "quotes", Builtin: "quotes", Grants: &config.PluginGrants{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return users
}

// allGrants are all that there are.
func allGrants() config.PluginGrants {
	grants := config.PluginGrants{Say: true, Queue: true, Events: []string{"message", "user_join", "changeMedia"}}
	for _, thing := range bus.PluginThings {
		grants.State = append(grants.State, string(thing))
	}
	for _, verb := range bus.PluginVerbs {
		grants.Act = append(grants.Act, config.ActGrant{Verb: string(verb)})
	}
	return grants
}

// connectPlugins connects the users of plugins.
func (s *side) connectPlugins(account *natsauth.Account) {
	s.w.Helper()
	s.plugins = map[string]*client{}
	for role, name := range map[string]string{dice: "dice", weather: "weather", host: "trivia"} {
		subjects, err := s.subjects.Plugin("movies", name)
		if err != nil {
			s.w.Fatal(err)
		}
		s.plugins[role] = s.w.connect(s.id+"'s "+role, loginOf(account, s.prefix+"_"+role),
			nats.CustomInboxPrefix(subjects.InboxPrefix()))
	}
}

// pluginSubscriptions are attempts of plugins to read, or to take messages from those who should get them.
var pluginSubscriptions = []struct {
	subject, queue string
	may            []string
}{
	{subject: ">"}, {subject: "*.>"}, {subject: "P.>"}, {subject: "P.*.>"}, {subject: "P.plugin.>"},
	{subject: "P.plugin.*.*.in.>"}, {subject: "P.plugin.*.*.in.call.*"},
	{subject: "P.plugin.movies.*.in.call.>", queue: "dice"},
	{subject: "P.plugin.movies.>"}, {subject: "P.plugin.movies.dice.>"}, {subject: "P.plugin.movies.dice.in.>"},
	{subject: "P.plugin.movies.dice.in.*"}, {subject: "P.plugin.movies.dice.in.call.>"},
	{subject: "P.plugin.movies.dice.in.call.>", queue: "weather"},
	{subject: "P.plugin.movies.dice.in.call.>", queue: "dice", may: []string{dice}},
	{subject: "P.plugin.movies.dice.in.call.roll", queue: "dice", may: []string{dice}},
	{subject: "P.plugin.movies.weather.in.call.>", queue: "weather", may: []string{weather}},
	{subject: "P.plugin.movies.trivia.in.call.>", queue: "trivia", may: []string{host}},
	{subject: "P.plugin.movies.quotes.in.call.>", queue: "quotes", may: []string{host}},
	{subject: "P.plugin.movies.quotes.in.call.>", queue: "trivia"},
	{subject: "P.plugin.movies.dice.in.cancel", may: []string{dice}},
	{subject: "P.plugin.movies.quotes.in.cancel", may: []string{host}},
	{subject: "P.plugin.movies.dice.out.>"}, {subject: "P.plugin.movies.dice.out.say"},
	{subject: "P.plugin.music.dice.in.call.>", queue: "dice"},
	// Wider than a tree of one's own, with the right queue group: it would deliver what is for others too.
	{subject: "P.plugin.*.dice.in.call.>", queue: "dice"}, {subject: "P.*.movies.dice.in.call.>", queue: "dice"},
	{subject: "*.plugin.movies.dice.in.call.>", queue: "dice"}, {subject: "P.plugin.movies.*.in.cancel"},
	{subject: "P.plugin.movies.dice.*.call.roll", queue: "dice"}, {subject: "P.plugin.movies.dice.>", queue: "dice"},
	{subject: "P.events.cytube.*.message", queue: "weather"}, {subject: "P.events.cytube.movies.>", queue: "weather"},
	{subject: "P.*.cytube.movies.message", queue: "weather"}, {subject: "P.events.cytube.*.userJoin", queue: "trivia"},
	{subject: "P.events.>"}, {subject: "P.events.cytube.>"}, {subject: "P.events.cytube.movies.*", queue: "weather"},
	{subject: "P.events.cytube.movies.message"},
	{subject: "P.events.cytube.movies.message", queue: "dice"},
	{subject: "P.events.cytube.movies.message", queue: "weather", may: []string{weather}},
	{subject: "P.events.cytube.movies.pm", queue: "weather"},
	{subject: "P.events.cytube.movies.userJoin", queue: "trivia", may: []string{host}},
	{subject: "P.events.cytube.music.message", queue: "weather"},
	{subject: "P.db.>"}, {subject: "P.db.>", queue: "P_db"}, {subject: "P.db.kv.>"}, {subject: "P.db.kv.movies.dice.get"},
	{subject: "P.db.kv.movies.dice.get", queue: "P_db"}, {subject: "P.db.message.log"},
	{subject: "P.channel.movies.get"}, {subject: "P.status.get"}, {subject: "P.outbound.movies.waiting"},
	{subject: "_INBOX.>"}, {subject: "_INBOX_P_bot.>"}, {subject: "_INBOX_P_db.>"}, {subject: "_INBOX_P_cli.>"},
	{subject: "*.x"}, {subject: "*.>", queue: "dice"},
	{subject: "_INBOX_P_plugin_movies_dice.>", may: []string{dice}},
	{subject: "_INBOX_P_plugin_movies_dice.*", may: []string{dice}},
	{subject: "_INBOX_P_plugin_movies_weather.>", may: []string{weather}},
	{subject: "_INBOX_P_plugin_movies_quotes.>", may: []string{host}},
	{subject: "$SRV.>"}, {subject: "$SRV.INFO"}, {subject: "$SRV.PING"}, {subject: "$SRV.INFO.>"},
	{subject: "$SRV.INFO.*"},
	{subject: "$SRV.*.P_movies_dice"}, {subject: "$SRV.INFO.P_db"}, {subject: "*.INFO.P_movies_dice"},
	{subject: "$SRV.*.P_movies_dice.>"}, {subject: "$SRV.INFO.P_movies_dice", queue: "q", may: []string{dice}},
	{subject: "$SRV.INFO.P_movies_dice", may: []string{dice}}, {subject: "$SRV.INFO.P_movies_dice.>", may: []string{dice}},
	{subject: "$SRV.INFO.P_movies_dice.x", may: []string{dice}}, {subject: "$SRV.PING.P_movies_dice", may: []string{dice}},
	{subject: "$SRV.STATS.P_movies_dice", may: []string{dice}},
	{subject: "$SRV.INFO.P_movies_weather", may: []string{weather}},
	{subject: "$SRV.INFO.P_movies_quotes", may: []string{host}},
	{subject: "$KV.>"}, {subject: "$JS.>"}, {subject: "$JS.API.>"}, {subject: "$JS.ACK.>"},
}

// pluginProvoked are the subjects on which messages are sent while a plugin may be listening, beside provoked.
var pluginProvoked = []string{
	"P.plugin.movies.weather.in.call.ask", "P.plugin.movies.trivia.in.call.ask", "P.plugin.movies.quotes.in.call.add",
	"P.plugin.movies.dice.in.cancel", "P.plugin.movies.quotes.in.cancel", "P.plugin.music.dice.in.call.roll",
	"P.events.cytube.movies.pm", "P.events.cytube.movies.userJoin", "P.events.cytube.music.message",
	"P.db.kv.movies.dice.get", "_INBOX_P_plugin_movies_weather.x", "_INBOX_P_plugin_movies_quotes.x",
	"$SRV.INFO", "$SRV.INFO.P_db", "$SRV.INFO.P_movies_dice.x", "$SRV.PING.P_movies_dice", "$SRV.STATS.P_movies_dice",
	"$SRV.INFO.P_movies_weather", "$SRV.INFO.P_movies_quotes",
}

// pluginPublications are attempts of plugins to write.
var pluginPublications = []struct {
	subject string
	may     []string
}{
	{"P.plugin.movies.dice.out.say", []string{dice}},
	{"P.plugin.movies.dice.out.take", []string{dice}},
	{"P.plugin.movies.dice.out.hello", []string{dice}},
	{"P.plugin.movies.dice.out.bye", []string{dice}},
	{"P.plugin.movies.dice.out.queue", nil},
	{"P.plugin.movies.dice.out.act.playlist.add", nil},
	{"P.plugin.movies.dice.out.state.users", nil},
	{"P.plugin.movies.dice.out.say.more", nil},
	{"P.plugin.movies.dice.out", nil},
	{"P.plugin.movies.dice.out.act", nil},
	{"P.plugin.movies.DICE.out.say", nil},
	{"P.plugin.movies.dice.in.call", nil},
	{"P.plugin.movies.quotes.in.call.add", nil},
	{"P.plugin.movies.dice.in.call.roll", nil},
	{"P.plugin.movies.dice.in.cancel", nil},
	{"P.plugin.music.dice.out.say", nil},
	{"P.plugin.movies.weather.out.say", []string{weather}},
	{"P.plugin.movies.weather.out.queue", []string{weather}},
	{"P.plugin.movies.weather.out.act.playlist.add", []string{weather}},
	{"P.plugin.movies.weather.out.act.kick", nil},
	{"P.plugin.movies.weather.out.act.playlist.skip", nil},
	{"P.plugin.movies.weather.out.state.users", []string{weather}},
	{"P.plugin.movies.weather.out.state.media", nil},
	{"P.plugin.movies.weather.in.call.ask", nil},
	{"P.plugin.movies.trivia.out.say", []string{host}},
	{"P.plugin.movies.quotes.out.hello", []string{host}},
	{"P.plugin.movies.quotes.out.queue", nil},
	{"P.db.kv.movies.dice.get", []string{dice}},
	{"P.db.kv.movies.dice.add", []string{dice}},
	{"P.db.kv.movies.weather.get", []string{weather}},
	{"P.db.kv.movies.quotes.set", []string{host}},
	{"P.db.kv.movies.dice.x.get", nil},
	{"P.db.kv.music.dice.get", nil},
	{"P.db.kv.movies.other.get", nil},
	{"P.db.kv.movies.dice", nil},
	{"P.db.kv.MOVIES.dice.get", nil},
	{"P.db.kv.get", nil},
	{"P.db.kv.set", nil},
	{"P.db.kv.list", nil},
	{"P.db.message.log", nil},
	{"P.db.user.joined", nil},
	{"P.db.messages.outbound.put", nil},
	{"P.db.messages.outbound.put_command", nil},
	{"P.db.messages.outbound.get", nil},
	{"P.db.query.chat", nil},
	{"P.db.dead.list", nil},
	{"P.db.people.export", nil},
	{"P.events.cytube.movies.message", nil},
	{"P.channel.movies.get", nil},
	{"P.status.get", nil},
	{"P.outbound.movies.waiting", nil},
	{"_INBOX.x", nil},
	{"_INBOX_P_bot.x", nil},
	{"_INBOX_P_db.x", nil},
	{"_INBOX_P_plugin_movies_dice.x", nil},
	{"_INBOX_P_plugin_movies_weather.x", nil},
	{"_R_.x", nil},
	{"$SRV.INFO.P_movies_dice", nil},
	{"$SRV.INFO.P_movies_weather", nil},
	{"$SRV.PING", nil},
	{"$SYS.REQ.SERVER.PING", nil},
	{"$KV.P_locks.leader", nil},
	{"$JS.ACK.P_events.P_db.1.1.1.1.0", nil},
	{"$JS.API.INFO", nil},
	{"$JS.API.STREAM.CREATE.P_events", nil},
	{"$JS.API.STREAM.CREATE.other", nil},
	{"$JS.API.STREAM.INFO.P_events", nil},
	{"$JS.API.STREAM.MSG.GET.P_events", nil},
	{"$JS.API.DIRECT.GET.KV_P_locks.$KV.P_locks.leader", nil},
	{"$JS.API.CONSUMER.CREATE.P_events.P_db", nil},
	{"$JS.API.CONSUMER.MSG.NEXT.P_events.P_db", nil},
}

// eachTargetWorld runs a test for both kinds of configuration.
func eachTargetWorld(t *testing.T, test func(w *world)) {
	for _, target := range []natsauth.Target{natsauth.ServerConfTarget, natsauth.JWTTarget} {
		t.Run(string(target), func(t *testing.T) {
			t.Parallel()
			test(newWorld(t, target, false))
		})
	}
}

// TestPluginsReadOnlyWhatIsTheirs lets every plugin subscribe to what is others': of other plugins, of the bot, of the
// database service, of another channel and of another account.
func TestPluginsReadOnlyWhatIsTheirs(t *testing.T) {
	eachTargetWorld(t, func(w *world) {
		for _, try := range pluginSubscriptions {
			what := fmt.Sprintf("subscribing to %q, queue group %q", try.subject, try.queue)
			if w.listens(w.alpha.root, w.alpha, try.subject, try.queue) == 0 {
				w.Errorf("%s: nothing to be read, so the test shows nothing", what)
			}
			for role, by := range w.alpha.plugins {
				w.triesToRead(by, try.subject, try.queue, slices.Contains(try.may, role))
				if got := w.listens(w.beta.plugins[role], w.alpha, try.subject, try.queue); got != 0 {
					w.Errorf("%s: %s of another account reads %d messages", what, role, got)
				}
			}
		}
	})
}

// TestPluginsWriteOnlyWhatIsTheirs is the same for publishing: nobody calls, answers or asks in the name of another.
func TestPluginsWriteOnlyWhatIsTheirs(t *testing.T) {
	eachTargetWorld(t, func(w *world) {
		for _, try := range pluginPublications {
			what := "publishing to " + try.subject
			if !w.reaches(w.alpha.root, w.alpha, try.subject) {
				w.Errorf("%s: it never arrives, so the test shows nothing", what)
			}
			for role, by := range w.alpha.plugins {
				w.triesToWrite(by, try.subject, slices.Contains(try.may, role))
				if w.reaches(w.beta.plugins[role], w.alpha, try.subject) {
					w.Errorf("%s: it arrives from %s of another account", what, role)
				}
			}
		}
	})
}

// TestPluginsAnswerACallOnce: no second answer, and none to an inbox that the plugin has learnt of, whoever it is.
func TestPluginsAnswerACallOnce(t *testing.T) {
	eachTargetWorld(t, func(w *world) {
		s := w.alpha
		plugin, call := s.plugins[dice], s.of("P.plugin.movies.dice.in.call.roll")
		replies := make(chan string, 10)
		_, err := plugin.QueueSubscribe(call, "dice", func(m *nats.Msg) {
			replies <- m.Reply
			_ = m.Respond([]byte("first"))
			_ = m.Respond([]byte("second"))
		})
		if err != nil {
			w.Fatal(err)
		}
		plugin.flush(w.T)
		before := len(plugin.denied())
		inbox := s.clients[bot].NewInbox()
		answers, err := s.clients[bot].SubscribeSync(inbox)
		if err != nil {
			w.Fatal(err)
		}
		if err := s.clients[bot].PublishRequest(call, inbox, nil); err != nil {
			w.Fatal(err)
		}
		if reply, err := answers.NextMsg(5 * time.Second); err != nil || string(reply.Data) != "first" {
			w.Fatalf("%v, %v", reply, err)
		}
		plugin.eventuallyDenied(w.T, "a second answer", before)
		<-replies
		for _, by := range s.plugins {
			before := len(by.denied())
			if err := by.Publish(inbox, []byte("forged")); err != nil {
				w.Fatal(err)
			}
			by.eventuallyDenied(w.T, "a forged answer", before)
		}
		s.clients[bot].flush(w.T)
		if got, _, err := answers.Pending(); err != nil || got != 0 {
			w.Errorf("%d more answers, %v", got, err)
		}
	})
}

// TestManyPluginsLogIn issues for a host of as many plugins as there may be, with all grants and long names: its
// credentials are short enough for the server, and it has each of its permissions.
func TestManyPluginsLogIn(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		bot := natsauth.Bot{
			Namespace: strings.Repeat("n", 60), Name: strings.Repeat("m", 50), JetStream: config.JetStreamNever,
			BotSecret: "bot", ServiceSecret: "db",
		}
		bot.Prefix = "rosey_" + bot.Namespace + "_" + bot.Name
		var configured []config.Plugin
		grants := allGrants()
		for n := range bus.MaxPlugins {
			name := strings.Repeat("p", bus.MaxPluginName-2) + fmt.Sprintf("%02d", n)
			configured = append(configured, config.Plugin{Name: name, Builtin: "dice", Grants: &grants})
		}
		channel := strings.Repeat("c", 30)
		var err error
		if bot.Plugins, err = natsauth.PluginUsers(channel, configured); err != nil {
			i.Fatal(err)
		}
		i.options.MaxControlLine = 8192 // for the bot; the users of plugins need no more than the default
		_, state := i.issue(bot)
		account := state.Accounts[bot.ID()]
		user := account.Users[account.Name+"_plugins"]
		if user.Signed != nil && len(user.JWT) > maxCredential {
			i.Errorf("a JWT of %d bytes", len(user.JWT))
		}
		server := (&world{T: i.T, state: state}).start(i.dir)
		var denied atomic.Int32
		conn := server.Client(loginOf(account, account.Name+"_plugins"),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) { denied.Add(1) }))
		subjects, err := bus.NewSubjects(bot.Prefix)
		if err != nil {
			i.Fatal(err)
		}
		for _, plugin := range configured {
			s, err := subjects.Plugin(channel, plugin.Name)
			if err != nil {
				i.Fatal(err)
			}
			if _, err := conn.QueueSubscribeSync(s.AllCalls(), s.QueueGroup()); err != nil {
				i.Fatal(err)
			}
			if err := conn.Publish(s.Act(bus.VerbKick), nil); err != nil {
				i.Fatal(err)
			}
		}
		if err := conn.FlushTimeout(5 * time.Second); err != nil || denied.Load() > 0 {
			i.Errorf("%d denials, %v", denied.Load(), err)
		}
		if err := conn.Publish(subjects.Subject(bus.MessageLog), nil); err != nil {
			i.Fatal(err)
		}
		natstest.Eventually(i.T, "a denial, or the test shows nothing", func() bool { return denied.Load() > 0 })
	})
}

// secret returns the manifest of a Secret.
func (i *issuer) secret(name string) string {
	i.Helper()
	content, err := os.ReadFile(filepath.Join(i.dir, natsauth.SecretsDir, "films", name+".yaml"))
	if err != nil {
		i.Fatal(err)
	}
	return string(content)
}

// TestPluginsGetTheirOwnUsers checks that a change of a plugin changes its user alone, and that what it may do changes
// without new credentials.
func TestPluginsGetTheirOwnUsers(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		bot := film("alpha")
		bot.Plugins = pluginUsers(i.T, "movies")
		bot.Plugins[1].Secret = "dice-login"
		changes, _ := i.issue(bot)
		for _, want := range []string{
			"user rosey_films_alpha_plugins: created", "user rosey_films_alpha_plugin_dice: created",
			"user rosey_films_alpha_plugin_weather: created",
		} {
			if !slices.Contains(changes, want) {
				i.Errorf("not %q: %v", want, changes)
			}
		}
		if again, _ := i.issue(bot); len(again) > 0 {
			i.Errorf("the second time: %v", again)
		}
		before := i.secret("dice-login")
		bot.Plugins[1].Plugins[0].Grants.Queue = true
		changes, _ = i.issue(bot)
		want := []string{"user rosey_films_alpha_plugin_dice: permissions changed"}
		if i.target == natsauth.JWTTarget {
			want = []string{"account rosey_films_alpha: changed"}
		}
		if !slices.Equal(changes, want) {
			i.Errorf("with another grant: %v, want %v", changes, want)
		}
		if i.secret("dice-login") != before {
			i.Error("new credentials for another grant")
		}
		i.options.Rotate = bot.ID()
		i.issue(bot)
		if i.secret("dice-login") == before {
			i.Error("the same credentials after a rotation")
		}
		i.options.Rotate = ""
		bot.Plugins = bot.Plugins[:1]
		changes, _ = i.issue(bot)
		if !slices.Contains(changes, "user rosey_films_alpha_plugin_dice: removed") {
			i.Errorf("without the plugin: %v", changes)
		}
	})
}
