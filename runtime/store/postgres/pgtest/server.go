package pgtest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	superuser = "postgres"
	// port is a part of the socket's name: the server listens on no network.
	port = "5432"
	// startTime is generous: machines are busy.
	startTime = time.Minute
)

// Server is a PostgreSQL server with a directory of its own.
type Server struct {
	dir, sockets string
	attributes   *syscall.SysProcAttr // as whom its programs run
	process      *exec.Cmd
	stopped      chan struct{}
	ended        error // of what it ended, once it is stopped
}

// Programs is the directory of the server's programs, of the newest version that is installed.
func Programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL's server is not installed: no /usr/lib/postgresql/*/bin/postgres " +
			"(Debian: apt-get install postgresql)")
	}
	newest := found[0]
	for _, program := range found {
		if version(program) > version(newest) {
			newest = program
		}
	}
	return filepath.Dir(newest), nil
}

func version(program string) int {
	number, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(program)))) // not a number is the oldest
	return number
}

// Start makes a server. It writes without waiting for the disk unless settings, as on its command line,
// say otherwise.
func Start(settings ...string) (*Server, error) {
	programs, err := Programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "rosey-pg-") // a socket's path must be short
	if err != nil {
		return nil, fmt.Errorf("making the server's directory: %w", err)
	}
	s := &Server{dir: dir, sockets: dir, stopped: make(chan struct{})}
	if err := s.start(programs, settings); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Server) start(programs string, settings []string) error {
	var err error
	if s.attributes, err = s.unprivileged(); err != nil {
		return err
	}
	password, data := filepath.Join(s.dir, "password"), filepath.Join(s.dir, "data")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil {
		return fmt.Errorf("writing the password: %w", err)
	}
	initialize := exec.Command(filepath.Join(programs, "initdb"), "--pgdata", data, "--username", superuser,
		"--pwfile", password, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
		"--wal-segsize", "1")
	initialize.SysProcAttr, initialize.Dir = s.attributes, s.dir
	if output, err := initialize.CombinedOutput(); err != nil {
		return fmt.Errorf("making a database cluster: %w: %s", err, output)
	}
	arguments := []string{
		"-D", data, "-k", s.sockets, "-c", "listen_addresses=", "-c", "port=" + port, "-c", "max_connections=200",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
	}
	for _, setting := range settings {
		arguments = append(arguments, "-c", setting)
	}
	return s.launch(filepath.Join(programs, "postgres"), arguments)
}

// launch starts the server in a thread that lives as long as it: if the test binary dies, so does the server.
func (s *Server) launch(program string, arguments []string) error {
	output, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return fmt.Errorf("making the server's log: %w", err)
	}
	defer func() { _ = output.Close() }() // the server has its own
	s.process = exec.Command(program, arguments...)
	s.process.Dir, s.process.Stdout, s.process.Stderr = s.dir, output, output
	own := *s.attributes
	own.Pdeathsig = syscall.SIGQUIT
	s.process.SysProcAttr = &own
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.process.Start()
		started <- err
		if err == nil {
			s.ended = s.process.Wait()
			close(s.stopped)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	return s.waitUntilReady()
}

func (s *Server) waitUntilReady() error {
	socket := filepath.Join(s.sockets, ".s.PGSQL."+port)
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case <-s.stopped:
			return fmt.Errorf("the server ended: %w: %s", s.ended, s.Log())
		default:
		}
		// It takes connections from when it is ready.
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
			if strings.Contains(s.Log(), "ready to accept connections") {
				return nil
			}
		}
	}
	return errors.Join(fmt.Errorf("the server is not ready after %v: %s", startTime, s.Log()), s.Stop())
}

// Log is what the server has written to its log.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Stop ends the server, which need not tidy up, and removes what it has kept.
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

// unprivileged is as whom the server runs: it refuses to run as root.
func (s *Server) unprivileged() (*syscall.SysProcAttr, error) {
	attributes := &syscall.SysProcAttr{Setpgid: true} // Ctrl-C at the tests is not for the server
	if os.Getuid() != 0 {
		return attributes, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("finding an account to run the server under: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr, os.Chown(s.dir, int(uid), int(gid))); err != nil {
		return nil, fmt.Errorf("giving the server's directory to %s: %w", account.Username, err)
	}
	attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attributes, nil
}
