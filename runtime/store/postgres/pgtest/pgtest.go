// Package pgtest is a private PostgreSQL server for tests: the real one, once for a test binary, with a
// database for each test.
package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Password is that of every role that this package makes.
const Password = "correct-horse"

// shared is the server of this test binary.
var shared struct {
	sync.Mutex
	running bool // Run is
	server  *Server
	failed  error
	number  atomic.Int64
}

// Run runs the tests and ends the server if they needed one: os.Exit(pgtest.Run(m.Run)) in TestMain.
func Run(tests func() int) int {
	shared.running = true
	code := tests()
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
		}
	}
	return code
}

// Use starts the server at the first call. Without the server's programs the test is skipped.
func Use(t testing.TB) *Server {
	t.Helper()
	skipWithout(t)
	shared.Lock()
	defer shared.Unlock()
	if !shared.running {
		t.Fatal("TestMain must call pgtest.Run, which ends the server")
	}
	if shared.server == nil && shared.failed == nil {
		shared.server, shared.failed = Start()
	}
	if shared.failed != nil {
		t.Fatal(shared.failed)
	}
	return shared.server
}

func skipWithout(t testing.TB) {
	t.Helper()
	if _, err := Programs(); err != nil {
		t.Skip(err)
	}
}

// Database makes an empty database, owned by a role of its own, and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", shared.number.Add(1))
	s.Execute(t, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", name, Password))
	s.Execute(t, fmt.Sprintf("CREATE DATABASE %s OWNER %s", name, name))
	return s.URL(name, Password, name)
}

// URLFile makes an empty database and returns a file that holds its URL.
func (s *Server) URLFile(t testing.TB) string {
	t.Helper()
	return WriteURL(t, s.Database(t))
}

// WriteURL returns a file that holds a URL.
func WriteURL(t testing.TB, databaseURL string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(databaseURL+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// URL is that of a database on the server.
func (s *Server) URL(user, password, database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Path: "/" + database,
		RawQuery: url.Values{"host": {s.sockets}, "port": {port}}.Encode(),
	}).String()
}

// Execute executes a statement as the server's superuser.
func (s *Server) Execute(t testing.TB, statement string) {
	t.Helper()
	s.ExecuteIn(t, "postgres", statement)
}

// ExecuteIn executes statements in a database as the server's superuser.
func (s *Server) ExecuteIn(t testing.TB, database, statements string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(superuser, Password, database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.PgConn().Exec(ctx, statements).ReadAll(); err != nil {
		t.Fatal(err)
	}
}
