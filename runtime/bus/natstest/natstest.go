// Package natstest runs a real NATS server inside a test.
package natstest

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Server is a NATS server on loopback that can be stopped and started again on the same port.
type Server struct {
	t       testing.TB
	options server.Options
	running *server.Server
}

// Start starts a server on a free port. It ends with the test.
func Start(t testing.TB, configure ...func(*server.Options)) *Server {
	t.Helper()
	s := &Server{t: t, options: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
	}}
	s.Restart(configure...)
	t.Cleanup(s.Stop)
	return s
}

// JetStream has a server keep streams in files, over its restarts too.
func JetStream(t testing.TB) func(*server.Options) {
	t.Helper()
	dir := t.TempDir()
	return func(o *server.Options) { o.JetStream, o.StoreDir = true, dir }
}

// Restart starts the server again, on the port it had, and with changed options if given.
func (s *Server) Restart(configure ...func(*server.Options)) {
	s.t.Helper()
	s.Stop()
	for _, change := range configure {
		change(&s.options)
	}
	options := s.options
	running, err := server.NewServer(&options)
	if err != nil {
		s.t.Fatalf("making a NATS server: %v", err)
	}
	running.Start()
	s.running = running
	if !running.ReadyForConnections(10 * time.Second) {
		s.t.Fatal("the NATS server did not become ready within 10 s")
	}
	if address, ok := running.Addr().(*net.TCPAddr); ok {
		s.options.Port = address.Port
	}
}

// Stop ends the server and its connections at once.
func (s *Server) Stop() {
	if s.running == nil {
		return
	}
	s.running.Shutdown()
	s.running.WaitForShutdown()
	s.running = nil
}

// URL is where clients connect, also while the server is stopped.
func (s *Server) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.options.Port) }

// Connections counts the connections that clients made since the last start, refused ones too.
func (s *Server) Connections() uint64 {
	s.t.Helper()
	vars, err := s.running.Varz(nil)
	if err != nil {
		s.t.Fatalf("asking the NATS server: %v", err)
	}
	return vars.TotalConnections
}

// Client is a plain connection for the test's own use. It reconnects fast and ends with the test.
func (s *Server) Client() *nats.Conn {
	s.t.Helper()
	return s.client()
}

func (s *Server) client(options ...nats.Option) *nats.Conn {
	s.t.Helper()
	options = append(options, nats.ReconnectWait(20*time.Millisecond), nats.MaxReconnects(-1))
	connection, err := nats.Connect(s.URL(), options...)
	if err != nil {
		s.t.Fatalf("connecting to the test's NATS server: %v", err)
	}
	s.t.Cleanup(connection.Close)
	return connection
}

// ClientAs is a Client that logs in.
func (s *Server) ClientAs(user, password string) *nats.Conn {
	s.t.Helper()
	return s.client(nats.UserInfo(user, password))
}

// Users are the names of the users that are connected, each once.
func (s *Server) Users() (names []string) {
	s.t.Helper()
	clients, err := s.running.Connz(&server.ConnzOptions{Username: true})
	if err != nil {
		s.t.Fatalf("asking the NATS server: %v", err)
	}
	for _, client := range clients.Conns {
		names = append(names, client.AuthorizedUser)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Eventually waits until condition is true, for at most 10 seconds. what says what is waited for.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	Within(t, 10*time.Second, what, condition)
}

// Within is Eventually for what takes longer by its nature.
func Within(t testing.TB, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Log is a logger that writes to the test's output.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(writer{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type writer struct{ t testing.TB }

func (w writer) Write(line []byte) (int, error) {
	w.t.Log(string(line))
	return len(line), nil
}
