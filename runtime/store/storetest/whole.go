package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"rosey.dev/rosey/runtime/store"
)

var wholeChannels = []store.Channel{
	movies, {Server: "https://cytu.be", Name: "Music"}, {Server: "https://other.example", Name: "Movies"},
}

// Fill stores something of every kind in several channels: evenings of a seed, lines to be said in every
// state, keys, dead letters and imported totals.
func Fill(t *testing.T, s store.Importer, seed uint64) {
	t.Helper()
	for i, channel := range wholeChannels {
		events := in(channel, evening(rand.New(rand.NewPCG(seed, uint64(i)))))
		for j := range events {
			events[j].ID += channel.Server
		}
		apply(t, s, events...)
		fillOutbound(t, s, channel)
		set(t, s, store.KVKey{Channel: channel, Plugin: "dice", Key: "best"}, fmt.Sprintf(`{"n": %d}`, i), 0, 0)
		set(t, s, store.KVKey{Channel: channel, Plugin: "dice", Key: "ü"}, `"gone later"`, 0, 1000)
		imported := []store.ImportedUser{{
			Username: "Alice", FirstSeen: clock(-100), LastSeen: clock(-50), Lines: 7, Twice: 2, Connected: 90e9,
		}}
		if err := s.ImportUsers(t.Context(), channel, imported); err != nil {
			t.Fatal(err)
		}
	}
	letters := []store.DeadLetter{
		store.NewDeadLetter("db.message.log", "a/db.message.log", "not JSON", []byte("{\x00\xff"), clock(1)),
		store.NewDeadLetter("db.user.left", "", "empty", nil, clock(2)),
	}
	if err := s.AddDeadLetters(t.Context(), letters); err != nil {
		t.Fatal(err)
	}
}

func fillOutbound(t *testing.T, s store.Store, channel store.Channel) {
	t.Helper()
	enqueue(t, s, channel, 1, "waits")
	reportSent(t, s, enqueue(t, s, channel, 2, "sent"), 3)
	failed := enqueue(t, s, channel, 4, "failed")
	reportFailed(t, s, 5, store.OutboundFailed{ID: failed, Error: "muted"})
	abandoned := enqueue(t, s, channel, 6, "abandoned")
	reportFailed(t, s, 7, store.OutboundFailed{ID: abandoned, Error: "banned", Permanent: true})
	line := store.OutboundLine{Text: "by id", ClientID: "client", At: clock(8)}
	must[int64](t)(s.Enqueue(t.Context(), channel, line))
}

// Same compares everything that two stores say of what Fill stored, and which database they are.
func Same(t *testing.T, want, got store.Store) {
	t.Helper()
	ctx := t.Context()
	same(t, "identity", must[string](t)(want.Identity(ctx)), must[string](t)(got.Identity(ctx)))
	for _, channel := range wholeChannels {
		same(t, channel.Server+" "+channel.Name, read(t, want, channel), read(t, got, channel))
		for _, now := range []float64{1, 2000} {
			for _, name := range []string{"best", "ü"} {
				k := store.KVKey{Channel: channel, Plugin: "dice", Key: name}
				value, exists, err := want.KVGet(ctx, k, clock(now))
				other, there, otherErr := got.KVGet(ctx, k, clock(now))
				same(t, "key "+name, fmt.Sprint(value, exists, err), fmt.Sprint(other, there, otherErr))
			}
		}
		// A line that is put again is the line that is there, in both.
		line := store.OutboundLine{Text: "by id", ClientID: "client", At: clock(9)}
		same(t, "line of a client id", must[int64](t)(want.Enqueue(ctx, channel, line)),
			must[int64](t)(got.Enqueue(ctx, channel, line)))
	}
	same(t, "dead letters", must[[]store.DeadLetter](t)(want.DeadLetters(ctx, 0, all)),
		must[[]store.DeadLetter](t)(got.DeadLetters(ctx, 0, all)))
}
