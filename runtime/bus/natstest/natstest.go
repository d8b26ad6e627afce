// Package natstest runs a real NATS server inside a test.
package natstest

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/test/porttest"
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
		Host: "127.0.0.1", Port: porttest.Free(t), NoLog: true, NoSigs: true,
	}}
	s.Restart(configure...)
	t.Cleanup(s.Stop)
	return s
}

// JetStream returns an option that enables JetStream. The streams survive restarts of the server.
func JetStream(t testing.TB) func(*server.Options) {
	t.Helper()
	dir := t.TempDir()
	return func(o *server.Options) { o.JetStream, o.StoreDir = true, dir }
}

// Restart stops and starts the server, on the same port, after it has changed the options.
func (s *Server) Restart(configure ...func(*server.Options)) {
	s.t.Helper()
	s.Stop()
	for _, change := range configure {
		change(&s.options)
	}
	options := s.options
	running, err := server.NewServer(&options)
	if err != nil {
		s.t.Fatalf("creating a NATS server: %v", err)
	}
	running.Start()
	s.running = running
	if !running.ReadyForConnections(10 * time.Second) {
		s.t.Fatal("the NATS server did not become ready within 10 s")
	}
}

// Reload makes the running server take over changed options, as it does for `nats-server --signal reload`.
func (s *Server) Reload(configure func(*server.Options)) {
	s.t.Helper()
	configure(&s.options)
	options := s.options
	if err := s.running.ReloadOptions(&options); err != nil {
		s.t.Fatalf("reloading the configuration of the NATS server: %v", err)
	}
}

// Stop stops the server and closes its connections.
func (s *Server) Stop() {
	if s.running == nil {
		return
	}
	s.running.Shutdown()
	s.running.WaitForShutdown()
	s.running = nil
}

// URL returns the URL for clients. It stays the same while the server is stopped.
func (s *Server) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.options.Port) }

// MonitoringPort returns the port of the server's monitoring, which its options ask for.
func (s *Server) MonitoringPort() int { return s.running.MonitorAddr().Port }

// Connections returns the number of connections since the last start, refused ones included.
func (s *Server) Connections() uint64 {
	s.t.Helper()
	vars, err := s.running.Varz(nil)
	if err != nil {
		s.t.Fatalf("monitoring the NATS server: %v", err)
	}
	return vars.TotalConnections
}

// Clients returns the number of connections that are open.
func (s *Server) Clients() int { return s.running.NumClients() }

// Client returns a connection for the use of the test. It reconnects at once and is closed after the test.
func (s *Server) Client(options ...nats.Option) *nats.Conn {
	s.t.Helper()
	options = append(options, nats.ReconnectWait(20*time.Millisecond), nats.MaxReconnects(-1))
	connection, err := nats.Connect(s.URL(), options...)
	if err != nil {
		s.t.Fatalf("connecting to the test's NATS server: %v", err)
	}
	s.t.Cleanup(connection.Close)
	return connection
}

// ClientAs returns a Client that logs in.
func (s *Server) ClientAs(user, password string) *nats.Conn {
	s.t.Helper()
	return s.Client(nats.UserInfo(user, password))
}

// Users returns the sorted names of the connected users.
func (s *Server) Users() (names []string) {
	s.t.Helper()
	clients, err := s.running.Connz(&server.ConnzOptions{Username: true})
	if err != nil {
		s.t.Fatalf("monitoring the NATS server: %v", err)
	}
	for _, client := range clients.Conns {
		names = append(names, client.AuthorizedUser)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Eventually waits until condition is true, and far longer than that takes on a busy machine. what describes it in the
// failure.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	Within(t, 30*time.Second, what, condition)
}

// Within is Eventually with another limit.
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

// Log returns a logger that writes to the output of the test.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(writer{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type writer struct{ t testing.TB }

func (w writer) Write(line []byte) (int, error) {
	w.t.Log(string(line))
	return len(line), nil
}
