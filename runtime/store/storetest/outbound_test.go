package storetest

import (
	"context"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// claim returns the messages of movies that are due at a time, and claims them unless claimant is empty.
func (t storeTest) claim(claimant string, n float64, limit int) []store.OutboundMessage {
	t.Helper()
	return t.outbound(movies, store.OutboundQuery{
		Limit: limit, MaxRetries: store.MaxAttempts, Claimant: claimant, Now: at(n),
	})
}

func outboundTexts(messages []store.OutboundMessage) (texts []string) {
	for _, message := range messages {
		texts = append(texts, message.Text)
	}
	return texts
}

func (t storeTest) claimTexts(claimant string, n float64, limit int) []string {
	t.Helper()
	return outboundTexts(t.claim(claimant, n, limit))
}

func outboundOrder(t storeTest) {
	second := t.enqueue(movies, 20, "second")
	first := t.enqueue(movies, 10, "first")
	third := t.enqueue(movies, 20, "third")
	due := func(limit, maxRetries int) []string {
		return outboundTexts(t.outbound(movies, store.OutboundQuery{Limit: limit, MaxRetries: maxRetries, Now: at(30)}))
	}
	for _, test := range []struct {
		limit, maxRetries int
		want              []string
	}{
		{50, 3, []string{"first", "second", "third"}},
		{50, 3, []string{"first", "second", "third"}}, // without a claimant nothing is claimed
		{2, 3, []string{"first", "second"}},
		{0, 3, nil},
		{-1, 3, nil},
		{50, 0, nil},
	} {
		same(t, fmt.Sprintf("limit %d, retries %d", test.limit, test.maxRetries), test.want, due(test.limit, test.maxRetries))
	}
	same(t, "all fields", []store.OutboundMessage{{ID: first, EnqueuedAt: at(10), Text: "first"}}, t.claim("", 30, 1))

	t.reportSent(first, 31)
	t.reportSent(first, 32)
	same(t, "one is sent", []string{"second", "third"}, due(50, 3))
	t.reportSent(third, 32)
	same(t, "two are sent", []string{"second"}, due(50, 3))
	if next := t.enqueue(movies, 40, "fourth"); next <= max(first, second, third) {
		t.Errorf("ID %d was assigned before", next)
	}
}

func outboundChannels(t storeTest) {
	for _, channel := range []store.Channel{movies, music} {
		t.enqueue(channel, 1, channel.Name)
	}
	for _, channel := range []store.Channel{movies, music} {
		got := t.outbound(channel, store.OutboundQuery{Limit: 50, MaxRetries: 3, Now: at(2), Claimant: "a"})
		same(t, channel.Name, []string{channel.Name}, outboundTexts(got))
	}
}

// outboundForeignReports tests that a report on a line that exists in another channel changes nothing.
func outboundForeignReports(t storeTest) {
	id := t.enqueue(movies, 1, "hi")
	before := t.read(movies)
	for _, channel := range []store.Channel{music, other, {Server: movies.Server, Name: "never seen"}} {
		for _, fact := range []store.Fact{
			store.OutboundSent{ID: id}, store.OutboundFailed{ID: id, Permanent: true, Error: "banned"},
		} {
			report := event(2, fact)
			report.Channel = channel
			t.apply(report)
		}
	}
	same(t, "the line", before, t.read(movies))
	t.reportSent(id, 3)
	same(t, "after a report of its channel", nil, t.claimTexts("", 4, unlimited))
}

func outboundClientIDs(t storeTest) {
	put := func(channel store.Channel, clientID string) int64 {
		t.Helper()
		line := store.OutboundLine{Text: "hi", ClientID: clientID, At: at(1)}
		return must[int64](t)(t.Enqueue(t.Context(), channel, line))
	}
	first := put(movies, "a")
	same(t, "the same client ID", first, put(movies, "a"))
	if put(movies, "b") == first {
		t.Error("another client ID returned the same message")
	}
	if put(music, "a") == first {
		t.Error("the client ID in another channel returned the same message")
	}
	put(movies, "")
	put(movies, "")
	t.reportSent(first, 2)
	same(t, "the same client ID after it was sent", first, put(movies, "a"))
	same(t, "due", []string{"hi", "hi", "hi"}, t.claimTexts("", 3, unlimited))
}

func outboundClaims(t storeTest) {
	for i := range 3 {
		t.enqueue(movies, float64(i), fmt.Sprint(i))
	}
	duration := store.ClaimDuration.Seconds()
	for _, step := range []struct {
		why, claimant string
		n             float64
		limit         int
		want          []string
	}{
		{"first claims", "a", 10, 2, []string{"0", "1"}},
		{"the rest", "b", 11, 9, []string{"2"}},
		{"no claimant", "", 12, 9, nil},
		{"a repeats its request", "a", 10 + duration - 1, 9, []string{"0", "1"}},
		{"b's claim has expired", "c", 11 + duration, 9, []string{"2"}},
		{"a's claim was renewed", "b", 10 + duration + 1, 9, nil},
		{"a's claim has expired", "", 10 + 2*duration - 1, 9, []string{"0", "1"}},
		{"without a claimant nothing was claimed", "b", 10 + 2*duration, 9, []string{"0", "1"}},
	} {
		same(t, step.why, step.want, t.claimTexts(step.claimant, step.n, step.limit))
	}
}

// outboundClaimedSince tests that a claimant learns since when others may have sent the message without a report.
func outboundClaimedSince(t storeTest) {
	id := t.enqueue(movies, 0, "hi")
	since := func(claimant string, n float64) time.Time {
		t.Helper()
		return t.claim(claimant, n, 1)[0].ClaimedSince
	}
	same(t, "no claimant", time.Time{}, since("", 5))
	same(t, "first claim", time.Time{}, since("a", 10))
	same(t, "the same claimant, whose reply was lost or who was restarted", at(10), since("a", 11))
	same(t, "another claimant after the claim has expired", at(10), since("b", 200))
	t.reportFailed(203, store.OutboundFailed{ID: id})
	same(t, "after a failure was reported", time.Time{}, since("b", 400))
	same(t, "second claim after the report", at(400), since("b", 401))
}

func outboundNextDue(t storeTest) {
	next := func(n float64) string {
		at, err := t.NextOutbound(t.Context(), movies, store.MaxAttempts, at(n))
		if err != nil {
			t.Fatal(err)
		}
		if at.IsZero() {
			return "none"
		}
		return at.UTC().Format(time.RFC3339Nano)
	}
	expect := func(what string, n float64, want string) {
		t.Helper()
		same(t, what, want, next(n))
	}
	moment := func(n float64) string { return at(n).UTC().Format(time.RFC3339Nano) }
	expect("an empty queue", 0, "none")
	failed := t.enqueue(movies, 0, "failed")
	t.enqueue(music, 0, "elsewhere")
	expect("a line that is due", 1, "none")
	t.claim("a", 10, 1)
	expect("a claimed line", 20, moment(10+store.ClaimDuration.Seconds()))
	expect("a claim that has ended", 10+store.ClaimDuration.Seconds(), "none")
	t.reportFailed(30, store.OutboundFailed{ID: failed, Error: "flood"})
	expect("a failed line", 31, moment(30+120))
	claimed := t.enqueue(movies, 32, "claimed")
	t.claim("b", 40, 1)
	expect("the earlier of two", 41, moment(40+store.ClaimDuration.Seconds()))
	t.reportSent(claimed, 42)
	t.claim("a", 150, 1)
	expect("a claim after the back-off", 151, moment(150+store.ClaimDuration.Seconds()))
	t.reportFailed(152, store.OutboundFailed{ID: failed, Attempts: 1, Error: "muted", Permanent: true})
	expect("an abandoned line", 153, "none")
}

func outboundBackOff(t storeTest) {
	id := t.enqueue(movies, 0, "hi")
	t.enqueue(movies, 1, "behind it")
	due := func(n float64) bool {
		got := t.claim("", n, unlimited)
		same(t, "another message is not blocked", "behind it", got[len(got)-1].Text)
		return len(got) == 2
	}
	n := 100.0
	for failures, minutes := range []float64{2, 4, 8} {
		same(t, "number of failures", failures, t.claim("a", n, 1)[0].RetryCount)
		text := fmt.Sprint("flood ", failures)
		t.reportFailed(n, store.OutboundFailed{ID: id, Attempts: failures, Error: text})
		if due(n+60*minutes-0.001) || !due(n+60*minutes) {
			t.Errorf("after failure %d it is not due after %v minutes", failures, minutes)
		}
		n += 60 * minutes
		same(t, "last error", text, t.claim("", n, 1)[0].LastError)
		query := store.OutboundQuery{Limit: unlimited, MaxRetries: failures + 1, Now: at(n)}
		same(t, "fewer retries", []string{"behind it"}, outboundTexts(t.outbound(movies, query)))
	}
	t.reportFailed(n, store.OutboundFailed{ID: id, Attempts: 3, Error: "flood"})
	query := store.OutboundQuery{Limit: unlimited, MaxRetries: unlimited, Now: at(n + 1e6)}
	same(t, "abandoned", []string{"behind it"}, outboundTexts(t.outbound(movies, query)))
}

func outboundFailures(t storeTest) {
	// failures returns how many attempts failed, -1 if the message is not due.
	failures := func(id int64, n float64) int {
		for _, message := range t.claim("", n, unlimited) {
			if message.ID == id {
				return message.RetryCount
			}
		}
		return -1
	}
	permanent := t.enqueue(movies, 0, "permanent")
	t.reportFailed(1, store.OutboundFailed{ID: permanent, Error: "muted", Permanent: true})
	same(t, "a permanent failure abandons", -1, failures(permanent, 1e6))

	repeated := t.enqueue(movies, 0, "repeated")
	for range 3 {
		t.reportFailed(2, store.OutboundFailed{ID: repeated})
	}
	same(t, "a repeated report counts once", 1, failures(repeated, 122))

	sent := t.enqueue(movies, 0, "sent")
	t.reportSent(sent, 3)
	t.reportFailed(4, store.OutboundFailed{ID: sent})
	same(t, "a failure after it was sent", -1, failures(sent, 1e6))
	t.reportSent(permanent, 5)
	t.reportFailed(6, store.OutboundFailed{ID: permanent})
	same(t, "sent after it was abandoned", -1, failures(permanent, 1e6))

	unordered := t.enqueue(movies, 0, "unordered")
	t.reportFailed(500, store.OutboundFailed{ID: unordered, Attempts: 2, Error: "third"})
	t.reportFailed(600, store.OutboundFailed{ID: unordered, Attempts: 1, Error: "second"})
	same(t, "before the delay after the highest attempt", -1, failures(unordered, 500+8*60-0.001))
	same(t, "after the delay", 3, failures(unordered, 500+8*60))

	outOfRange := t.enqueue(movies, 0, "out of range")
	t.reportFailed(1, store.OutboundFailed{ID: outOfRange, Attempts: 1 << 40})
	same(t, "a number above the last attempt", -1, failures(outOfRange, 1e9))
	t.reportFailed(1, store.OutboundFailed{ID: 4711})
}

// outboundReassignedID has reports on a message whose ID a restored database has assigned again.
func outboundReassignedID(t storeTest) {
	id := t.enqueue(movies, 10.75, "new")
	t.apply(event(30, store.OutboundSent{ID: id, EnqueuedAt: at(20)}),
		event(30, store.OutboundFailed{ID: id, EnqueuedAt: at(20), Permanent: true}))
	want := store.OutboundMessage{ID: id, EnqueuedAt: at(10.75), Text: "new"}
	same(t, "reports on the other message", []store.OutboundMessage{want}, t.claim("", 40, 1))
	inSeconds := time.Unix(at(10.75).Unix(), 0)
	t.reportFailed(40, store.OutboundFailed{ID: id, EnqueuedAt: inSeconds, Error: "flood"})
	want.RetryCount, want.LastError = 1, "flood"
	same(t, "a failure with the time in seconds", []store.OutboundMessage{want}, t.claim("", 1000, 1))
	t.apply(event(50, store.OutboundSent{ID: id, EnqueuedAt: inSeconds}))
	same(t, "sent, with the time in seconds", nil, t.claimTexts("", 1000, 1))
}

// outboundLateFailure tests that a report which is applied late or again does not end a claim that was made after the
// attempt: its claimant may have sent the message, and the next one must learn that.
func outboundLateFailure(t storeTest) {
	id := t.enqueue(movies, 0, "hi")
	t.claim("a", 1, 1)
	failure := store.OutboundFailed{ID: id, Error: "flood"}
	t.reportFailed(2, failure)
	same(t, "claimed after the back-off", []string{"hi"}, t.claimTexts("b", 200, 1))
	t.reportFailed(2, failure)
	same(t, "after the repeated report", nil, t.claimTexts("c", 201, 1))
	same(t, "b's first claim", at(200), t.claim("b", 202, 1)[0].ClaimedSince)
	t.reportFailed(199, store.OutboundFailed{ID: id, Attempts: 1})
	same(t, "after a late report on an earlier attempt", nil, t.claimTexts("c", 203, 1))
	t.reportFailed(204, store.OutboundFailed{ID: id, Attempts: 1})
	same(t, "b's claim ended with its attempt", time.Time{}, t.claim("c", 500, 1)[0].ClaimedSince)
}

func storedUntil(n float64) func(context.Context) time.Time {
	return func(context.Context) time.Time { return at(n) }
}

// outboundUnappliedReports tests that a message which was claimed is not handed out to others while reports on it may
// not have been applied.
func outboundUnappliedReports(t storeTest) {
	unclaimed, both := []string{"unclaimed"}, []string{"claimed", "unclaimed"}
	for i, test := range []struct {
		why     string
		applied func(context.Context) time.Time
		want    []string
	}{
		{"reports within the claim are missing", storedUntil(69.999), unclaimed},
		{"reports within the claim are applied", storedUntil(70), both},
		{"reports until now are applied", storedUntil(100), both},
		{"a time after now", storedUntil(200), both},
		{"no time", nil, both},
	} {
		channel := store.Channel{Server: movies.Server, Name: fmt.Sprint(i)}
		query := store.OutboundQuery{Limit: unlimited, MaxRetries: unlimited, Claimant: "a", Now: at(10)}
		t.enqueue(channel, 0, "claimed")
		t.outbound(channel, query) // until 70
		t.enqueue(channel, 1, "unclaimed")
		query.Claimant, query.Now, query.StoredUntil = "b", at(100), test.applied
		same(t, test.why, test.want, outboundTexts(t.outbound(channel, query)))
	}
}

// outboundRestartedClaimant has a claimant with the name of an earlier process, which does not know what that has sent.
func outboundRestartedClaimant(t storeTest) {
	t.enqueue(movies, 0, "hi")
	t.claim("a", 10, 1)
	for _, step := range []struct {
		why          string
		now, applied float64
		want         []string
	}{
		{"reports until now are missing", 20, 19.999, nil},
		{"reports until now are applied", 20, 20, []string{"hi"}}, // claimed until 80
		{"the claim has expired, reports within it are missing", 100, 79, nil},
		{"reports within the claim are applied", 100, 80, []string{"hi"}},
	} {
		same(t, step.why, step.want, outboundTexts(t.outbound(movies, store.OutboundQuery{
			Limit: 1, MaxRetries: unlimited, Claimant: "a", Now: at(step.now), StoredUntil: storedUntil(step.applied),
		})))
	}
}

// outboundMaxOffers has a client that requests messages again and again and never reports on them.
func outboundMaxOffers(t storeTest) {
	a := t.enqueue(movies, 0, "a")
	t.enqueue(movies, 0, "b")
	t.enqueue(movies, 1, "new")
	for i := range store.MaxOffers {
		same(t, "in order", []string{"a", "b"}, t.claimTexts("", float64(10+i), 2))
	}
	same(t, "offered too often, so last", []string{"new", "a"}, t.claimTexts("", 20, 2))
	same(t, "all", []string{"new", "a", "b"}, t.claimTexts("", 20, 3))
	t.reportFailed(20, store.OutboundFailed{ID: a})
	same(t, "after a report", []string{"a", "new", "b"}, t.claimTexts("", 140, 3))
}

// outboundTrace tests that the trace of a message stays with it, whoever claims it: the bot that had claimed it before
// may have died.
func outboundTrace(t storeTest) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	must[int64](t)(t.Enqueue(t.Context(), movies, store.OutboundLine{Text: "traced", At: at(0), TraceParent: parent}))
	same(t, "first claim", parent, t.claim("a", 10, 1)[0].TraceParent)
	same(t, "another claimant after the claim has expired", parent, t.claim("b", 200, 1)[0].TraceParent)
	t.enqueue(movies, 201, "untraced")
	same(t, "a message without a trace", "", t.claim("c", 202, 1)[0].TraceParent)
}
