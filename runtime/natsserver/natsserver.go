package natsserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Name stands for the server where a URL is expected, for example in log lines and checks.
const Name = "nats://inside"

const (
	// readyTimeout is far more than a server takes to start.
	readyTimeout = 10 * time.Second
	// readyPoll is the time after which a waiting Start looks for a fatal error.
	readyPoll = 100 * time.Millisecond
)

// Options configure a Server. Log is required.
type Options struct {
	// Listen is the host:port for clients in other processes. Port 0 is any free one. Empty: there is no listener, and
	// only InProcessConn reaches the server.
	Listen string
	// Users are who may log in. Empty: everybody may do everything without a password.
	Users []User
	Log   *slog.Logger
}

// User is somebody who may log in, also from the same process.
type User struct {
	Name, Password string
	// Permissions are nil for who may do everything.
	Permissions *Permissions
}

// Permissions are lists of subjects with wildcards, as in a server's configuration: those for subscriptions may be
// followed by a space and a queue group, and a denied one has precedence. An empty list of allowed ones allows all.
type Permissions struct {
	Publish, DenyPublish     []string
	Subscribe, DenySubscribe []string
	// MaxResponses is how many messages may be sent to the reply subject of a request within ResponseTime. 0: only what
	// Publish allows.
	MaxResponses int
	ResponseTime time.Duration
}

// configured returns the user as the server's configuration has it.
func (u User) configured() *server.User {
	user := &server.User{Username: u.Name, Password: u.Password}
	if p := u.Permissions; p != nil {
		user.Permissions = &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: p.Publish, Deny: p.DenyPublish},
			Subscribe: &server.SubjectPermission{Allow: p.Subscribe, Deny: p.DenySubscribe},
		}
		if p.MaxResponses > 0 {
			user.Permissions.Response = &server.ResponsePermission{MaxMsgs: p.MaxResponses, Expires: p.ResponseTime}
		}
	}
	return user
}

// Server is a running NATS server without JetStream.
type Server struct {
	server  *server.Server
	options *server.Options
}

// Start starts a server. An error names Options.Listen and says what is wrong with it.
func Start(o Options) (*Server, error) {
	options := &server.Options{DontListen: true, NoSigs: true, ServerName: "rosey"}
	where := ""
	if o.Listen != "" {
		host, port, err := splitAddress(o.Listen)
		if err != nil {
			return nil, err
		}
		options.DontListen, options.Host, options.Port = false, host, port
		where = " on " + o.Listen
	}
	for _, user := range o.Users {
		options.Users = append(options.Users, user.configured())
	}
	running, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("creating the NATS server: %w", err)
	}
	log := &logger{log: o.Log}
	running.SetLoggerV2(log, false, false, false)
	running.Start()
	s := &Server{server: running, options: options.Clone()}
	if err := s.waitReady(log); err != nil {
		s.Stop()
		return nil, fmt.Errorf("starting the NATS server%s: %w", where, err)
	}
	return s, nil
}

// waitReady waits until the server takes connections. That it has failed to start shows only in its log.
func (s *Server) waitReady(log *logger) error {
	for deadline := time.Now().Add(readyTimeout); time.Now().Before(deadline); {
		if s.server.ReadyForConnections(readyPoll) {
			return nil
		}
		if err := log.fatal.Load(); err != nil {
			return *err
		}
	}
	return errors.New("it did not become ready within " + readyTimeout.String())
}

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

// SetUsers sets who may log in, and what they may do from now on. Whoever may not log in any more is disconnected, and
// whoever may not receive something any more does not. A connection that has not logged in yet is closed with an
// authorization error, whoever it is. It is not for a server that was started without users.
func (s *Server) SetUsers(users []User) error {
	options := s.options.Clone()
	options.Users = nil
	for _, user := range users {
		options.Users = append(options.Users, user.configured())
	}
	if err := s.server.ReloadOptions(options); err != nil {
		return fmt.Errorf("changing the users of the NATS server: %w", err)
	}
	return nil
}

// InProcessConn implements nats.InProcessConnProvider.
func (s *Server) InProcessConn() (net.Conn, error) {
	conn, err := s.server.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("connecting to the NATS server of this process: %w", err)
	}
	return conn, nil
}

// URL returns the URL for other processes. It is empty without a listener.
func (s *Server) URL() string {
	if s.server.Addr() == nil {
		return ""
	}
	return "nats://" + s.server.Addr().String()
}

// Stop closes the server and its connections and waits until it has stopped.
func (s *Server) Stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// logger passes the server's log on and remembers its last fatal error. It implements server.Logger.
type logger struct {
	log   *slog.Logger
	fatal atomic.Pointer[error]
}

// Fatalf must not end the process as that of nats-server does.
func (l *logger) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.fatal.Store(&err)
}

// Errorf implements server.Logger.
func (l *logger) Errorf(format string, v ...any) { l.log.Error("[NATS] " + fmt.Sprintf(format, v...)) }

// Warnf implements server.Logger.
func (l *logger) Warnf(format string, v ...any) { l.log.Warn("[NATS] " + fmt.Sprintf(format, v...)) }

// Noticef logs at debug level: a person who starts a bot does not need what the server reports of its own start.
func (l *logger) Noticef(format string, v ...any) { l.log.Debug("[NATS] " + fmt.Sprintf(format, v...)) }

// Debugf implements server.Logger.
func (l *logger) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (l *logger) Tracef(string, ...any) {}
