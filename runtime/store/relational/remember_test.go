package relational_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// hooked is a database whose next transaction fails with an error if there is one, and calls a function at its end,
// before the store knows that it has ended.
type hooked struct {
	relational.Database

	fail error
	then func()
}

func (h *hooked) Write(ctx context.Context, work func(context.Context, relational.Tx) error) error {
	fail, then := h.fail, h.then
	h.fail, h.then = nil, nil
	err := h.Database.Write(ctx, func(ctx context.Context, tx relational.Tx) error {
		return errors.Join(work(ctx, tx), fail)
	})
	if then != nil {
		then()
	}
	return err
}

func openHooked(t *testing.T) (*hooked, relational.Store) {
	t.Helper()
	opened := closed[*sqlite.Store](t)(sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rosey.db")))
	h := &hooked{Database: opened.Database()}
	return h, relational.New(h)
}

func lineOfAlice() []store.Event {
	return []store.Event{{
		ID: "1", Channel: movies, At: time.UnixMilli(1763700000000).UTC(),
		Fact: store.ChatLine{Username: "alice", Text: "hi"},
	}}
}

// A repetition that is stored right after somebody was forgotten must find that, and not the channel as it was before.
func TestNothingIsStoredByWhatWasKnownBeforeSomebodyWasForgotten(t *testing.T) {
	t.Parallel()
	h, s := openHooked(t)
	for range 2 {
		if err := s.Apply(t.Context(), lineOfAlice()); err != nil {
			t.Fatal(err)
		}
	}
	h.then = func() {
		if err := s.Apply(t.Context(), lineOfAlice()); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.ForgetPerson(t.Context(), movies, "alice", lineOfAlice()[0].At); err != nil {
		t.Fatal(err)
	}
	rows, err := s.PersonRows(t.Context(), movies, "alice", store.PersonPosition{}, 9)
	if err != nil || len(rows) > 0 {
		t.Errorf("left: %+v, %v", rows, err)
	}
}

// A channel whose row is gone with a transaction that was rolled back must not be used by another one.
func TestAChannelThatWasRolledBackIsNotRemembered(t *testing.T) {
	t.Parallel()
	h, s := openHooked(t)
	h.fail = errors.New("broken")
	h.then = func() {
		if err := s.Apply(t.Context(), lineOfAlice()); err != nil {
			t.Error(err)
		}
	}
	if err := s.Apply(t.Context(), lineOfAlice()); err == nil {
		t.Fatal("no error")
	}
	lines, err := s.RecentChat(t.Context(), movies, 9)
	if err != nil || len(lines) != 1 {
		t.Errorf("stored: %v, %v, want the line", lines, err)
	}
}
