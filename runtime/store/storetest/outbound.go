package storetest

import (
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
)

func outbound(t *testing.T, s store.Store) {
	ctx := t.Context()
	// Enqueued in another order than they are due.
	second := must[int64](t)(s.Enqueue(ctx, movies, "second", clock(20)))
	first := must[int64](t)(s.Enqueue(ctx, movies, "first", clock(10)))
	third := must[int64](t)(s.Enqueue(ctx, movies, "third", clock(20)))
	waiting := func(limit, maxRetries int) (texts []string) {
		for _, message := range must[[]store.OutboundMessage](t)(s.Outbound(ctx, movies, limit, maxRetries, clock(30))) {
			texts = append(texts, message.Text)
		}
		return texts
	}

	same(t, "oldest first", []string{"first", "second", "third"}, waiting(50, 3))
	same(t, "asking again, since asking takes nothing", []string{"first", "second", "third"}, waiting(50, 3))
	same(t, "limit 2", []string{"first", "second"}, waiting(2, 3))
	same(t, "limit 0", nil, waiting(0, 3))
	same(t, "limit -1", nil, waiting(-1, 3))
	same(t, "no retries allowed", nil, waiting(50, 0))
	got := must[[]store.OutboundMessage](t)(s.Outbound(ctx, movies, 1, 3, clock(30)))
	same(t, "a whole message", []store.OutboundMessage{{ID: first, EnqueuedAt: clock(10), Text: "first"}}, got)

	for range 2 { // said twice, it is still sent
		if err := s.MarkSent(ctx, first, clock(31)); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "one sent", []string{"second", "third"}, waiting(50, 3))
	if err := s.MarkSent(ctx, third, clock(32)); err != nil {
		t.Fatal(err)
	}
	same(t, "two sent", []string{"second"}, waiting(50, 3))
	if next := must[int64](t)(s.Enqueue(ctx, movies, "fourth", clock(40))); next <= max(first, second, third) {
		t.Errorf("id %d was given before", next)
	}
}

func outboundChannels(t *testing.T, s store.Store) {
	ctx := t.Context()
	music := store.Channel{Server: movies.Server, Name: "Music"}
	for _, channel := range []store.Channel{movies, music} {
		must[int64](t)(s.Enqueue(ctx, channel, channel.Name, clock(1)))
	}
	for _, channel := range []store.Channel{movies, music} {
		got := must[[]store.OutboundMessage](t)(s.Outbound(ctx, channel, 50, 3, clock(2)))
		if len(got) != 1 || got[0].Text != channel.Name {
			t.Errorf("%s: %+v", channel.Name, got)
		}
	}
}

// Failed prepares a store with outbound messages that failed before. How an attempt is recorded is the
// store's own matter as long as the contract has no method for it.
type Failed func(t *testing.T, s store.Store, id int64, retryCount int, lastAttempt *time.Time, lastError string)

// RunBackOff tests when messages that failed are due again.
func RunBackOff(t *testing.T, s store.Store, failed Failed) {
	t.Helper()
	ctx := t.Context()
	enqueue := func(text string) int64 { return must[int64](t)(s.Enqueue(ctx, movies, text, clock(0))) }
	failed(t, s, enqueue("once"), 1, new(clock(300)), "flood")
	failed(t, s, enqueue("twice"), 2, new(clock(300)), "flood")
	failed(t, s, enqueue("often"), 40, new(clock(300)), "flood")
	failed(t, s, enqueue("without a time"), 1, nil, "")
	due := func(seconds float64, maxRetries int) (texts []string) {
		for _, message := range must[[]store.OutboundMessage](t)(s.Outbound(ctx, movies, all, maxRetries, clock(seconds))) {
			texts = append(texts, message.Text)
		}
		return texts
	}
	same(t, "before two minutes from enqueueing", nil, due(119.999, 3))
	same(t, "two minutes from enqueueing", []string{"without a time"}, due(120, 3))
	same(t, "two minutes from the last attempt", []string{"once", "without a time"}, due(420, 3))
	same(t, "four minutes from the last attempt", []string{"once", "twice", "without a time"}, due(540, 3))
	same(t, "two failures are too many", []string{"once", "without a time"}, due(540, 2))
	same(t, "a very long back-off", []string{"once", "twice", "without a time"}, due(86400, 100))
	got := must[[]store.OutboundMessage](t)(s.Outbound(ctx, movies, 1, 3, clock(420)))
	if len(got) != 1 || got[0].RetryCount != 1 || got[0].LastError != "flood" {
		t.Errorf("%+v, want the count and the error of the failures", got)
	}
}
