package pgtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser = "postgres"
	// port is a part of the socket's name: the server listens on no network.
	port = "5432"
	// startTimeout is long because machines that run tests are busy.
	startTimeout = time.Minute
)

// Server is a PostgreSQL server.
type Server struct {
	dir        string               // its data, log and socket
	attributes *syscall.SysProcAttr // of its programs
	process    *exec.Cmd
	stopped    chan struct{}
	exit       error // set when stopped is closed
}

// Programs returns the directory of the server's programs, of the newest version that is installed.
func Programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL's server is not installed: no /usr/lib/postgresql/*/bin/postgres " +
			"(Debian: apt-get install postgresql)")
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(version(a), version(b)) })
	return filepath.Dir(newest), nil
}

func version(program string) int {
	number, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(program)))) // 0 for a directory that is no number
	return number
}

// Start starts a server, with settings as on its command line, and waits until it is ready or ctx ends. By default the
// server does not wait for the disk.
func Start(ctx context.Context, settings ...string) (*Server, error) {
	programs, err := Programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rosey-pg-") // that of t.TempDir is too long for a socket
	if err != nil {
		return nil, fmt.Errorf("creating the server's directory: %w", err)
	}
	s := &Server{dir: dir, stopped: make(chan struct{})}
	if err := s.start(ctx, programs, settings); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, programs string, settings []string) error {
	account, err := Account(s.dir)
	if err != nil {
		return err
	}
	s.attributes = &syscall.SysProcAttr{Setpgid: true, Credential: account} // Ctrl-C must not reach it before the tests
	password, data := filepath.Join(s.dir, "password"), filepath.Join(s.dir, "data")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil {
		return fmt.Errorf("writing the password: %w", err)
	}
	initialize := exec.Command(filepath.Join(programs, "initdb"), "--pgdata", data, "--username", superuser,
		"--pwfile", password, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
		"--wal-segsize", "1")
	initialize.SysProcAttr, initialize.Dir = s.attributes, s.dir
	if output, err := initialize.CombinedOutput(); err != nil {
		return fmt.Errorf("creating a database cluster: %w: %s", err, output)
	}
	arguments := []string{
		"-D", data, "-k", s.dir, "-c", "listen_addresses=", "-c", "port=" + port, "-c", "max_connections=200",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
	}
	for _, setting := range settings {
		arguments = append(arguments, "-c", setting)
	}
	return s.launch(ctx, filepath.Join(programs, "postgres"), arguments)
}

// launch starts the server in a thread that lives as long as the server, so that the kernel ends the server when the
// test binary dies.
func (s *Server) launch(ctx context.Context, program string, arguments []string) error {
	output, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return fmt.Errorf("creating the server's log: %w", err)
	}
	defer func() { _ = output.Close() }() // the server has its own descriptor
	s.process = exec.Command(program, arguments...)
	s.process.Dir, s.process.Stdout, s.process.Stderr = s.dir, output, output
	attributes := *s.attributes
	attributes.Pdeathsig = syscall.SIGQUIT
	s.process.SysProcAttr = &attributes
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.process.Start()
		started <- err
		if err == nil {
			s.exit = s.process.Wait()
			close(s.stopped)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	return s.waitUntilReady(ctx)
}

func (s *Server) waitUntilReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL(superuser, Password, "postgres"))
		if err == nil {
			_ = conn.Close(ctx)
			return nil
		}
		select {
		case <-s.stopped:
			return fmt.Errorf("the server ended: %w: %s", s.exit, s.Log())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the server is not ready after %v: %w: %s", startTimeout, err, s.Log()), s.Stop())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Log returns what the server has written to its log.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Stop kills the server and removes its directory.
func (s *Server) Stop() error {
	if err := s.process.Process.Signal(syscall.SIGQUIT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the server: %w", err)
	}
	<-s.stopped
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("removing the server's directory: %w", err)
	}
	return nil
}

// Account returns the account to run the programs of PostgreSQL under, which refuse to run as root, and makes it the
// owner of a directory. Nil stands for the account of this process.
func Account(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // see above
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("finding an account for PostgreSQL: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return nil, fmt.Errorf("finding the numbers of account %s: %w", account.Username, err)
	}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return nil, fmt.Errorf("making account %s the owner of a directory: %w", account.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
