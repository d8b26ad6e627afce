package postgres

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

const throughPooler = "&default_query_exec_mode=exec"

// A pooler of transactions gives each transaction another connection: nothing may need a session.
func TestThroughAPooler(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	role := name(t, server.Database(t))
	pooler := server.StartPooler(t, 2)
	for _, parameters := range []string{
		"&default_query_exec_mode=exec", "&default_query_exec_mode=simple_protocol",
		"&default_query_exec_mode=cache_describe", "&default_query_exec_mode=exec&target_session_attrs=read-write",
		"&default_query_exec_mode=exec&pool_max_conns=1",
	} {
		file := pgtest.WriteURL(t, pooler.URL(role)+parameters)
		writer := mustOpen(t, file)
		if err := writer.Apply(t.Context(), []store.Event{said(1, "alice", "hi"), said(2, "bob", "ho")}); err != nil {
			t.Errorf("%s: %v", parameters, err)
		}
		reader, err := OpenReadOnly(t.Context(), file)
		if err != nil {
			t.Fatalf("%s: %v", parameters, err)
		}
		if lines, err := reader.RecentChat(t.Context(), movies, 10); err != nil || len(lines) != 2 {
			t.Errorf("%s: the reader sees %v, %v", parameters, lines, err)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
}

// With the driver's default, statements are prepared on a connection that the next transaction does not have.
func TestThroughAPoolerWithoutItsParameter(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	role := name(t, server.Database(t))
	pooler := server.StartPooler(t, 2)
	file := pgtest.WriteURL(t, pooler.URL(role))
	var last error
	for range 3 { // the first may be lucky
		s, err := Open(t.Context(), file)
		if err != nil {
			last = err
			continue
		}
		var writing sync.WaitGroup
		failed := make(chan error, 20)
		for i := range cap(failed) {
			writing.Go(func() { failed <- s.Apply(t.Context(), []store.Event{said(i+1, "alice", "hi")}) })
		}
		writing.Wait()
		close(failed)
		for err := range failed {
			last = errors.Join(last, err)
		}
		_ = s.Close()
	}
	if last == nil {
		t.Skip("this PgBouncer keeps prepared statements")
	}
	expect(t, oneLineError{last}, nil, "default_query_exec_mode=exec")
}

// Several services that start at once share fewer connections than each of them may have.
func TestStartsThroughASmallPooler(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	role := name(t, server.Database(t))
	file := pgtest.WriteURL(t, server.StartPooler(t, 1).URL(role)+throughPooler)
	var starting sync.WaitGroup
	for range 6 {
		starting.Go(func() {
			s, err := Open(t.Context(), file)
			if err == nil {
				_, err = s.Identity(t.Context())
				err = errors.Join(err, s.Close())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
}

// One that must wait holds no connection that another needs, and says what it waits for.
func TestWaitingForAMigration(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	migrating, err := conn.Begin(t.Context())
	if err == nil {
		_, err = migrating.Exec(t.Context(), "SELECT pg_advisory_xact_lock($1)", migrationLock)
	}
	if err != nil {
		t.Fatal(err)
	}
	file := pgtest.WriteURL(t, database)
	_, err = Open(t.Context(), file)
	expect(t, err, nil, "another process is bringing the tables up to date")
	if err := migrating.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, file)
}
