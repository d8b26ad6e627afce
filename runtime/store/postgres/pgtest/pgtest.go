// Package pgtest runs a private PostgreSQL server for tests: one server for a test binary, and a database for each
// test. It needs the server's programs (Debian: postgresql); without them tests are skipped.
package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Password is the password of every role that this package creates.
const Password = "correct-horse"

// shared is the server of this test binary.
var shared struct {
	sync.Mutex
	running   bool // Run was called
	server    *Server
	failure   error
	databases atomic.Int64
}

// Run runs the tests and stops the server if they used it. Call it in TestMain: os.Exit(pgtest.Run(m.Run)).
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

// Use returns the server of this test binary, which the first call starts. It skips the test if PostgreSQL is not
// installed.
func Use(t testing.TB) *Server {
	t.Helper()
	if _, err := Programs(); err != nil {
		t.Skip(err)
	}
	shared.Lock()
	defer shared.Unlock()
	if !shared.running {
		t.Fatal("TestMain must call pgtest.Run, which stops the server")
	}
	if shared.server == nil && shared.failure == nil {
		shared.server, shared.failure = Start(t.Context())
	}
	if shared.failure != nil {
		t.Fatal(shared.failure)
	}
	return shared.server
}

// Database creates an empty database, owned by a role of its own, and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", shared.databases.Add(1))
	s.Execute(t, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", name, Password))
	s.Execute(t, fmt.Sprintf("CREATE DATABASE %s OWNER %s", name, name))
	return s.URL(name, Password, name)
}

// URLFile creates an empty database and returns a file with its URL.
func (s *Server) URLFile(t testing.TB) string {
	t.Helper()
	return WriteURL(t, s.Database(t))
}

// WriteURL returns a new file with a URL.
func WriteURL(t testing.TB, databaseURL string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(databaseURL+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// URL returns the URL of a database on the server.
func (s *Server) URL(user, password, database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Path: "/" + database,
		RawQuery: url.Values{"host": {s.dir}, "port": {port}}.Encode(),
	}).String()
}

// Execute executes a statement as the superuser.
func (s *Server) Execute(t testing.TB, statement string) {
	t.Helper()
	s.ExecuteIn(t, "postgres", statement)
}

// ExecuteIn executes statements in a database as the superuser.
func (s *Server) ExecuteIn(t testing.TB, database, statements string) {
	t.Helper()
	s.connect(t, database, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, statements).ReadAll()
		return err
	})
}

// connect calls do with a connection to a database as the superuser.
func (s *Server) connect(t testing.TB, database string, do func(context.Context, *pgx.Conn) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(superuser, Password, database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := do(ctx, conn); err != nil {
		t.Fatal(err)
	}
}

// fileLimit is above a segment of the write-ahead log, so that the server can write its log, and no multiple of a page:
// a table that grows to the limit gets half a page, as from a full disk.
const fileLimit = 1<<20 + 4096

// Fill limits the files that the present connections of a database can write to about a megabyte, as a full disk does.
func (s *Server) Fill(t testing.TB, database string) {
	t.Helper()
	s.connect(t, "postgres", func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE datname = $1", database)
		if err != nil {
			return err
		}
		pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
		if err != nil || len(pids) == 0 {
			return fmt.Errorf("connections of %s: %v, %w", database, pids, err)
		}
		for _, pid := range pids {
			// As the server's account: in a container root may not limit another account's process.
			prlimit := exec.CommandContext(ctx, "prlimit", "--fsize="+strconv.Itoa(fileLimit), "--pid", strconv.Itoa(int(pid)))
			prlimit.SysProcAttr, prlimit.Dir = s.attributes, s.dir
			if output, err := prlimit.CombinedOutput(); err != nil {
				return fmt.Errorf("limiting process %d: %w: %s", pid, err, output)
			}
		}
		return nil
	})
}

// Freeze stops all processes of the server until thaw is called or the test ends, as a machine that hangs: connections
// stay, and nobody answers. It is for a server of the test's own.
func (s *Server) Freeze(t testing.TB) (thaw func()) {
	t.Helper()
	postmaster := s.process.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", postmaster))
	if err != nil {
		t.Fatal(err)
	}
	pids := []int{postmaster}
	for field := range strings.FieldsSeq(string(children)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	signal := func(signal syscall.Signal) {
		for _, pid := range pids {
			_ = syscall.Kill(pid, signal) // a child may have ended meanwhile
		}
	}
	signal(syscall.SIGSTOP)
	thaw = sync.OnceFunc(func() { signal(syscall.SIGCONT) })
	t.Cleanup(thaw)
	return thaw
}
