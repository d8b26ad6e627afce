package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// anyOrderAndRepetition applies random evenings in order and in one batch each, and then shuffled,
// repeated and cut into other batches to channels of their own: all must end the same.
func anyOrderAndRepetition(t *testing.T, s store.Store) {
	const evenings, shuffles = 15, 4
	for range evenings {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		events := evening(random)
		inOrder := store.Channel{Server: "s", Name: fmt.Sprintf("%d", seed)}
		apply(t, s, in(inOrder, events)...)
		want := read(t, s, inOrder)
		for i := range shuffles {
			channel := store.Channel{Server: "s", Name: fmt.Sprintf("%d_%d", seed, i)}
			applyShuffled(t, s, in(channel, events), random)
			same(t, fmt.Sprintf("evening of seed %d, shuffle %d", seed, i), want, read(t, s, channel))
		}
		if t.Failed() {
			return
		}
	}
}

// applyShuffled applies every event at least once.
func applyShuffled(t *testing.T, s store.Store, events []store.Event, random *rand.Rand) {
	t.Helper()
	for range random.IntN(len(events)) {
		events = append(events, events[random.IntN(len(events))])
	}
	random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	for len(events) > 0 {
		n := 1 + random.IntN(min(len(events), 10))
		apply(t, s, events[:n]...)
		events = events[n:]
	}
}

// in moves events to a channel, with ids of their own there.
func in(channel store.Channel, events []store.Event) []store.Event {
	moved := make([]store.Event, 0, len(events))
	for _, event := range events {
		event.ID, event.Channel = event.ID+"/"+channel.Name, channel
		moved = append(moved, event)
	}
	return moved
}

// evening is what may happen in some minutes. Times, names and values are few, so that they meet.
func evening(random *rand.Rand) (events []store.Event) {
	names := []string{"alice", "Alice", "bob", "BOB", "carol"}
	for i := range 20 + random.IntN(20) {
		name := names[random.IntN(len(names))]
		count := random.IntN(4)
		var fact store.Fact
		switch random.IntN(7) {
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
			fact = store.Status{PlaylistItems: &count, BotName: &name}
		case 6:
			fact = store.Action{Username: name, Type: store.ActionPMCommand, Details: fmt.Sprint(count)}
		}
		at := clock(float64(70*random.IntN(4) + random.IntN(4)))
		events = append(events, store.Event{ID: fmt.Sprintf("%012x-%04x", at.UnixMilli(), i), At: at, Fact: fact})
	}
	return events
}

func allOrNothing(t *testing.T, s store.Store) {
	good := said(1, "alice", "hi")
	err := s.Apply(t.Context(), []store.Event{good, happened(2, store.UserCount{Chat: -1}), said(3, "bob", "ho")})
	if !errors.Is(err, store.ErrRejected) {
		t.Errorf("a count below zero: %v, want ErrRejected", err)
	}
	same(t, "after a rejected batch", nil, recent(t, s, all))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Apply(cancelled, []store.Event{good}); err == nil || errors.Is(err, store.ErrRejected) {
		t.Errorf("with a cancelled context: %v, want an error that is not the data's", err)
	}
	apply(t, s, good)
	same(t, "the good line later", []string{"hi"}, recent(t, s, all))
	same(t, "its count", 1, lines(t.Context(), t, s))
}

// concurrentUse has two writers of the same events and a reader.
func concurrentUse(t *testing.T, s store.Store) {
	const count = 50
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var writers sync.WaitGroup
	problems := make(chan error, 2)
	for range 2 {
		writers.Go(func() {
			for i := range count {
				if err := s.Apply(ctx, []store.Event{said(float64(i), "alice", fmt.Sprint(i))}); err != nil {
					problems <- err
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			got := must[[]store.RecentLine](t)(s.RecentChat(ctx, movies, all))
			if counted := lines(ctx, t, s); counted < len(got) {
				t.Errorf("%d lines counted after %d were there", counted, len(got))
			}
		}
	}
	close(problems)
	for err := range problems {
		t.Error(err)
	}
	same(t, "lines in the end", count, lines(ctx, t, s))
}
