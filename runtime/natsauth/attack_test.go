package natsauth_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/natsauth"
)

// In the tables, P is the prefix of the side that is attacked.

const (
	bot   = bus.BotRole
	db    = bus.ServiceRole
	cli   = bus.CLIRole
	web   = bus.WebRole
	admin = bus.AdminRole
)

// subscriptions are attempts to read, or to take messages from those who should get them.
var subscriptions = []struct {
	subject, queue string
	may            []bus.Role
}{
	{subject: ">"},
	{subject: "*.>"},
	{subject: "P.>"},
	{subject: "P.*.>"},
	{subject: "*.db.>"},
	{subject: "P.db.>", may: []bus.Role{cli}},
	{subject: "P.events.>", may: []bus.Role{cli}},
	{subject: "P.events.cytube.>", may: []bus.Role{cli, web}},
	{subject: "P.events.cytube.movies.>", may: []bus.Role{cli, web}},
	{subject: "P.channel.>", may: []bus.Role{bot, cli}},
	{subject: "P.channel.movies.get", may: []bus.Role{bot, cli}},
	{subject: "P.status.get", may: []bus.Role{bot, db, cli, web}},
	{subject: "P.status.>"},
	{subject: "P.outbound.>", may: []bus.Role{bot}},
	{subject: "P.outbound.movies.waiting", may: []bus.Role{bot}},
	{subject: "P.db.kv.*", may: []bus.Role{cli}},
	{subject: "P.db.kv.get", may: []bus.Role{cli}},
	{subject: "P.db.message.log", may: []bus.Role{cli}},
	{subject: "P.db.kv.get", queue: "P_db", may: []bus.Role{db}},
	{subject: "P.db.kv.get", queue: "other"},
	{subject: "P.db.>", queue: "P_db"},
	{subject: "P.events.>", queue: "any"},
	{subject: "P.events.cytube.>", queue: "any"},
	{subject: "P.db.message.log", queue: "P_db"},
	{subject: "_INBOX.>"},
	{subject: "_INBOX_P_bot.>", may: []bus.Role{bot}},
	{subject: "_INBOX_P_bot.*", may: []bus.Role{bot}},
	{subject: "_INBOX_P_db.>", may: []bus.Role{db}},
	{subject: "_INBOX_P_cli.>", may: []bus.Role{cli}},
	{subject: "_INBOX_P_web.>", may: []bus.Role{web}},
	{subject: "P.plugin.>", may: []bus.Role{bot, cli}},
	{subject: "P.plugin.movies.dice.out.>", may: []bus.Role{bot, cli}},
	{subject: "P.plugin.movies.dice.in.call.>", may: []bus.Role{bot, cli}},
	{subject: "P.plugin.movies.dice.in.call.>", queue: "dice", may: []bus.Role{bot}},
	{subject: "_INBOX_P_plugin_movies_dice.>"},
	{subject: "$SRV.INFO.P_movies_dice"},
	{subject: "$KV.>"},
	{subject: "$KV.P_locks.leader"},
	{subject: "$SRV.>"},
	{subject: "$SRV.*"},
	{subject: "$SRV.PING.>"},
	{subject: "$SRV.PING.P_db", may: []bus.Role{db}},
	{subject: "$SRV.PING.P_db.>", may: []bus.Role{db}},
	{subject: "$JS.>"},
	{subject: "$JS.API.>"},
	{subject: "$JS.ACK.>"},
}

// provoked are the subjects on which messages of the side are sent while somebody may be listening.
var provoked = []string{
	"P.db.message.log", "P.db.kv.get", "P.events.cytube.movies.message", "P.outbound.movies.waiting",
	"_INBOX.x", "_INBOX_P_bot.x", "_INBOX_P_db.x",
	"_INBOX_P_cli.x", "_INBOX_P_web.x", "P.channel.movies.get", "P.status.get",
	"P.plugin.movies.dice.in.call.roll", "P.plugin.movies.dice.out.say", "_INBOX_P_plugin_movies_dice.x",
	"$SRV.INFO.P_movies_dice",
	"$KV.P_locks.leader", "$SRV.PING", "$SRV.PING.P_db", "$SRV.PING.P_db.x",
	"$JS.API.STREAM.INFO.P_events", "$JS.ACK.P_events.P_db.1.1.1.1.0",
}

func (s *side) provoke() {
	s.w.Helper()
	for _, subject := range slices.Concat(provoked, pluginProvoked) {
		if err := s.root.Publish(s.of(subject), []byte("secret")); err != nil {
			s.w.Fatal(err)
		}
	}
	s.root.flush(s.w.T)
}

// listens tries a subscription and returns how many messages it gets of those that victim provokes.
func (w *world) listens(by *client, victim *side, subject, queue string) int {
	w.Helper()
	subscription, err := by.QueueSubscribeSync(victim.of(subject), victim.of(queue))
	if err != nil {
		w.Fatal(err)
	}
	by.flush(w.T)
	victim.provoke()
	by.flush(w.T)
	got, _, err := subscription.Pending()
	if err != nil {
		got = 0 // nats.go has ended the subscription that the server denied
	}
	_ = subscription.Unsubscribe()
	by.flush(w.T) // or it would take messages of a queue group from the next one
	return got
}

// publications are attempts to write. manual is who may with an administrator's stream, automatic who may otherwise.
var publications = []struct {
	subject           string
	automatic, manual []bus.Role
}{
	// Events and requests.
	{"P.db.message.log", []bus.Role{bot}, []bus.Role{bot}},
	{"P.db.user.joined", []bus.Role{bot}, []bus.Role{bot}},
	{"P.db.messages.outbound.mark_sent", []bus.Role{bot}, []bus.Role{bot}},
	{"P.db.messages.outbound.get", []bus.Role{bot}, []bus.Role{bot}},
	{"P.db.messages.outbound.put", []bus.Role{bot, cli, web}, []bus.Role{bot, cli, web}},
	{"P.db.messages.outbound.put_command", nil, nil},
	{"P.db.query.user_stats", []bus.Role{bot, cli, web}, []bus.Role{bot, cli, web}},
	{"P.db.stats.recent_chat.get", nil, nil},
	{"P.db.kv.set", nil, nil},
	{"P.db.kv.movies.dice.set", nil, nil},
	{"P.db.maintenance.run", nil, nil},
	{"P.db.dead.list", []bus.Role{db, web}, []bus.Role{db, web}},
	{"P.db.dead.drop", []bus.Role{db, web}, []bus.Role{db, web}},
	{"P.db.messages.outbound.cancel", []bus.Role{web}, []bus.Role{web}},
	{"P.db.people.export", nil, nil},
	{"P.db.people.forget", nil, nil},
	{"P.channel.movies.get", []bus.Role{web}, []bus.Role{web}},
	{"P.channel.movies.set", nil, nil},
	{"P.status.get", []bus.Role{web}, []bus.Role{web}},
	{"P.db.anything", nil, nil},
	{"P.events.cytube.movies.message", []bus.Role{bot}, []bus.Role{bot}},
	{"P.events.other", nil, nil},
	{"P.outbound.movies.waiting", []bus.Role{db}, []bus.Role{db}},
	{"P.outbound.movies.other", nil, nil},
	{"P.plugin.movies.dice.in.call.roll", []bus.Role{bot}, []bus.Role{bot}},
	{"P.plugin.movies.dice.in.call.roll.more", nil, nil},
	{"P.plugin.movies.dice.in.cancel", []bus.Role{bot}, []bus.Role{bot}},
	{"P.plugin.movies.dice.in.other", nil, nil},
	{"P.plugin.movies.dice.out.say", nil, nil},
	{"P.plugin.movies.dice.out.hello", nil, nil},
	{"_INBOX_P_plugin_movies_dice.x", nil, nil},
	// Replies that nobody has asked for.
	{"_INBOX.x", nil, nil},
	{"_INBOX_P_bot.x", nil, nil},
	{"_INBOX_P_db.x", nil, nil},
	{"_INBOX_P_cli.x", nil, nil},
	{"_INBOX_P_web.x", nil, nil},
	{"_R_.x", nil, nil},
	{"$SRV.PING", nil, nil},
	{"$SRV.INFO.P_db", []bus.Role{bot, cli}, []bus.Role{bot, cli}},
	{"$SRV.INFO", nil, nil},
	{"$SRV.PING.P_movies_dice", []bus.Role{bot, cli}, []bus.Role{bot, cli}},
	{"$SRV.PING.P_movies_dice.x", nil, nil},
	{"$SRV.STATS.P_movies_dice", nil, nil},
	{"$SYS.REQ.SERVER.PING", nil, nil},
	// The lock and acknowledgements.
	{"$KV.P_locks.leader", []bus.Role{bot}, []bus.Role{bot}},
	{"$KV.other.leader", nil, nil},
	{"$JS.ACK.P_events.P_db.1.1.1.1.0", []bus.Role{db}, []bus.Role{db}},
	{"$JS.ACK.P_events.other.1.1.1.1.0", nil, nil},
	// Streams.
	{"$JS.API.INFO", []bus.Role{bot}, []bus.Role{admin}},
	{"$JS.API.STREAM.NAMES", []bus.Role{bot, db}, []bus.Role{admin}},
	{"$JS.API.STREAM.LIST", nil, nil},
	{"$JS.API.STREAM.INFO.P_events", []bus.Role{bot, db}, []bus.Role{bot, db, admin}},
	{"$JS.API.STREAM.INFO.KV_P_locks", []bus.Role{bot}, []bus.Role{bot, admin}},
	{"$JS.API.STREAM.INFO.other", nil, nil},
	{"$JS.API.STREAM.CREATE.P_events", []bus.Role{bot, db}, []bus.Role{admin}},
	{"$JS.API.STREAM.UPDATE.P_events", []bus.Role{bot, db}, []bus.Role{admin}},
	{"$JS.API.STREAM.CREATE.KV_P_locks", []bus.Role{bot}, []bus.Role{admin}},
	{"$JS.API.STREAM.UPDATE.KV_P_locks", []bus.Role{bot}, []bus.Role{admin}},
	{"$JS.API.STREAM.CREATE.other", nil, nil},
	{"$JS.API.STREAM.DELETE.P_events", nil, []bus.Role{admin}},
	{"$JS.API.STREAM.DELETE.KV_P_locks", nil, []bus.Role{admin}},
	{"$JS.API.STREAM.PURGE.P_events", nil, nil},
	{"$JS.API.STREAM.PURGE.KV_P_locks", nil, nil},
	{"$JS.API.STREAM.MSG.GET.P_events", []bus.Role{db}, []bus.Role{db}},
	{"$JS.API.STREAM.MSG.GET.KV_P_locks", nil, []bus.Role{bot}},
	{"$JS.API.STREAM.MSG.DELETE.P_events", nil, nil},
	{"$JS.API.STREAM.MSG.DELETE.KV_P_locks", nil, nil},
	{"$JS.API.DIRECT.GET.P_events", nil, nil},
	{"$JS.API.DIRECT.GET.P_events.P.db.message.log", nil, nil},
	{"$JS.API.DIRECT.GET.KV_P_locks.$KV.P_locks.leader", []bus.Role{bot}, nil},
	{"$JS.API.STREAM.SNAPSHOT.P_events", nil, nil},
	{"$JS.API.STREAM.RESTORE.P_events", nil, nil},
	{"$JS.API.STREAM.PEER.REMOVE.P_events", nil, nil},
	{"$JS.API.STREAM.LEADER.STEPDOWN.P_events", nil, nil},
	// Consumers.
	{"$JS.API.CONSUMER.NAMES.P_events", nil, nil},
	{"$JS.API.CONSUMER.LIST.P_events", nil, nil},
	{"$JS.API.CONSUMER.INFO.P_events.P_db", []bus.Role{db}, []bus.Role{db, admin}},
	{"$JS.API.CONSUMER.CREATE.P_events", nil, nil},
	{"$JS.API.CONSUMER.CREATE.P_events.P_db", []bus.Role{db}, []bus.Role{admin}},
	{"$JS.API.CONSUMER.CREATE.P_events.other", nil, nil},
	{"$JS.API.CONSUMER.CREATE.P_events.other.P.db.message.log", nil, nil},
	{"$JS.API.CONSUMER.DURABLE.CREATE.P_events.P_db", nil, nil},
	{"$JS.API.CONSUMER.CREATE.KV_P_locks.any.$KV.P_locks.leader", []bus.Role{bot}, nil},
	{"$JS.API.CONSUMER.DELETE.P_events.P_db", nil, nil},
	{"$JS.API.CONSUMER.PAUSE.P_events.P_db", nil, nil},
	{"$JS.API.CONSUMER.UNPIN.P_events.P_db", nil, nil},
	{"$JS.API.CONSUMER.RESET.P_events.P_db", nil, nil},
	{"$JS.API.CONSUMER.LEADER.STEPDOWN.P_events.P_db", nil, nil},
	{"$JS.API.CONSUMER.MSG.NEXT.P_events.P_db", []bus.Role{db}, []bus.Role{db}},
	{"$JS.API.CONSUMER.MSG.NEXT.P_events.other", nil, nil},
}

// reaches publishes to a subject of victim's, and reports whether the message arrives in victim's account.
func (w *world) reaches(by *client, victim *side, subject string) bool {
	w.Helper()
	subject = victim.of(subject)
	arrived, err := victim.root.SubscribeSync(subject)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = arrived.Unsubscribe() }()
	victim.root.flush(w.T)
	if err := by.Publish(subject, []byte("forged")); err != nil {
		w.Fatal(err)
	}
	by.flush(w.T)
	victim.root.flush(w.T)
	got, _, err := arrived.Pending()
	if err != nil {
		w.Fatal(err)
	}
	return got > 0
}

// triesToRead checks that a client of alpha gets what is on alpha's subject if it may, and that the server refuses it
// otherwise.
func (w *world) triesToRead(by *client, subject, queue string, may bool) {
	w.Helper()
	what := fmt.Sprintf("subscribing to %q, queue group %q", subject, queue)
	before := len(by.denied())
	switch got := w.listens(by, w.alpha, subject, queue); {
	case may && got == 0:
		w.Errorf("%s: %s gets nothing", what, by.name)
	case !may && got > 0:
		w.Errorf("%s: %s reads %d messages", what, by.name, got)
	case !may:
		by.eventuallyDenied(w.T, what, before)
	}
}

// triesToWrite is triesToRead for publishing.
func (w *world) triesToWrite(by *client, subject string, may bool) {
	w.Helper()
	what := "publishing to " + subject
	before := len(by.denied())
	switch arrives := w.reaches(by, w.alpha, subject); {
	case may && !arrives:
		w.Errorf("%s: %s cannot", what, by.name)
	case !may && arrives:
		w.Errorf("%s: %s can", what, by.name)
	case !may:
		by.eventuallyDenied(w.T, what, before)
	}
}

// eachSetUp runs a test for both kinds of configuration, with and without an administrator's stream.
func eachSetUp(t *testing.T, test func(w *world)) {
	for _, target := range []natsauth.Target{natsauth.ServerConfTarget, natsauth.JWTTarget} {
		for _, manual := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, manual=%t", target, manual), func(t *testing.T) {
				t.Parallel()
				test(newWorld(t, target, manual))
			})
		}
	}
}

// TestUsersReadOnlyWhatIsTheirs lets every user of both accounts, and somebody who may do everything in the other
// account, subscribe to what is the side's.
func TestUsersReadOnlyWhatIsTheirs(t *testing.T) {
	eachSetUp(t, func(w *world) {
		for _, try := range subscriptions {
			what := fmt.Sprintf("subscribing to %q, queue group %q", try.subject, try.queue)
			if w.listens(w.alpha.root, w.alpha, try.subject, try.queue) == 0 {
				w.Errorf("%s: nothing to be read, so the test shows nothing", what)
			}
			if got := w.listens(w.beta.root, w.alpha, try.subject, try.queue); got != 0 {
				w.Errorf("%s: %s reads %d messages of another account", what, w.beta.root.name, got)
			}
			for role, by := range w.alpha.clients {
				w.triesToRead(by, try.subject, try.queue, slices.Contains(try.may, role))
			}
			for _, by := range w.beta.clients {
				if got := w.listens(by, w.alpha, try.subject, try.queue); got != 0 {
					w.Errorf("%s: %s reads %d messages of another account", what, by.name, got)
				}
			}
		}
	})
}

// TestUsersWriteOnlyWhatIsTheirs is the same for publishing.
func TestUsersWriteOnlyWhatIsTheirs(t *testing.T) {
	eachSetUp(t, func(w *world) {
		for _, try := range publications {
			what := "publishing to " + try.subject
			allowed := try.automatic
			if w.manual {
				allowed = try.manual
			}
			if !w.reaches(w.alpha.root, w.alpha, try.subject) {
				w.Errorf("%s: it never arrives, so the test shows nothing", what)
			}
			for role, by := range w.alpha.clients {
				w.triesToWrite(by, try.subject, slices.Contains(allowed, role))
			}
			for _, by := range append([]*client{w.beta.root}, values(w.beta.clients)...) {
				if w.reaches(by, w.alpha, try.subject) {
					w.Errorf("%s: it arrives from %s in another account", what, by.name)
				}
			}
		}
	})
}

func values(clients map[bus.Role]*client) (all []*client) {
	for _, c := range clients {
		all = append(all, c)
	}
	return all
}

// TestServiceRepliesOnceToWhoHasAsked: no second reply, and none to somebody else's inbox.
func TestServiceRepliesOnceToWhoHasAsked(t *testing.T) {
	eachSetUp(t, func(w *world) {
		s := w.alpha
		service := s.clients[db]
		_, err := service.QueueSubscribe(s.of("P.db.messages.outbound.get"), s.of("P_db"), func(m *nats.Msg) {
			_ = m.Respond([]byte("first"))
			_ = m.Respond([]byte("second"))
		})
		if err != nil {
			w.Fatal(err)
		}
		service.flush(w.T)
		before := len(service.denied())
		reply, err := s.clients[bot].Request(s.of("P.db.messages.outbound.get"), nil, 5*time.Second)
		if err != nil || string(reply.Data) != "first" {
			w.Fatalf("%v, %v", reply, err)
		}
		service.eventuallyDenied(w.T, "a second reply", before)
		// With the inbox that it has learnt of, it can send nothing more either.
		before = len(service.denied())
		if err := service.Publish(reply.Subject, []byte("forged")); err != nil {
			w.Fatal(err)
		}
		service.eventuallyDenied(w.T, "a forged reply", before)
	})
}
