package postgres

import (
	"fmt"
	"testing"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// Others must be able to store events while the lines of somebody are looked for, and none about that user.
func TestForgettingSomebodyKeepsNoEventsOut(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	other, watcher := rawConn(t, server, name(t, database)), rawConn(t, server, name(t, database))
	s, service := mustOpen(t, pgtest.WriteURL(t, database)), mustOpen(t, pgtest.WriteURL(t, database))
	if err := s.Apply(t.Context(), []store.Event{said(1, "alice", "a")}); err != nil {
		t.Fatal(err)
	}
	run(t, other, "BEGIN")
	run(t, other, "SELECT 1 FROM chat FOR UPDATE")
	forgotten := make(chan error, 1)
	go func() {
		_, err := s.ForgetPerson(t.Context(), movies, "alice", clock(9))
		forgotten <- err
	}()
	waitForWaiter(t, watcher)
	if err := service.Apply(t.Context(), []store.Event{said(2, "alice", "late"), said(3, "bob", "b")}); err != nil {
		t.Error(err)
	}
	run(t, other, "COMMIT")
	if err := <-forgotten; err != nil {
		t.Fatal(err)
	}
	rows, err := s.PersonRows(t.Context(), movies, "alice", store.PersonPosition{}, 9)
	chat, chatErr := s.RecentChat(t.Context(), movies, 9)
	if err != nil || chatErr != nil || len(rows) > 0 || len(chat) != 1 || chat[0].Username != "bob" {
		t.Errorf("%v, %v, left: %+v, lines: %+v; want bob's alone", err, chatErr, rows, chat)
	}
}

// What a transaction in flight stores about somebody must not stay, even if others were forgotten for a later time.
func TestForgettingWaitsForTransactionsInFlight(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	other, watcher := rawConn(t, server, name(t, database)), rawConn(t, server, name(t, database))
	s := mustOpen(t, pgtest.WriteURL(t, database))
	if _, err := s.ForgetPerson(t.Context(), movies, "xenia", clock(9)); err != nil {
		t.Fatal(err)
	}
	run(t, other, "BEGIN")
	run(t, other, "SELECT 1 FROM channels FOR SHARE") // as Apply
	forgotten := make(chan error, 1)
	go func() {
		_, err := s.ForgetPerson(t.Context(), movies, "yvonne", clock(8))
		forgotten <- err
	}()
	waitForWaiter(t, watcher)
	run(t, other, fmt.Sprintf("INSERT INTO presence (event_id, channel_id, user_key, joined, at) "+
		"SELECT 'a', id, 'yvonne', true, %d FROM channels", clock(1).UnixMilli()))
	run(t, other, "COMMIT")
	if err := <-forgotten; err != nil {
		t.Fatal(err)
	}
	rows, err := s.PersonRows(t.Context(), movies, "yvonne", store.PersonPosition{}, 9)
	if err != nil || len(rows) > 0 {
		t.Errorf("left: %+v, %v", rows, err)
	}
}
