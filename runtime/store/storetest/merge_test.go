package storetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"rosey.dev/rosey/runtime/store"
)

// eventsMerge applies random events in order and in one batch, and then shuffled, repeated and cut into other batches
// to other channels: the rows of all channels must be the same.
func eventsMerge(t storeTest) {
	const rounds, shuffles = 15, 4
	for range rounds {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		events := randomEvents(random)
		ordered := store.Channel{Server: "s", Name: fmt.Sprint(seed)}
		t.apply(in(ordered, events)...)
		want := t.read(ordered)
		for i := range shuffles {
			channel := store.Channel{Server: "s", Name: fmt.Sprintf("%d_%d", seed, i)}
			t.applyShuffled(in(channel, events), random)
			same(t, fmt.Sprintf("seed %d, shuffle %d", seed, i), want, t.read(channel))
		}
		if t.Failed() {
			return
		}
	}
}

// applyShuffled applies every event at least once.
func (t storeTest) applyShuffled(events []store.Event, random *rand.Rand) {
	t.Helper()
	for range random.IntN(len(events)) {
		events = append(events, events[random.IntN(len(events))])
	}
	random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	for len(events) > 0 {
		n := 1 + random.IntN(min(len(events), 10))
		t.apply(events[:n]...)
		events = events[n:]
	}
}

const reportedMessages = 8

// outboundReportsMerge applies random reports in one batch, and then shuffled, repeated and cut into other batches to
// other messages: the rows of all messages must be the same.
func outboundReportsMerge(t storeTest) {
	const rounds, shuffles = 20, 4
	for range rounds {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		reports := randomReports(random)
		t.apply(withIDs(t.enqueueReported(), reports)...)
		want := t.describeOutbound()
		for i := range shuffles {
			t.applyShuffled(withIDs(t.enqueueReported(), reports), random)
			same(t, fmt.Sprintf("seed %d, shuffle %d", seed, i), want, t.describeOutbound())
		}
		if t.Failed() {
			return
		}
	}
}

// randomReports returns reports whose IDs are indexes of messages. There are few different times, numbers and errors,
// so that reports meet.
func randomReports(random *rand.Rand) (reports []store.Event) {
	for range 10 + random.IntN(30) {
		n := float64(10 * (1 + random.IntN(6)))
		id := int64(random.IntN(reportedMessages))
		var fact store.Fact = store.OutboundSent{ID: id}
		if random.IntN(4) > 0 {
			fact = store.OutboundFailed{
				ID: id, Attempts: random.IntN(store.MaxAttempts), Error: fmt.Sprint("error ", random.IntN(3)),
				Permanent: random.IntN(10) == 0,
			}
		}
		reports = append(reports, event(n, fact))
	}
	return reports
}

// enqueueReported returns the IDs of new messages. Half of them are claimed, between the times of the reports.
func (t storeTest) enqueueReported() (ids []int64) {
	t.Helper()
	for i := range reportedMessages {
		ids = append(ids, t.enqueue(movies, 0, fmt.Sprint(i)))
		if i%2 == 0 {
			t.claim("a", 25, unlimited)
		}
	}
	return ids
}

// withIDs returns the reports with IDs instead of indexes.
func withIDs(ids []int64, reports []store.Event) []store.Event {
	events := slices.Clone(reports)
	for i, event := range events {
		switch fact := event.Fact.(type) {
		case store.OutboundSent:
			fact.ID = ids[fact.ID]
			events[i].Fact = fact
		case store.OutboundFailed:
			fact.ID = ids[fact.ID]
			events[i].Fact = fact
		}
	}
	return events
}

// describeOutbound describes all messages as far as they can be read, and removes them.
func (t storeTest) describeOutbound() (state []string) {
	t.Helper()
	var due []int64
	for _, n := range []float64{30, 90, 2000} { // at the ends of claims and delays
		messages := t.claim("", n, unlimited)
		slices.SortFunc(messages, func(a, b store.OutboundMessage) int { return cmp.Compare(a.ID, b.ID) })
		for _, message := range messages {
			state = append(state, fmt.Sprintf("at %v: %s failed %d times, %q, claimed since %v", n, message.Text,
				message.RetryCount, message.LastError, message.ClaimedSince))
			due = append(due, message.ID)
		}
	}
	for minutes := range 10 {
		for second := 5.0; second < 70; second += 10 {
			n := float64(60*minutes) + second
			state = append(state, fmt.Sprintf("due at %v: %d", n, len(t.claim("", n, unlimited))))
		}
	}
	for n := 5.0; n < 100; n += 10 {
		removed, _ := t.prune(store.PruneOutbound, at(n), unlimited)
		state = append(state, fmt.Sprintf("sent or abandoned before %v: %d", n, removed))
	}
	for _, id := range due {
		t.reportSent(id, 0)
	}
	t.prune(store.PruneOutbound, at(1), unlimited)
	return state
}
