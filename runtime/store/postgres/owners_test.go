package postgres

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

var (
	ours   = store.Service{Prefix: "ours", Name: "fun/ours"}
	theirs = store.Service{Prefix: "theirs", Name: "fun/theirs"}
	alone  = store.Service{Prefix: "alone"} // outside Kubernetes
	films  = store.Channel{Server: "https://cytu.be", Name: "Films"}
	songs  = store.Channel{Server: "https://cytu.be", Name: "Songs"}
	books  = store.Channel{Server: "https://cytu.be", Name: "Books"}
)

func take(t *testing.T, s *Store, service store.Service, channel store.Channel, owner store.Service) {
	t.Helper()
	got, err := s.TakeChannel(t.Context(), service, channel)
	if got != owner || errors.Is(err, store.ErrChannelOwned) != (owner != service) || (owner == service && err != nil) {
		t.Errorf("%s takes %s: %+v, %v; want %+v", service.Prefix, channel.Name, got, err, owner)
	}
}

func owners(t *testing.T, s *Store) map[string]store.Service {
	t.Helper()
	all, err := s.Channels(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string]store.Service{}
	for _, channel := range all {
		owners[channel.Name] = channel.Owner
	}
	return owners
}

// A second prefix must never get a channel by starting, and the same RoseyBot must not lose it by a changed prefix.
func TestChannelStaysWithItsOwner(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, pgtest.Use(t).URLFile(t))
	loud := store.Channel{Server: "HTTPS://CYTU.BE", Name: "FILMS"}
	take(t, s, ours, films, ours)
	take(t, s, ours, films, ours)
	take(t, s, theirs, loud, ours)
	take(t, s, alone, films, ours)
	take(t, s, store.Service{Prefix: "other"}, songs, store.Service{Prefix: "other"})
	take(t, s, alone, songs, store.Service{Prefix: "other"}) // two without a name are not the same
	take(t, s, ours, books, ours)
	if _, err := s.ServeChannels(t.Context(), ours, []store.Channel{films, books, songs}); err != nil {
		t.Fatal(err)
	}

	renamed := store.Service{Prefix: "renamed", Name: ours.Name}
	take(t, s, renamed, films, renamed)
	want := map[string]store.Service{"Films": renamed, "Books": renamed, "Songs": {Prefix: "other"}}
	if diff := cmp.Diff(want, owners(t, s)); diff != "" {
		t.Errorf("after a change of the prefix (-want +got):\n%s", diff)
	}

	before, err := s.AssignChannel(t.Context(), theirs, films)
	if err != nil || before != renamed {
		t.Errorf("assigned from %+v, %v", before, err)
	}
	take(t, s, renamed, films, theirs)
	take(t, s, theirs, films, theirs)
	if before, err := s.AssignChannel(t.Context(), ours, store.Channel{Server: films.Server, Name: "New"}); err != nil ||
		before != (store.Service{}) {
		t.Errorf("a channel that nobody owned was assigned from %+v, %v", before, err)
	}
}

// Without one winner, two services that start at the same time would both publish for the channel.
func TestOneOfTwoServicesThatStartTogetherWins(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, pgtest.Use(t).URLFile(t))
	for round := range 20 {
		channel := store.Channel{Server: films.Server, Name: fmt.Sprint("room", round)}
		var mu sync.Mutex
		var winners []string
		var starting sync.WaitGroup
		for i := range 4 {
			starting.Go(func() {
				service := store.Service{Prefix: fmt.Sprint("service", i)}
				_, err := s.TakeChannel(t.Context(), service, channel)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					winners = append(winners, service.Prefix)
				case !errors.Is(err, store.ErrChannelOwned):
					t.Error(err)
				}
			})
		}
		starting.Wait()
		if len(winners) != 1 || owners(t, s)[channel.Name].Prefix != winners[0] {
			t.Errorf("%v own %s, the database says %v", winners, channel.Name, owners(t, s)[channel.Name])
		}
	}
}

// A listed channel that another service owns is refused, and stays as it is.
func TestServedChannelsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, pgtest.Use(t).URLFile(t))
	take(t, s, theirs, films, theirs)
	line := store.Event{ID: "1", Channel: songs, At: time.Now(), Fact: store.ChatLine{Username: "a", Text: "b"}}
	if err := s.Apply(t.Context(), []store.Event{line}); err != nil {
		t.Fatal(err)
	}
	owned, err := s.ServeChannels(t.Context(), ours, []store.Channel{films, songs, books})
	want := []store.OwnedChannel{{Channel: films.Fold(), Owner: theirs, ServedBy: theirs.Prefix}}
	if diff := cmp.Diff(want, owned); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(map[string]store.Service{"Films": theirs, "Songs": {}}, owners(t, s)); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
}

// The retention of one service must not remove the rows of another one's channels.
func TestPruneLeavesChannelsThatOthersServe(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, pgtest.Use(t).URLFile(t))
	old := time.UnixMilli(1763700000000)
	for _, channel := range []store.Channel{films, songs, books} {
		id, err := s.Enqueue(t.Context(), channel, store.OutboundLine{Text: "hi", At: old})
		if err != nil {
			t.Fatal(err)
		}
		for i, fact := range []store.Fact{
			store.ChatLine{Username: "a", Text: "b"}, store.UserCount{Chat: 1}, store.OutboundSent{ID: id},
		} {
			event := store.Event{ID: fmt.Sprint(channel.Name, i), Channel: channel, At: old, Fact: fact}
			if err := s.Apply(t.Context(), []store.Event{event}); err != nil {
				t.Fatal(err)
			}
		}
	}
	take(t, s, ours, films, ours)
	take(t, s, theirs, songs, theirs) // nobody has served books yet
	prune := func(servedBy string, want int64) {
		t.Helper()
		for _, kind := range []store.RowKind{store.PruneChat, store.PruneUserCounts, store.PruneOutbound} {
			var total int64
			for {
				rule := store.PruneRule{Kind: kind, Before: time.Now(), ServedBy: servedBy}
				n, err := s.Prune(t.Context(), rule, 100)
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					break
				}
				total += n
			}
			if total != want {
				t.Errorf("%s removed %d rows of %s, want %d", servedBy, total, kind, want)
			}
		}
	}
	prune(ours.Prefix, 2)
	prune(ours.Prefix, 0)
	prune(theirs.Prefix, 1)
}
