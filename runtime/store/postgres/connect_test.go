package postgres

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

func rewrite(t *testing.T, file, databaseURL string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(databaseURL), 0o600); err != nil {
		t.Fatal(err)
	}
}

// endConnections terminates connections, as a password rotation or a restart of the server does.
func endConnections(t *testing.T, server *pgtest.Server, database string) {
	t.Helper()
	server.Execute(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+database+"'")
}

// await repeats attempt until it succeeds: the first attempts may use connections that have ended.
func await(t *testing.T, attempt func() error) {
	t.Helper()
	for range 20 {
		if attempt() == nil {
			return
		}
	}
	t.Fatal(attempt())
}

func TestRotatedURL(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	role := name(t, database)
	file := pgtest.WriteURL(t, database)
	s := mustOpen(t, file)

	server.Execute(t, "ALTER ROLE "+role+" PASSWORD 'hunter2-new'")
	endConnections(t, server, role)
	var last error
	for range 20 { // as in await
		last = s.Apply(t.Context(), []store.Event{said(1, "alice", "a")})
	}
	expect(t, last, store.ErrRefused, "password authentication failed")

	rewrite(t, file, server.URL(role, "hunter2-new", role))
	await(t, func() error { return s.Apply(t.Context(), []store.Event{said(2, "alice", "b")}) })

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	endConnections(t, server, role)
	for range 20 {
		last = s.Apply(t.Context(), []store.Event{said(3, "alice", "c")})
	}
	expect(t, last, store.ErrURLAbsent, file)
}

func TestURLOfAnotherDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database, other := server.Database(t), server.Database(t)
	file := pgtest.WriteURL(t, database)
	s := mustOpen(t, file)
	elsewhere := mustOpen(t, pgtest.WriteURL(t, other))
	rewrite(t, file, other)
	endConnections(t, server, name(t, database))
	var last error
	for range 20 {
		last = s.Apply(t.Context(), []store.Event{said(1, "alice", "a")})
	}
	expect(t, last, nil, "another database")
	if lines, err := elsewhere.RecentChat(t.Context(), movies, 9); err != nil || len(lines) != 0 {
		t.Errorf("the other database got %v, %v", lines, err)
	}
	rewrite(t, file, database)
	await(t, func() error { return s.Apply(t.Context(), []store.Event{said(1, "alice", "a")}) })
}

// A request is not repeated, and the ends of connections are seen before they are used.
func TestARestartOfTheServerFailsNoRequestOnAnIdleConnection(t *testing.T) {
	t.Parallel()
	server := pgtest.Use(t)
	database := server.Database(t)
	s := mustOpen(t, pgtest.WriteURL(t, database))
	conns := []*pgxpool.Conn{}
	for range 3 {
		conn, err := s.db.pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		conn.Release()
	}
	endConnections(t, server, name(t, database))
	waitForEnds(t, rawConn(t, server, "postgres"), name(t, database))
	if lines, err := s.RecentChat(t.Context(), movies, 9); err != nil || len(lines) != 0 {
		t.Errorf("reading: %v, %v", lines, err)
	}
	endConnections(t, server, name(t, database))
	waitForEnds(t, rawConn(t, server, "postgres"), name(t, database))
	if _, err := s.Enqueue(t.Context(), movies, store.OutboundLine{Text: "hi", At: clock(1)}); err != nil {
		t.Errorf("writing: %v", err)
	}
}

// waitForEnds waits until the server has ended all connections to a database.
func waitForEnds(t *testing.T, conn *pgx.Conn, database string) {
	t.Helper()
	waitUntil(t, conn, `SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = $1`, database)
}

// waitUntil waits until the server answers a question with true.
func waitUntil(t *testing.T, conn *pgx.Conn, question string, arguments ...any) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var answer bool
		if err := conn.QueryRow(t.Context(), question, arguments...).Scan(&answer); err != nil {
			t.Fatal(err)
		}
		if answer {
			return
		}
	}
	t.Fatalf("still not: %s", question)
}

// The server's words do not say what to do where a URL leads to a standby, or through a pooler.
func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"25006": "target_session_attrs", "0A000": "target_session_attrs", "26000": "default_query_exec_mode",
		"42P05": "default_query_exec_mode",
	} {
		failure := &pgconn.PgError{Code: code, Message: "cannot set transaction read-write mode during recovery"}
		err := classify(classify(fmt.Errorf("executing: %w", failure)))
		expect(t, err, nil, want)
		if strings.Count(err.Error(), want) != 1 {
			t.Errorf("said more than once: %v", err)
		}
	}
	other := &pgconn.PgError{Code: "0A000", Message: "no such feature"}
	expect(t, classify(other), nil, "no such feature (SQLSTATE 0A000)")
}
