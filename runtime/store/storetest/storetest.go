// Package storetest is the contract of store.Store as tests, to be run against every store.
package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/store"
)

// Run tests the stores that open makes. Each must be new, empty and closed when its test ends.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, s store.Store){
		"identity":                 identity,
		"any order and repetition": anyOrderAndRepetition,
		"nothing stored":           nothingStored,
		"all or nothing":           allOrNothing,
		"concurrent use":           concurrentUse,
		"chat lines":               chatLines,
		"recent chat":              recentChat,
		"one millisecond":          oneMillisecond,
		"user names":               userNames,
		"users":                    users,
		"who leaves unseen":        unseen,
		"top chatters":             topChatters,
		"high water":               highWater,
		"user counts":              userCounts,
		"status":                   status,
		"channels":                 channels,
		"unsafe text":              unsafeText,
		"nobody":                   nobody,
		"actions":                  actions,
		"one user":                 oneUser,
		"outbound":                 outbound,
		"outbound channels":        outboundChannels,
		"outbound client ids":      outboundClientIDs,
		"outbound claims":          outboundClaims,
		"outbound claimed since":   outboundClaimedSince,
		"outbound back-off":        outboundBackOff,
		"outbound failures":        outboundFailures,
		"outbound other row":       outboundOtherRow,
		"outbound late failure":    outboundLateFailure,
		"outbound reports pending": outboundUnappliedReports,
		"outbound restarted":       outboundRestartedClaimant,
		"outbound reports merge":   outboundReportsMerge,
		"outbound stuck":           outboundStuck,
		"key-value":                keyValue,
		"key-value expiry":         keyValueExpiry,
		"key-value list":           keyValueList,
		"prune chat":               pruneChat,
		"prune":                    prune,
		"upkeep":                   upkeep,
		"dead letters":             deadLetters,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

var movies = store.Channel{Server: "https://cytu.be", Name: "Movies"}

// clock is the moment n seconds into the evening.
func clock(n float64) time.Time { return time.UnixMilli(1763700000000 + int64(n*1000)).UTC() }

// happened makes an event whose id sorts by time and then by the order of the arguments of the test.
func happened(n float64, fact store.Fact) store.Event {
	return store.Event{
		ID: fmt.Sprintf("%012x-%v", clock(n).UnixMilli(), fact), Channel: movies, At: clock(n), Fact: fact,
	}
}

func said(n float64, user, text string) store.Event {
	return happened(n, store.ChatLine{Username: user, Text: text})
}

func apply(t *testing.T, s store.Store, events ...store.Event) {
	t.Helper()
	if err := s.Apply(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

// must fails the test unless a question to the store was answered.
func must[T any](t *testing.T) func(answer T, err error) T {
	t.Helper()
	return func(answer T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// tables is everything that a store says about a channel.
type tables struct {
	Chat    []store.RecentLine
	Top     []store.Chatter
	Users   []store.User
	Maxima  store.Maxima
	Counts  []store.CountSample
	Status  store.Status
	Actions []store.PastAction
	Waiting []store.OutboundMessage
}

const all = 1 << 30

func read(t *testing.T, s store.Store, channel store.Channel) tables {
	t.Helper()
	ctx := t.Context()
	return tables{
		Chat:    must[[]store.RecentLine](t)(s.RecentChat(ctx, channel, all)),
		Top:     must[[]store.Chatter](t)(s.TopChatters(ctx, channel, all)),
		Users:   must[[]store.User](t)(s.Users(ctx, channel)),
		Maxima:  must[store.Maxima](t)(s.HighWater(ctx, channel)),
		Counts:  must[[]store.CountSample](t)(s.UserCounts(ctx, channel, all)),
		Status:  must[store.Status](t)(s.Status(ctx, channel)),
		Actions: must[[]store.PastAction](t)(s.Actions(ctx, channel, all)),
		Waiting: must[[]store.OutboundMessage](t)(s.Outbound(ctx, channel, store.OutboundQuery{
			Limit: all, MaxRetries: all, Now: clock(0),
		})),
	}
}

func nothingStored(t *testing.T, s store.Store) {
	apply(t, s)
	want := tables{
		Chat: []store.RecentLine{}, Top: []store.Chatter{}, Users: []store.User{},
		Counts: []store.CountSample{}, Actions: []store.PastAction{}, Waiting: []store.OutboundMessage{},
	}
	same(t, "an empty store", want, read(t, s, movies))
	reportSent(t, s, 4711, 0)
	same(t, "after a report on an unknown message", want, read(t, s, movies))
}

func texts(lines []store.RecentLine) (all []string) {
	for _, line := range lines {
		all = append(all, line.Text)
	}
	return all
}

func recent(t *testing.T, s store.Store, limit int) []string {
	t.Helper()
	return texts(must[[]store.RecentLine](t)(s.RecentChat(t.Context(), movies, limit)))
}

func lines(ctx context.Context, t *testing.T, s store.Store) (count int) {
	t.Helper()
	chatters, err := s.TopChatters(ctx, movies, all)
	if err != nil {
		t.Fatal(err)
	}
	for _, chatter := range chatters {
		count += chatter.Lines
	}
	return count
}
