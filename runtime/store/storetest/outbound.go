package storetest

import (
	"fmt"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
)

func enqueue(t *testing.T, s store.Store, channel store.Channel, at float64, text string) int64 {
	t.Helper()
	return must[int64](t)(s.Enqueue(t.Context(), channel, store.OutboundLine{Text: text, At: clock(at)}))
}

func markSent(t *testing.T, s store.Store, id int64, at float64) {
	t.Helper()
	if err := s.MarkSent(t.Context(), id, clock(at)); err != nil {
		t.Fatal(err)
	}
}

func markFailed(t *testing.T, s store.Store, failure store.OutboundFailure) {
	t.Helper()
	if err := s.MarkFailed(t.Context(), failure); err != nil {
		t.Fatal(err)
	}
}

// ask answers what a claimant gets at a moment. The order matters.
func ask(t *testing.T, s store.Store, claimant string, at float64, limit int) []store.OutboundMessage {
	t.Helper()
	return must[[]store.OutboundMessage](t)(s.Outbound(t.Context(), movies, store.OutboundQuery{
		Limit: limit, MaxRetries: store.MaxAttempts, Claimant: claimant, Now: clock(at),
	}))
}

func saying(messages []store.OutboundMessage) (texts []string) {
	for _, message := range messages {
		texts = append(texts, message.Text)
	}
	return texts
}

func outbound(t *testing.T, s store.Store) {
	// Enqueued in another order than they are due.
	second := enqueue(t, s, movies, 20, "second")
	first := enqueue(t, s, movies, 10, "first")
	third := enqueue(t, s, movies, 20, "third")
	waiting := func(limit, maxRetries int) []string {
		return saying(must[[]store.OutboundMessage](t)(s.Outbound(t.Context(), movies, store.OutboundQuery{
			Limit: limit, MaxRetries: maxRetries, Now: clock(30),
		})))
	}

	same(t, "oldest first", []string{"first", "second", "third"}, waiting(50, 3))
	same(t, "asking again, since asking takes nothing", []string{"first", "second", "third"}, waiting(50, 3))
	same(t, "limit 2", []string{"first", "second"}, waiting(2, 3))
	same(t, "limit 0", nil, waiting(0, 3))
	same(t, "limit -1", nil, waiting(-1, 3))
	same(t, "no retries allowed", nil, waiting(50, 0))
	same(t, "a whole message", []store.OutboundMessage{{ID: first, EnqueuedAt: clock(10), Text: "first"}},
		ask(t, s, "", 30, 1))

	markSent(t, s, first, 31)
	markSent(t, s, first, 32) // said twice, it is still sent
	same(t, "one sent", []string{"second", "third"}, waiting(50, 3))
	markSent(t, s, third, 32)
	same(t, "two sent", []string{"second"}, waiting(50, 3))
	if next := enqueue(t, s, movies, 40, "fourth"); next <= max(first, second, third) {
		t.Errorf("id %d was given before", next)
	}
}

func outboundChannels(t *testing.T, s store.Store) {
	music := store.Channel{Server: movies.Server, Name: "Music"}
	for _, channel := range []store.Channel{movies, music} {
		enqueue(t, s, channel, 1, channel.Name)
	}
	for _, channel := range []store.Channel{movies, music} {
		got := must[[]store.OutboundMessage](t)(s.Outbound(t.Context(), channel, store.OutboundQuery{
			Limit: 50, MaxRetries: 3, Now: clock(2), Claimant: "a",
		}))
		same(t, channel.Name, []string{channel.Name}, saying(got))
	}
}

func outboundClientIDs(t *testing.T, s store.Store) {
	put := func(channel store.Channel, clientID string) int64 {
		t.Helper()
		return must[int64](t)(s.Enqueue(t.Context(), channel, store.OutboundLine{
			Text: "hi", ClientID: clientID, At: clock(1),
		}))
	}
	first := put(movies, "a")
	same(t, "the same line again", first, put(movies, "a"))
	if other := put(movies, "b"); other == first {
		t.Error("another client id is the same line")
	}
	if other := put(store.Channel{Server: movies.Server, Name: "Music"}, "a"); other == first {
		t.Error("another channel's is the same line")
	}
	put(movies, "")
	put(movies, "")
	markSent(t, s, first, 2)
	same(t, "a repetition after it was sent", first, put(movies, "a"))
	same(t, "what is left to say", []string{"hi", "hi", "hi"}, saying(ask(t, s, "", 3, all)))
}

func outboundClaims(t *testing.T, s store.Store) {
	for i := range 3 {
		enqueue(t, s, movies, float64(i), fmt.Sprint(i))
	}
	lease := store.OutboundLease.Seconds()
	same(t, "a claims", []string{"0", "1"}, saying(ask(t, s, "a", 10, 2)))
	same(t, "b gets the rest", []string{"2"}, saying(ask(t, s, "b", 11, 9)))
	same(t, "who claims nothing sees nothing", nil, saying(ask(t, s, "", 12, 9)))
	same(t, "a asks again, having heard no answer", []string{"0", "1"}, saying(ask(t, s, "a", 10+lease-1, 9)))
	same(t, "b's lease ends", []string{"2"}, saying(ask(t, s, "c", 11+lease, 9)))
	same(t, "a's was renewed", nil, saying(ask(t, s, "b", 10+lease+1, 9)))
	same(t, "a's ends too, and everybody sees it", []string{"0", "1"}, saying(ask(t, s, "", 10+2*lease-1, 9)))
	same(t, "that took nothing", []string{"0", "1"}, saying(ask(t, s, "b", 10+2*lease, 9)))
}

// Who gets a line that somebody had before learns since when, until something is said of it.
func outboundClaimedBefore(t *testing.T, s store.Store) {
	id := enqueue(t, s, movies, 0, "hi")
	since := func(claimant string, at float64) time.Time {
		t.Helper()
		return ask(t, s, claimant, at, 1)[0].ClaimedSince
	}
	same(t, "who takes nothing has not claimed it", time.Time{}, since("", 5))
	same(t, "the first to have it", time.Time{}, since("a", 10))
	same(t, "a again, having heard no answer or started anew", clock(10), since("a", 11))
	same(t, "b, when a's lease has ended", clock(10), since("b", 200))
	markFailed(t, s, store.OutboundFailure{ID: id, Claimant: "a", At: clock(201)})
	same(t, "of no account from a, who lost it", clock(10), since("b", 202))
	markFailed(t, s, store.OutboundFailure{ID: id, Claimant: "b", At: clock(203)})
	same(t, "something was said of it", time.Time{}, since("b", 400))
	same(t, "claimed anew", clock(400), since("b", 401))
}

func outboundBackOff(t *testing.T, s store.Store) {
	id := enqueue(t, s, movies, 0, "hi")
	enqueue(t, s, movies, 1, "behind it")
	due := func(at float64) bool {
		got := ask(t, s, "", at, all)
		same(t, "the other is never in its way", "behind it", got[len(got)-1].Text)
		return len(got) == 2
	}
	at := 100.0
	for failures, minutes := range []float64{2, 4, 8} {
		got := ask(t, s, "a", at, 1)
		same(t, "the count of failures", failures, got[0].RetryCount)
		markFailed(t, s, store.OutboundFailure{ID: id, Error: fmt.Sprint("flood ", failures), At: clock(at)})
		if due(at+60*minutes-0.001) || !due(at+60*minutes) {
			t.Errorf("after failure %d it is not due after %v minutes", failures, minutes)
		}
		at += 60 * minutes
		same(t, "the last error", fmt.Sprint("flood ", failures), ask(t, s, "", at, 1)[0].LastError)
		same(t, "fewer retries allowed", []string{"behind it"},
			saying(must[[]store.OutboundMessage](t)(s.Outbound(t.Context(), movies, store.OutboundQuery{
				Limit: all, MaxRetries: failures + 1, Now: clock(at),
			}))))
	}
	markFailed(t, s, store.OutboundFailure{ID: id, Error: "flood", At: clock(at)})
	got := must[[]store.OutboundMessage](t)(s.Outbound(t.Context(), movies, store.OutboundQuery{
		Limit: all, MaxRetries: all, Now: clock(at + 1e6),
	}))
	same(t, "abandoned for good", []string{"behind it"}, saying(got))
}

func outboundFailures(t *testing.T, s store.Store) {
	due := func(id int64, at float64) (retryCount int) {
		for _, message := range ask(t, s, "", at, all) {
			if message.ID == id {
				return message.RetryCount
			}
		}
		return -1
	}
	permanent := enqueue(t, s, movies, 0, "permanent")
	markFailed(t, s, store.OutboundFailure{ID: permanent, Error: "muted", Permanent: true, At: clock(1)})
	same(t, "permanent: never again", -1, due(permanent, 1e6))

	told := enqueue(t, s, movies, 0, "told twice")
	for range 3 {
		markFailed(t, s, store.OutboundFailure{ID: told, RetryCount: new(0), At: clock(2)})
	}
	same(t, "a failure told again counts once", 1, due(told, 122))

	sent := enqueue(t, s, movies, 0, "sent")
	markSent(t, s, sent, 3)
	markFailed(t, s, store.OutboundFailure{ID: sent, At: clock(4)})
	same(t, "sent stays sent", -1, due(sent, 1e6))
	markSent(t, s, permanent, 5) // its echo came late
	markFailed(t, s, store.OutboundFailure{ID: permanent, At: clock(6)})
	same(t, "sent after all", -1, due(permanent, 1e6))

	stolen := enqueue(t, s, movies, 1e5, "stolen")
	ask(t, s, "a", 1e5+1, all)
	ask(t, s, "b", 1e5+200, all)
	markFailed(t, s, store.OutboundFailure{ID: stolen, Claimant: "a", At: clock(1e5 + 201)})
	same(t, "a lost its lease to b", []string{"stolen"}, only("stolen", saying(ask(t, s, "b", 1e5+202, all))))
	markFailed(t, s, store.OutboundFailure{ID: stolen, Claimant: "b", At: clock(1e5 + 203)})
	same(t, "b's counts", 1, due(stolen, 1e5+203+120))
	markFailed(t, s, store.OutboundFailure{ID: 4711, At: clock(1)})
}

func only(one string, texts []string) (found []string) {
	for _, text := range texts {
		if text == one {
			found = append(found, text)
		}
	}
	return found
}

// A client that cannot send and never says so asks for the same messages again and again.
func outboundStuck(t *testing.T, s store.Store) {
	a := enqueue(t, s, movies, 0, "a")
	enqueue(t, s, movies, 0, "b")
	enqueue(t, s, movies, 1, "good")
	for i := range store.MaxOffers {
		same(t, "in turn", []string{"a", "b"}, saying(ask(t, s, "", float64(10+i), 2)))
	}
	same(t, "the stuck ones let others go first", []string{"good", "a"}, saying(ask(t, s, "", 20, 2)))
	same(t, "all", []string{"good", "a", "b"}, saying(ask(t, s, "", 20, 3)))
	markFailed(t, s, store.OutboundFailure{ID: a, At: clock(20)})
	same(t, "of one something was said", []string{"a", "good", "b"}, saying(ask(t, s, "", 140, 3)))
}
