package bus

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/status"
)

// connState turns what nats.go reports into a check and one log line for each change.
type connState struct {
	servers string
	log     *slog.Logger

	mu       sync.Mutex
	current  status.Check
	standing bool
	connects int
	stopping bool
	why      string          // of a disconnect that we cause ourselves
	denied   map[string]bool // subjects that the server refused on this connection
}

func newConnState(servers string, log *slog.Logger) *connState {
	return &connState{
		servers: servers, log: log,
		current: status.Check{
			Name: status.NATSCheck, Reason: status.ReasonStarting,
			Message: "connecting to NATS at " + servers, Since: time.Now(),
		},
	}
}

func (s *connState) check() status.Check {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *connState) isConnected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.standing
}

// reconnects is how often the connection came back.
func (s *connState) reconnects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.connects-1, 0)
}

func (s *connState) connected(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.standing {
		return
	}
	s.standing = true
	s.connects++
	s.denied = nil // the permissions may be others by now
	s.set(s.log.Info, true, status.ReasonConnected, "connected to NATS at "+server)
}

func (s *connState) disconnected(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing = false
	cause := "the server closed it"
	if err != nil && !errors.Is(err, io.EOF) {
		cause = ErrorMessage(err)
	}
	if s.why != "" {
		cause, s.why = s.why, ""
	}
	s.set(s.log.Warn, false, status.ReasonNATSUnreachable,
		"the connection to NATS at "+s.servers+" broke: "+cause+"; trying again")
}

// attemptFailed takes the cause of an attempt to connect that failed.
func (s *connState) attemptFailed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail(err)
}

// fail needs the lock.
func (s *connState) fail(err error) {
	// At the first attempt "no servers available" hides the cause. The next one is soon, and tells it.
	if errors.Is(err, nats.ErrNoServers) {
		return
	}
	s.standing = false
	if errors.Is(err, errNoLogin) {
		s.set(s.log.Warn, false, status.ReasonNATSCredentialsAbsent,
			"cannot log in to NATS at "+s.servers+": "+err.Error()+"; trying again")
		return
	}
	if isRefusal(err) {
		s.set(s.log.Warn, false, status.ReasonNATSRefused,
			"NATS at "+s.servers+" refuses the connection: "+ErrorMessage(err)+"; trying again")
		return
	}
	s.set(s.log.Warn, false, status.ReasonNATSUnreachable,
		"cannot reach NATS at "+s.servers+": "+ErrorMessage(err)+"; trying again")
}

// reported takes an error that the server or nats.go reports beside the connection's course.
func (s *connState) reported(subscription *nats.Subscription, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, nats.ErrPermissionViolation) {
		s.forbidden(err)
		return
	}
	if isRefusal(err) || (subscription == nil && !s.standing) {
		s.fail(err)
		return
	}
	subject := ""
	if subscription != nil {
		subject = subscription.Subject
	}
	s.log.Warn("[NATS] "+ErrorMessage(err), "subject", subject)
}

// maxDenied bounds what is remembered of refused subjects.
const maxDenied = 100

var deniedSubject = regexp.MustCompile(`(?i)for (publish|subscription) to "([^"]+)"`)

// forbidden needs the lock.
func (s *connState) forbidden(err error) {
	what := ErrorMessage(err)
	if parts := deniedSubject.FindStringSubmatch(err.Error()); parts != nil {
		what = fmt.Sprintf("the account may not %s %q", map[string]string{
			"publish": "publish to", "subscription": "subscribe to",
		}[strings.ToLower(parts[1])], parts[2])
		s.deny(parts[2])
		if strings.HasPrefix(parts[2], servicesAPI) {
			// Only `nats micro` needs these subjects, to list the database service.
			s.log.Debug("[NATS] " + what)
			return
		}
		if strings.HasPrefix(parts[2], jetStreamAPI) {
			// Whether JetStream is needed is not the connection's to say. Whoever asked sees it from deniedFor.
			s.log.Warn("[NATS] " + what)
			return
		}
	}
	// The connection stands and does not do its job. What is forbidden stays so until the
	// server's configuration changes, and then it makes us reconnect.
	s.set(s.log.Error, false, status.ReasonNATSPermissionMissing, "NATS at "+s.servers+": "+what)
}

// deny records a subject that the server refused on this connection. It needs the lock.
func (s *connState) deny(subject string) {
	if len(s.denied) >= maxDenied {
		return
	}
	if s.denied == nil {
		s.denied = map[string]bool{}
	}
	s.denied[subject] = true
}

// jetStreamAPI is what the subjects begin with by which JetStream is asked and managed.
const jetStreamAPI = "$JS."

// servicesAPI is the prefix of the subjects by which services are listed.
const servicesAPI = "$SRV."

// deniedFor is a subject of JetStream about a stream that the server has refused on the connection that stands.
func (s *connState) deniedFor(stream string) (subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for subject := range s.denied {
		if strings.HasPrefix(subject, jetStreamAPI) && strings.Contains(subject, "."+stream) {
			return subject
		}
	}
	return ""
}

// reconnecting names the cause of the disconnect that comes.
func (s *connState) reconnecting(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = why
}

func (s *connState) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(s.log.Info, false, status.ReasonStopping, "closing the connection to NATS")
	s.stopping = true
}

// closed is called when there will be no connection any more.
func (s *connState) closed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing = false
	cause := "no reason given"
	if err != nil {
		cause = ErrorMessage(err)
	}
	s.set(s.log.Error, false, status.ReasonNATSRefused, "NATS at "+s.servers+" ended the connection for good: "+cause)
}

func (s *connState) set(log func(string, ...any), ok bool, reason status.Reason, message string) {
	next := status.Check{Name: status.NATSCheck, OK: ok, Reason: reason, Message: message, Since: s.current.Since}
	if s.stopping || next == s.current {
		return
	}
	if next.OK != s.current.OK || next.Reason != s.current.Reason {
		next.Since = time.Now()
	} else {
		// Several servers fail for different causes in turn; that must not fill the log.
		log = s.log.Debug
	}
	s.current = next
	log("[NATS] " + message)
}
