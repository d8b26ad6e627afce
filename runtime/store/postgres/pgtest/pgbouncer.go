package pgtest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// poolerPort is a part of the socket's name.
const poolerPort = "6432"

// Pooler is PgBouncer in front of a Server, with one server connection for each transaction.
type Pooler struct{ dir string }

// StartPooler starts PgBouncer with a number of server connections for each database, until the test ends. It skips the
// test if PgBouncer is not installed.
func (s *Server) StartPooler(t testing.TB, connections int) Pooler {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // not in the path of every user
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
	}
	dir, err := os.MkdirTemp("", "rosey-pgb-") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	settings := fmt.Sprintf(`[databases]
* = host=%s port=%s user=%s password=%s
[pgbouncer]
listen_addr =
unix_socket_dir = %s
listen_port = %s
auth_type = any
pool_mode = transaction
default_pool_size = %d
query_wait_timeout = 60
`, s.dir, port, superuser, Password, dir, poolerPort, connections)
	_, err = Account(dir)
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "settings"), []byte(settings), 0o644)); err != nil {
		t.Fatal(err)
	}
	s.launchPooler(t, exec.Command(program, filepath.Join(dir, "settings")), dir)
	return Pooler{dir}
}

// launchPooler starts PgBouncer and waits until it answers. As with a Server, it ends with the test binary.
func (s *Server) launchPooler(t testing.TB, process *exec.Cmd, dir string) {
	t.Helper()
	attributes := *s.attributes
	attributes.Pdeathsig = syscall.SIGKILL
	process.SysProcAttr, process.Dir = &attributes, dir
	output, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = output.Close() }()
	process.Stdout, process.Stderr = output, output
	started, stopped := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := process.Start()
		started <- err
		if err == nil {
			_ = process.Wait()
			close(stopped)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); <-stopped })
	for end := time.Now().Add(startTimeout); ; {
		conn, err := pgx.Connect(t.Context(), Pooler{dir}.URL("postgres")+"&default_query_exec_mode=exec")
		if err == nil {
			_ = conn.Close(t.Context())
			return
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("PgBouncer does not answer: %v\n%s", err, text)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// URL returns the URL of a database behind the pooler, which uses the server as the superuser.
func (p Pooler) URL(database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword("anybody", Password), Path: "/" + database,
		RawQuery: url.Values{"host": {p.dir}, "port": {poolerPort}}.Encode(),
	}).String()
}
