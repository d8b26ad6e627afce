package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"rosey.dev/rosey/runtime/store"
)

const reportedLines = 8

// outboundReportsMerge applies random reports in one batch, and then shuffled, repeated and cut into other batches to
// other messages: all must end the same.
func outboundReportsMerge(t *testing.T, s store.Store) {
	const rounds, shuffles = 20, 4
	for range rounds {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		reports := randomReports(random)
		ids := enqueueReported(t, s)
		apply(t, s, about(ids, reports)...)
		want := outboundState(t, s)
		for i := range shuffles {
			applyShuffled(t, s, about(enqueueReported(t, s), reports), random)
			same(t, fmt.Sprintf("reports of seed %d, shuffle %d", seed, i), want, outboundState(t, s))
		}
		if t.Failed() {
			return
		}
	}
}

// randomReports returns reports whose IDs are indexes of messages. Times, numbers and errors are few, so that they
// meet.
func randomReports(random *rand.Rand) (reports []store.Event) {
	for range 10 + random.IntN(30) {
		at := float64(10 * (1 + random.IntN(6)))
		id := int64(random.IntN(reportedLines))
		var fact store.Fact = store.OutboundSent{ID: id}
		if random.IntN(4) > 0 {
			fact = store.OutboundFailed{
				ID: id, Attempts: random.IntN(store.MaxAttempts), Error: fmt.Sprint("error ", random.IntN(3)),
				Permanent: random.IntN(10) == 0,
			}
		}
		reports = append(reports, happened(at, fact))
	}
	return reports
}

// enqueueReported returns the IDs of new messages. Half of them are claimed, between the times of the reports.
func enqueueReported(t *testing.T, s store.Store) (ids []int64) {
	t.Helper()
	for i := range reportedLines {
		ids = append(ids, enqueue(t, s, movies, 0, fmt.Sprint(i)))
		if i%2 == 0 {
			ask(t, s, "a", 25, all)
		}
	}
	return ids
}

// about replaces the indexes in reports by IDs.
func about(ids []int64, reports []store.Event) []store.Event {
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

// outboundState describes all messages, as far as they can be read, and removes them.
func outboundState(t *testing.T, s store.Store) (state []string) {
	t.Helper()
	var waiting []int64
	// At the ends of leases and back-offs.
	for _, at := range []float64{30, 90, 2000} {
		got := ask(t, s, "", at, all)
		slices.SortFunc(got, func(a, b store.OutboundMessage) int { return int(a.ID - b.ID) })
		for _, message := range got {
			state = append(state, fmt.Sprintf("at %v: %s failed %d times, %q, claimed since %v", at, message.Text,
				message.RetryCount, message.LastError, message.ClaimedSince))
			waiting = append(waiting, message.ID)
		}
	}
	for minutes := range 10 {
		for second := 5.0; second < 70; second += 10 {
			at := float64(60*minutes) + second
			state = append(state, fmt.Sprintf("due at %v: %d", at, len(ask(t, s, "", at, all))))
		}
	}
	for at := 5.0; at < 100; at += 10 {
		removed, _ := pruneAll(t, s, store.PruneOutbound, clock(at), all)
		state = append(state, fmt.Sprintf("done before %v: %d", at, removed))
	}
	for _, id := range waiting {
		reportSent(t, s, id, 0)
	}
	pruneAll(t, s, store.PruneOutbound, clock(1), all)
	return state
}
