package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
)

func enqueue(t *testing.T, s store.Store, channel store.Channel, at float64, text string) int64 {
	t.Helper()
	return must[int64](t)(s.Enqueue(t.Context(), channel, store.OutboundLine{Text: text, At: clock(at)}))
}

func reportSent(t *testing.T, s store.Store, id int64, at float64) {
	t.Helper()
	apply(t, s, happened(at, store.OutboundSent{ID: id}))
}

func reportFailed(t *testing.T, s store.Store, at float64, failure store.OutboundFailed) {
	t.Helper()
	apply(t, s, happened(at, failure))
}

// ask returns what a claimant gets at a moment, in order.
func ask(t *testing.T, s store.Store, claimant string, at float64, limit int) []store.OutboundMessage {
	t.Helper()
	return must[[]store.OutboundMessage](t)(s.Outbound(t.Context(), movies, store.OutboundQuery{
		Limit: limit, MaxRetries: store.MaxAttempts, Claimant: claimant, Now: clock(at),
	}))
}

func outboundTexts(messages []store.OutboundMessage) (texts []string) {
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
		return outboundTexts(must[[]store.OutboundMessage](t)(s.Outbound(t.Context(), movies, store.OutboundQuery{
			Limit: limit, MaxRetries: maxRetries, Now: clock(30),
		})))
	}

	same(t, "oldest first", []string{"first", "second", "third"}, waiting(50, 3))
	same(t, "asking again without a claimant", []string{"first", "second", "third"}, waiting(50, 3))
	same(t, "limit 2", []string{"first", "second"}, waiting(2, 3))
	same(t, "limit 0", nil, waiting(0, 3))
	same(t, "limit -1", nil, waiting(-1, 3))
	same(t, "no retries allowed", nil, waiting(50, 0))
	same(t, "a whole message", []store.OutboundMessage{{ID: first, EnqueuedAt: clock(10), Text: "first"}},
		ask(t, s, "", 30, 1))

	reportSent(t, s, first, 31)
	reportSent(t, s, first, 32)
	same(t, "one sent", []string{"second", "third"}, waiting(50, 3))
	reportSent(t, s, third, 32)
	same(t, "two sent", []string{"second"}, waiting(50, 3))
	if next := enqueue(t, s, movies, 40, "fourth"); next <= max(first, second, third) {
		t.Errorf("id %d was assigned before", next)
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
		same(t, channel.Name, []string{channel.Name}, outboundTexts(got))
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
	reportSent(t, s, first, 2)
	same(t, "a repetition after it was sent", first, put(movies, "a"))
	same(t, "what is left to send", []string{"hi", "hi", "hi"}, outboundTexts(ask(t, s, "", 3, all)))
}

func outboundClaims(t *testing.T, s store.Store) {
	for i := range 3 {
		enqueue(t, s, movies, float64(i), fmt.Sprint(i))
	}
	lease := store.OutboundLease.Seconds()
	same(t, "a claims", []string{"0", "1"}, outboundTexts(ask(t, s, "a", 10, 2)))
	same(t, "b gets the rest", []string{"2"}, outboundTexts(ask(t, s, "b", 11, 9)))
	same(t, "without a claimant", nil, outboundTexts(ask(t, s, "", 12, 9)))
	same(t, "a asks again, its reply was lost", []string{"0", "1"}, outboundTexts(ask(t, s, "a", 10+lease-1, 9)))
	same(t, "b's claim ends", []string{"2"}, outboundTexts(ask(t, s, "c", 11+lease, 9)))
	same(t, "a's was renewed", nil, outboundTexts(ask(t, s, "b", 10+lease+1, 9)))
	same(t, "a's ends too", []string{"0", "1"}, outboundTexts(ask(t, s, "", 10+2*lease-1, 9)))
	same(t, "nobody claimed it", []string{"0", "1"}, outboundTexts(ask(t, s, "b", 10+2*lease, 9)))
}

// A claimant learns since when others may have sent the message, until an attempt is reported.
func outboundClaimedSince(t *testing.T, s store.Store) {
	id := enqueue(t, s, movies, 0, "hi")
	since := func(claimant string, at float64) time.Time {
		t.Helper()
		return ask(t, s, claimant, at, 1)[0].ClaimedSince
	}
	same(t, "without a claimant", time.Time{}, since("", 5))
	same(t, "the first claim", time.Time{}, since("a", 10))
	same(t, "a again, its reply was lost or it was restarted", clock(10), since("a", 11))
	same(t, "b, after a's claim has ended", clock(10), since("b", 200))
	reportFailed(t, s, 203, store.OutboundFailed{ID: id})
	same(t, "an attempt was reported", time.Time{}, since("b", 400))
	same(t, "claimed anew", clock(400), since("b", 401))
}

func outboundBackOff(t *testing.T, s store.Store) {
	id := enqueue(t, s, movies, 0, "hi")
	enqueue(t, s, movies, 1, "behind it")
	due := func(at float64) bool {
		got := ask(t, s, "", at, all)
		same(t, "the other message is never blocked", "behind it", got[len(got)-1].Text)
		return len(got) == 2
	}
	at := 100.0
	for failures, minutes := range []float64{2, 4, 8} {
		got := ask(t, s, "a", at, 1)
		same(t, "the count of failures", failures, got[0].RetryCount)
		text := fmt.Sprint("flood ", failures)
		reportFailed(t, s, at, store.OutboundFailed{ID: id, Attempts: failures, Error: text})
		if due(at+60*minutes-0.001) || !due(at+60*minutes) {
			t.Errorf("after failure %d it is not due after %v minutes", failures, minutes)
		}
		at += 60 * minutes
		same(t, "the last error", text, ask(t, s, "", at, 1)[0].LastError)
		same(t, "fewer retries allowed", []string{"behind it"},
			outboundTexts(must[[]store.OutboundMessage](t)(s.Outbound(t.Context(), movies, store.OutboundQuery{
				Limit: all, MaxRetries: failures + 1, Now: clock(at),
			}))))
	}
	reportFailed(t, s, at, store.OutboundFailed{ID: id, Attempts: 3, Error: "flood"})
	got := must[[]store.OutboundMessage](t)(s.Outbound(t.Context(), movies, store.OutboundQuery{
		Limit: all, MaxRetries: all, Now: clock(at + 1e6),
	}))
	same(t, "abandoned for good", []string{"behind it"}, outboundTexts(got))
}

func outboundFailures(t *testing.T, s store.Store) {
	// failures returns how many attempts failed, -1 if the message does not wait.
	failures := func(id int64, at float64) int {
		for _, message := range ask(t, s, "", at, all) {
			if message.ID == id {
				return message.RetryCount
			}
		}
		return -1
	}
	permanent := enqueue(t, s, movies, 0, "permanent")
	reportFailed(t, s, 1, store.OutboundFailed{ID: permanent, Error: "muted", Permanent: true})
	same(t, "permanent: never again", -1, failures(permanent, 1e6))

	repeated := enqueue(t, s, movies, 0, "repeated")
	for range 3 {
		reportFailed(t, s, 2, store.OutboundFailed{ID: repeated})
	}
	same(t, "a repeated report counts once", 1, failures(repeated, 122))

	sent := enqueue(t, s, movies, 0, "sent")
	reportSent(t, s, sent, 3)
	reportFailed(t, s, 4, store.OutboundFailed{ID: sent})
	same(t, "sent stays sent", -1, failures(sent, 1e6))
	reportSent(t, s, permanent, 5) // its echo came late
	reportFailed(t, s, 6, store.OutboundFailed{ID: permanent})
	same(t, "sent after all", -1, failures(permanent, 1e6))

	early := enqueue(t, s, movies, 0, "reports out of order")
	reportFailed(t, s, 500, store.OutboundFailed{ID: early, Attempts: 2, Error: "third"})
	reportFailed(t, s, 600, store.OutboundFailed{ID: early, Attempts: 1, Error: "second"})
	same(t, "the attempt with the highest number counts", -1, failures(early, 500+8*60-0.001))
	same(t, "with its time", 3, failures(early, 500+8*60))

	far := enqueue(t, s, movies, 0, "number out of range")
	reportFailed(t, s, 1, store.OutboundFailed{ID: far, Attempts: 1 << 40})
	same(t, "as the last attempt", -1, failures(far, 1e9))
	reportFailed(t, s, 1, store.OutboundFailed{ID: 4711})
}

// A restored database assigns the IDs of messages that were enqueued after the backup again.
func outboundOtherRow(t *testing.T, s store.Store) {
	id := enqueue(t, s, movies, 10.75, "new")
	other := clock(20)
	apply(t, s, happened(30, store.OutboundSent{ID: id, EnqueuedAt: other}),
		happened(30, store.OutboundFailed{ID: id, EnqueuedAt: other, Permanent: true}))
	want := store.OutboundMessage{ID: id, EnqueuedAt: clock(10.75), Text: "new"}
	same(t, "reports on another message", []store.OutboundMessage{want}, ask(t, s, "", 40, 1))
	wire := time.Unix(clock(10.75).Unix(), 0)
	reportFailed(t, s, 40, store.OutboundFailed{ID: id, EnqueuedAt: wire, Error: "flood"})
	want.RetryCount, want.LastError = 1, "flood"
	same(t, "a failure with the time in seconds", []store.OutboundMessage{want}, ask(t, s, "", 1000, 1))
	apply(t, s, happened(50, store.OutboundSent{ID: id, EnqueuedAt: wire}))
	same(t, "sent, with the time in seconds", nil, outboundTexts(ask(t, s, "", 1000, 1)))
}

// A report that is applied late or again must not end a claim that was made after the attempt: the new claimant may
// have sent the message, and whoever claims it next must learn that.
func outboundLateFailure(t *testing.T, s store.Store) {
	id := enqueue(t, s, movies, 0, "hi")
	ask(t, s, "a", 1, 1)
	failure := store.OutboundFailed{ID: id, Error: "flood"}
	reportFailed(t, s, 2, failure)
	same(t, "claimed after the back-off", []string{"hi"}, outboundTexts(ask(t, s, "b", 200, 1)))
	reportFailed(t, s, 2, failure)
	same(t, "still b's", nil, outboundTexts(ask(t, s, "c", 201, 1)))
	same(t, "since its claim", clock(200), ask(t, s, "b", 202, 1)[0].ClaimedSince)
	reportFailed(t, s, 199, store.OutboundFailed{ID: id, Attempts: 1})
	same(t, "still b's after the first report on another's attempt", nil, outboundTexts(ask(t, s, "c", 203, 1)))
	reportFailed(t, s, 204, store.OutboundFailed{ID: id, Attempts: 1})
	same(t, "b's claim ended with its attempt", time.Time{}, ask(t, s, "c", 500, 1)[0].ClaimedSince)
}

// A claimed message is not handed out to others while reports on it may be on their way.
func outboundUnappliedReports(t *testing.T, s store.Store) {
	until := func(at float64) func(context.Context) time.Time {
		return func(context.Context) time.Time { return clock(at) }
	}
	neverClaimed, both := []string{"never claimed"}, []string{"claimed", "never claimed"}
	for i, test := range []struct {
		why     string
		applied func(context.Context) time.Time
		want    []string
	}{
		{"a report within the claim may be on its way", until(69.999), neverClaimed},
		{"all reports within the claim are applied", until(70), both},
		{"all reports are applied", until(100), both},
		{"a time after now", until(200), both},
		{"no time", nil, both},
	} {
		channel := store.Channel{Server: movies.Server, Name: fmt.Sprint(i)}
		get := func(claimant string, now float64, applied func(context.Context) time.Time) []string {
			return outboundTexts(must[[]store.OutboundMessage](t)(s.Outbound(t.Context(), channel, store.OutboundQuery{
				Limit: all, MaxRetries: all, Claimant: claimant, Now: clock(now), AppliedUntil: applied,
			})))
		}
		enqueue(t, s, channel, 0, "claimed")
		get("a", 10, nil) // until 70
		enqueue(t, s, channel, 1, "never claimed")
		same(t, test.why, test.want, get("b", 100, test.applied))
	}
}

// A restarted bot has the name of the one before, and does not know what that one sent.
func outboundRestartedClaimant(t *testing.T, s store.Store) {
	enqueue(t, s, movies, 0, "hi")
	ask(t, s, "a", 10, 1)
	get := func(now, applied float64) []string {
		t.Helper()
		return outboundTexts(must[[]store.OutboundMessage](t)(s.Outbound(t.Context(), movies, store.OutboundQuery{
			Limit: 1, MaxRetries: all, Claimant: "a", Now: clock(now),
			AppliedUntil: func(context.Context) time.Time { return clock(applied) },
		})))
	}
	same(t, "its report may be on its way", nil, get(20, 19.999))
	same(t, "all reports are applied", []string{"hi"}, get(20, 20)) // until 80
	same(t, "the claim has ended, reports may be on their way", nil, get(100, 79))
	same(t, "all reports from the time of the claim are applied", []string{"hi"}, get(100, 80))
}

// A client that cannot send and never reports that asks for the same messages again and again.
func outboundStuck(t *testing.T, s store.Store) {
	a := enqueue(t, s, movies, 0, "a")
	enqueue(t, s, movies, 0, "b")
	enqueue(t, s, movies, 1, "good")
	for i := range store.MaxOffers {
		same(t, "in order", []string{"a", "b"}, outboundTexts(ask(t, s, "", float64(10+i), 2)))
	}
	same(t, "the stuck ones come last", []string{"good", "a"}, outboundTexts(ask(t, s, "", 20, 2)))
	same(t, "all", []string{"good", "a", "b"}, outboundTexts(ask(t, s, "", 20, 3)))
	reportFailed(t, s, 20, store.OutboundFailed{ID: a})
	same(t, "an attempt was reported", []string{"a", "good", "b"}, outboundTexts(ask(t, s, "", 140, 3)))
}
