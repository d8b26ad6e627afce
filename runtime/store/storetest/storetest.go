package storetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/store"
)

// storeTest is a test of one store.
type storeTest struct {
	*testing.T
	store.Store
}

var (
	movies = store.Channel{Server: "https://cytu.be", Name: "Movies"}
	music  = store.Channel{Server: "https://cytu.be", Name: "Music"}
	other  = store.Channel{Server: "https://other.example", Name: "Movies"}
)

// unlimited is a limit above the number of rows of any test.
const unlimited = 1 << 30

// at returns a time, n seconds after the start of the test's events.
func at(n float64) time.Time { return time.UnixMilli(1763700000000 + int64(n*1000)).UTC() }

// event returns an event in movies whose ID sorts by time.
func event(n float64, fact store.Fact) store.Event {
	return store.Event{ID: fmt.Sprintf("%012x-%v", at(n).UnixMilli(), fact), Channel: movies, At: at(n), Fact: fact}
}

// field returns a status with one field.
func field(name string, value any) store.Status {
	return store.Status{Fields: map[string]json.RawMessage{name: json.RawMessage(fmt.Sprint(value))}}
}

// must fails the test if a call of the store returned an error.
func must[T any](t storeTest) func(result T, err error) T {
	t.Helper()
	return func(result T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
}

func same[T any](t storeTest, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (t storeTest) apply(events ...store.Event) {
	t.Helper()
	if err := t.Apply(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

// rows is everything that can be read of a channel, except keys.
type rows struct {
	Chat    []store.RecentLine
	Top     []store.Chatter
	Users   []store.User
	Maxima  store.Maxima
	Counts  []store.CountSample
	Status  map[string]json.RawMessage
	Actions []store.PastAction
	Due     []store.OutboundMessage
	Plays   []store.Play
	Hours   map[string][]store.HourCount
	Lines   []store.OutboundRow
}

func (t storeTest) read(channel store.Channel) rows {
	t.Helper()
	ctx := t.Context()
	return rows{
		Chat:    must[[]store.RecentLine](t)(t.RecentChat(ctx, channel, unlimited)),
		Top:     must[[]store.Chatter](t)(t.TopChatters(ctx, channel, unlimited)),
		Users:   must[[]store.User](t)(t.Users(ctx, channel)),
		Maxima:  must[store.Maxima](t)(t.HighWater(ctx, channel)),
		Counts:  must[[]store.CountSample](t)(t.UserCounts(ctx, channel, unlimited)),
		Status:  must[map[string]json.RawMessage](t)(t.Status(ctx, channel)),
		Actions: must[[]store.PastAction](t)(t.Actions(ctx, channel, unlimited)),
		Due:     t.outbound(channel, store.OutboundQuery{Limit: unlimited, MaxRetries: unlimited, Now: at(0)}),
		Plays:   t.plays(channel),
		Hours:   t.hours(channel, "alice", "bob", "carol"),
		Lines: must[[]store.OutboundRow](t)(t.OutboundLines(ctx, channel,
			store.OutboundListQuery{Now: at(0), Limit: unlimited})),
	}
}

// plays returns all plays, with the IDs before in has changed them.
func (t storeTest) plays(channel store.Channel) []store.Play {
	t.Helper()
	plays := must[[]store.Play](t)(t.Plays(t.Context(), channel, store.PlayQuery{Limit: unlimited}))
	for i, play := range plays {
		plays[i].EventID, _, _ = strings.Cut(play.EventID, "/")
	}
	return plays
}

// hours returns the hours of users.
func (t storeTest) hours(channel store.Channel, names ...string) map[string][]store.HourCount {
	t.Helper()
	hours := map[string][]store.HourCount{}
	for _, name := range names {
		hours[name] = must[[]store.HourCount](t)(t.ChatHours(t.Context(), channel, name, store.Span{}))
	}
	return hours
}

// busiestDay returns the zero value if there is none.
func (t storeTest) busiestDay(channel store.Channel, ahead time.Duration) store.HourCount {
	t.Helper()
	day, _ := store.BusiestDay(must[[]store.HourCount](t)(t.ChannelHours(t.Context(), channel, "", "")), ahead)
	return day
}

// in returns the events as events of another channel, with other IDs.
func in(channel store.Channel, events []store.Event) []store.Event {
	moved := make([]store.Event, 0, len(events))
	for _, event := range events {
		event.ID, event.Channel = event.ID+"/"+channel.Name, channel
		moved = append(moved, event)
	}
	return moved
}

// randomEvents returns events of a few minutes. There are few different times, names and values, so that events meet.
func randomEvents(random *rand.Rand) (events []store.Event) {
	names := []string{"alice", "Alice", "bob", "BOB", "carol"}
	for i := range 20 + random.IntN(20) {
		name := names[random.IntN(len(names))]
		count := random.IntN(4)
		var fact store.Fact
		switch random.IntN(8) {
		case 0:
			fact = store.UserJoined{Username: name}
		case 1:
			fact = store.UserLeft{Username: name}
		case 2:
			fact = store.ChatLine{Username: name, Text: fmt.Sprint(i)}
		case 3:
			fact = store.UserCount{Chat: count, Connected: count + 1}
		case 4:
			fact = store.HighWater{Chat: count, Connected: new(random.IntN(4))}
		case 5:
			fact = field([]string{"playlist_items", "bot_rank"}[i%2], count)
		case 6:
			fact = store.Action{Username: name, Type: store.ActionPMCommand, Details: fmt.Sprint(count)}
		case 7:
			media := store.MediaPlayed{
				Type: "yt", ID: fmt.Sprint(count % 2), Title: fmt.Sprint(i), QueuedBy: []string{"", name}[i%2],
			}
			if i%3 == 0 {
				media.Found = at(float64(70 * count))
			}
			fact = media
		}
		when := at(float64(70*random.IntN(4) + random.IntN(4)))
		events = append(events, store.Event{ID: fmt.Sprintf("%012x-%04x", when.UnixMilli(), i), At: when, Fact: fact})
	}
	return events
}

func (t storeTest) enqueue(channel store.Channel, n float64, text string) int64 {
	t.Helper()
	return must[int64](t)(t.Enqueue(t.Context(), channel, store.OutboundLine{Text: text, At: at(n)}))
}

func (t storeTest) reportSent(id int64, n float64) {
	t.Helper()
	t.apply(event(n, store.OutboundSent{ID: id}))
}

func (t storeTest) reportFailed(n float64, failure store.OutboundFailed) {
	t.Helper()
	t.apply(event(n, failure))
}

func (t storeTest) outbound(channel store.Channel, query store.OutboundQuery) []store.OutboundMessage {
	t.Helper()
	return must[[]store.OutboundMessage](t)(t.Outbound(t.Context(), channel, query))
}

func (t storeTest) addDeadLetters(deadLetters ...store.DeadLetter) {
	t.Helper()
	must[int64](t)(t.AddDeadLetters(t.Context(), deadLetters, store.DeadLetterQuota{}))
}

func (t storeTest) deadLetters(after int64, limit int) []store.DeadLetter {
	t.Helper()
	return must[[]store.DeadLetter](t)(t.DeadLetters(t.Context(), "", after, limit))
}

// set stores a value that expires; 0 means never.
func (t storeTest) set(key store.KVKey, value string, n, expires float64) {
	t.Helper()
	entry := store.KVEntry{KVKey: key, Value: value, At: at(n)}
	if expires != 0 {
		entry.Expires = at(expires)
	}
	must[int64](t)(t.KVSet(t.Context(), entry))
}

// get returns "-" for a key that does not exist.
func (t storeTest) get(key store.KVKey, n float64) string {
	t.Helper()
	return t.value(key, n).Value
}

// value returns "-" as the value of a key that does not exist.
func (t storeTest) value(key store.KVKey, n float64) store.KVValue {
	t.Helper()
	value, exists, err := t.KVGet(t.Context(), key, at(n))
	if err != nil {
		t.Fatal(err)
	}
	if !exists {
		value.Value = "-" + value.Value
	}
	return value
}

var fillChannels = []store.Channel{movies, music, other}

// Fill stores rows of every kind in several channels: random events of a seed, outbound messages in every state, keys,
// dead letters and imported totals.
func Fill(t *testing.T, target store.Importer, seed uint64) {
	t.Helper()
	s := storeTest{t, target}
	for i, channel := range fillChannels {
		events := in(channel, randomEvents(rand.New(rand.NewPCG(seed, uint64(i)))))
		for j := range events {
			events[j].ID += channel.Server
		}
		s.apply(events...)
		s.fillOutbound(channel)
		s.set(store.KVKey{Channel: channel, Plugin: "dice", Key: "best"}, fmt.Sprintf(`{"n": %d}`, i), 0, 0)
		s.set(store.KVKey{Channel: channel, Plugin: "dice", Key: "ü"}, `"expires"`, 0, 1000)
		imported := []store.ImportedUser{{
			Username: "Alice", FirstSeen: at(-100), LastSeen: at(-50), Lines: 7, Twice: 2, Connected: 90e9,
		}}
		if err := target.ImportUsers(t.Context(), channel, imported); err != nil {
			t.Fatal(err)
		}
	}
	s.addDeadLetters(
		store.NewDeadLetter("db.message.log", "a/db.message.log", "not JSON", []byte("{\x00\xff"), at(1)),
		store.NewDeadLetter("db.user.left", "", "empty", nil, at(2)),
	)
}

var lineWithClientID = store.OutboundLine{Text: "with client ID", ClientID: "client", At: at(8)}

func (t storeTest) fillOutbound(channel store.Channel) {
	t.Helper()
	t.enqueue(channel, 1, "queued")
	t.reportSent(t.enqueue(channel, 2, "sent"), 3)
	t.reportFailed(5, store.OutboundFailed{ID: t.enqueue(channel, 4, "failed"), Error: "muted"})
	abandoned := t.enqueue(channel, 6, "abandoned")
	t.reportFailed(7, store.OutboundFailed{ID: abandoned, Error: "banned", Permanent: true})
	must[int64](t)(t.Enqueue(t.Context(), channel, lineWithClientID))
}

// Same compares the identities of two stores, and everything that can be read of the rows that Fill stored.
func Same(t *testing.T, wantStore, gotStore store.Store) {
	t.Helper()
	ctx, want, got := t.Context(), storeTest{t, wantStore}, storeTest{t, gotStore}
	same(want, "identity", must[string](want)(want.Identity(ctx)), must[string](got)(got.Identity(ctx)))
	for _, channel := range fillChannels {
		same(want, channel.Server+" "+channel.Name, want.read(channel), got.read(channel))
		for _, name := range []string{"best", "ü"} {
			for _, now := range []float64{1, 2000} {
				key := store.KVKey{Channel: channel, Plugin: "dice", Key: name}
				same(want, "key "+name, want.value(key, now), got.value(key, now))
			}
		}
		same(want, "ID of the line with a client ID", must[int64](want)(want.Enqueue(ctx, channel, lineWithClientID)),
			must[int64](got)(got.Enqueue(ctx, channel, lineWithClientID)))
	}
	same(want, "dead letters", want.deadLetters(0, unlimited), got.deadLetters(0, unlimited))
}
