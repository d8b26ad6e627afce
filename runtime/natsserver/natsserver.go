// Package natsserver runs a NATS server inside the process, for a bot that has no other.
//
// Only `rosey run` imports it: a bot and a database service of their own connect to a server elsewhere.
package natsserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Name is what the server is called where a URL is expected.
const Name = "nats://inside"

// readyTimeout is far more than a server takes to start.
const readyTimeout = 10 * time.Second

// Options say how the server can be reached.
type Options struct {
	// Listen is host:port for clients of other processes, who are not asked who they are. Empty: there
	// is no listener, and only InProcessConn reaches the server.
	Listen string
	Log    *slog.Logger
}

// Server is a running NATS server without JetStream.
type Server struct {
	server *server.Server
}

// Start starts a server. Its error says what is wrong with Listen.
func Start(o Options) (*Server, error) {
	options := &server.Options{DontListen: true, NoSigs: true, ServerName: "rosey"}
	if o.Listen != "" {
		host, port, err := splitAddress(o.Listen)
		if err != nil {
			return nil, err
		}
		options.DontListen, options.Host, options.Port = false, host, port
	}
	running, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("making a NATS server: %w", err)
	}
	complaints := &logger{log: o.Log}
	running.SetLoggerV2(complaints, false, false, false)
	running.Start()
	s := &Server{server: running}
	if err := s.awaitReady(complaints); err != nil {
		s.Stop()
		return nil, fmt.Errorf("starting a NATS server%s: %w", at(o.Listen), err)
	}
	return s, nil
}

// awaitReady looks in between whether the server has given up, which it only logs.
func (s *Server) awaitReady(complaints *logger) error {
	for deadline := time.Now().Add(readyTimeout); time.Now().Before(deadline); {
		if s.server.ReadyForConnections(readyTimeout / 100) {
			return nil
		}
		if err := complaints.last(); err != nil {
			return err
		}
	}
	return errors.New("it did not become ready within " + readyTimeout.String())
}

func at(listen string) string {
	if listen == "" {
		return ""
	}
	return " on " + listen
}

// splitAddress takes host:port; port 0 is any that is free.
func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q, expected host:port", address)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// InProcessConn implements nats.InProcessConnProvider.
func (s *Server) InProcessConn() (net.Conn, error) {
	conn, err := s.server.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("connecting to the NATS server inside: %w", err)
	}
	return conn, nil
}

// URL is where other processes reach the server. It is empty without a listener.
func (s *Server) URL() string {
	if s.server.Addr() == nil {
		return ""
	}
	return "nats://" + s.server.Addr().String()
}

// Stop ends the server and its connections.
func (s *Server) Stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}
