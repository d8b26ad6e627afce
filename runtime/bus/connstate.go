package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"rosey.dev/rosey/runtime/status"
)

const (
	// jetStreamAPI is the prefix of the subjects of JetStream's API and acknowledgements.
	jetStreamAPI = "$JS."
	// servicesAPI is the prefix of the subjects by which `nats micro` lists services.
	servicesAPI = "$SRV."
	// ackAPI and nextAPI are the prefixes of the subjects of acknowledgements and of requests for the next messages.
	ackAPI, nextAPI = jetStreamAPI + "ACK.", jetStreamAPI + "API.CONSUMER.MSG.NEXT."
	// maxDenied bounds connState.denied.
	maxDenied = 100
	// minMaxPayload is what a message with a line of chat, or with the status of a bot, may need in bytes. A server that
	// accepts less drops some of them, and everything else works.
	minMaxPayload = 8 << 10
	// replyDeniedInterval is the time between two log lines about replies that the server has refused.
	replyDeniedInterval = time.Minute
)

// connState turns the callbacks of nats.go into a check and one log line for each change. It holds no lock while it
// logs: a slow log must not block those who ask whether the connection is established.
type connState struct {
	servers   string
	log       *slog.Logger
	check     *status.Recorder
	connected atomic.Bool
	connects  atomic.Int64
	requests  *prometheus.CounterVec

	refusal atomic.Value // string: what the server said in the present attempt instead of taking part in it

	mu              sync.Mutex
	stopping        bool
	reconnectReason string          // why this process is about to disconnect. Empty: it is not
	denied          map[string]bool // subjects that the server has denied on this connection
	tried           map[string]bool // subjects of MaySubscribe
	watchers        map[*deniedWatcher]struct{}
	wakes           []chan<- struct{} // of NotifyChange
	replyDenied     time.Time         // of the last log line about a refused reply
}

// deniedWatcher ends a context when the server denies a subject.
type deniedWatcher struct {
	isMeant func(subject string) bool
	end     context.CancelCauseFunc
}

func newConnState(servers string, log *slog.Logger) *connState {
	return &connState{
		servers: servers, log: log,
		check: status.NewRecorder(status.NATSCheck, "connecting to NATS at "+servers),
	}
}

func (s *connState) register(registerer prometheus.Registerer) {
	metrics := promauto.With(registerer)
	metrics.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rosey_bus_connected",
		Help: "1 while the connection to NATS is established.",
	}, func() float64 {
		if s.connected.Load() {
			return 1
		}
		return 0
	})
	metrics.NewCounterFunc(prometheus.CounterOpts{
		Name: "rosey_bus_reconnects_total",
		Help: "How often the connection to NATS was established again after it broke.",
	}, func() float64 { return float64(max(s.connects.Load()-1, 0)) })
	s.requests = metrics.NewCounterVec(prometheus.CounterOpts{
		Name: "rosey_bus_requests_total",
		Help: "Requests for the state of the channel, or of the process, by outcome: answered, ignored by a bot that does " +
			"not lead, no_inbox, busy or failed.",
	}, []string{"outcome"})
	for _, outcome := range []string{requestAnswered, requestIgnored, requestNoInbox, requestBusy, requestFailed} {
		s.requests.WithLabelValues(outcome)
	}
}

// countRequest counts a request to Conn.Serve.
func (s *connState) countRequest(outcome string) { s.requests.WithLabelValues(outcome).Inc() }

func (s *connState) onConnected(connection *nats.Conn) {
	if !s.connected.CompareAndSwap(false, true) {
		return
	}
	s.connects.Add(1)
	s.mu.Lock()
	s.denied = nil // the permissions may have changed
	s.mu.Unlock()
	defer s.wake()
	server := redactURL(connection.ConnectedUrl())
	if limit := connection.MaxPayload(); limit < minMaxPayload {
		s.set(s.log.Error, false, status.ReasonNATSRefused, fmt.Sprintf("NATS at %s accepts messages of up to %d bytes, and "+
			"a line of chat or the status of a bot may need %d: raise max_payload of the server or of the account",
			server, limit, minMaxPayload))
		return
	}
	s.set(s.log.Info, true, status.ReasonConnected, "connected to NATS at "+server)
}

func (s *connState) onDisconnected(err error) {
	s.connected.Store(false)
	s.wake()
	cause := "the server closed it"
	if err != nil && !errors.Is(err, io.EOF) {
		cause = ErrorMessage(err)
	}
	s.mu.Lock()
	if s.reconnectReason != "" {
		cause, s.reconnectReason = s.reconnectReason, ""
	}
	s.mu.Unlock()
	reason := status.ReasonNATSUnreachable
	if err != nil && isRefusal(err) {
		reason = status.ReasonNATSRefused
	}
	s.set(s.log.Warn, false, reason, "the connection to NATS at "+s.servers+" broke: "+cause+"; trying again")
}

// onAttemptFailed is called after a failed attempt to connect.
func (s *connState) onAttemptFailed(err error) {
	// At the first attempt "no servers available" hides the cause. The next attempt comes soon and returns it.
	if errors.Is(err, nats.ErrNoServers) {
		return
	}
	if s.connected.Swap(false) {
		s.wake()
	}
	if refusal, _ := s.refusal.Load().(string); refusal != "" && !isRefusal(err) {
		err = errors.New(refusal)
	}
	reason, message := status.ReasonNATSUnreachable, "cannot reach NATS at "+s.servers+": "+ErrorMessage(err)
	switch {
	case errors.Is(err, errNoCredentials):
		reason, message = status.ReasonNATSCredentialsAbsent, "cannot log in to NATS at "+s.servers+": "+err.Error()
	case isRefusal(err):
		reason = status.ReasonNATSRefused
		message = "NATS at " + s.servers + " refuses the connection: " + ErrorMessage(err)
	}
	s.set(s.log.Warn, false, reason, message+"; trying again")
}

// setRefusal records what the server has said in the present attempt to connect. Empty: nothing yet.
func (s *connState) setRefusal(text string) { s.refusal.Store(text) }

// onError is called for errors outside of connecting and disconnecting.
func (s *connState) onError(subscription *nats.Subscription, err error) {
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		s.onPermissionDenied(err)
	case errors.Is(err, nats.ErrMaxSubscriptionsExceeded):
		// The server does not say which one it refuses. Like a denied one it is missing until the next connection, which
		// a change of the limit makes.
		s.set(s.log.Error, false, status.ReasonNATSPermissionMissing, "NATS at "+s.servers+
			": the server refuses a subscription: the connection has as many as max_subscriptions, or the limit of the "+
			"account or of the user, allows")
	case isRefusal(err), subscription == nil && !s.connected.Load():
		s.onAttemptFailed(err)
	case subscription == nil:
		s.log.Warn("[NATS] " + ErrorMessage(err))
	default:
		s.log.Warn("[NATS] "+ErrorMessage(err), "subject", subscription.Subject)
	}
}

// permissionDenied matches the server's error, such as `Permissions Violation for Publish to "a.b"`.
var permissionDenied = regexp.MustCompile(`(?i)for (publish|subscription) to "([^"]+)"`)

func (s *connState) onPermissionDenied(err error) {
	message, subject, isNew, isPublish := ErrorMessage(err), "", true, false
	if parts := permissionDenied.FindStringSubmatch(err.Error()); parts != nil {
		subject, isPublish = parts[2], strings.EqualFold(parts[1], "publish")
		if isPublish && IsInbox(subject) {
			s.onReplyDenied(subject)
			return
		}
		verb := map[string]string{"publish": "publish to", "subscription": "subscribe to"}[strings.ToLower(parts[1])]
		message = fmt.Sprintf("the account may not %s %q", verb, subject)
		isNew = s.addDenied(subject)
	}
	switch {
	case strings.HasPrefix(subject, servicesAPI), s.isTried(subject):
		// Only `nats micro` needs the former. The latter are tried to find out whether they are denied.
		s.log.Debug("[NATS] " + message)
	case isPublish && isOptional(subject):
		// Who sends the request gets a DeniedError: see Requester. One person who may not do something must not make the
		// process look broken to all others.
		s.log.Debug("[NATS] " + message)
	case strings.HasPrefix(subject, jetStreamAPI) && !isNew:
		s.log.Debug("[NATS] " + message)
	case strings.HasPrefix(subject, jetStreamAPI):
		// Whether JetStream is needed is decided by who has sent the request: see Conn.Do.
		s.log.Warn("[NATS] " + message)
	default:
		// The connection is of no use like this. A change of the permissions makes the server disconnect the client.
		s.set(s.log.Error, false, status.ReasonNATSPermissionMissing, "NATS at "+s.servers+": "+message)
	}
}

// onReplyDenied is called when the server has refused a reply. The connection is not reported as failing: where replies
// are allowed by allow_responses, any client can have one refused, by using a reply subject for two requests at a time.
func (s *connState) onReplyDenied(subject string) {
	s.mu.Lock()
	isDue := time.Since(s.replyDenied) >= replyDeniedInterval
	if isDue {
		s.replyDenied = time.Now()
	}
	s.mu.Unlock()
	if isDue {
		s.log.Warn(fmt.Sprintf("[NATS] the account may not reply to %q: the reply came too late, the client has used the "+
			"subject for several requests at a time, or the account lacks a permission to reply (allow_responses)", subject))
	}
}

func (s *connState) notify(wake chan<- struct{}) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakes = append(s.wakes, wake)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wakes = slices.DeleteFunc(s.wakes, func(one chan<- struct{}) bool { return one == wake })
	}
}

// wake wakes those who wait for a change of connected.
func (s *connState) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, wake := range s.wakes {
		select {
		case wake <- struct{}{}:
		default: // it has not been received since the last change
		}
	}
}

// addDenied reports whether the subject had not been denied before on this connection.
func (s *connState) addDenied(subject string) (isNew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.denied == nil {
		s.denied = map[string]bool{}
	}
	isNew = !s.denied[subject] && len(s.denied) < maxDenied
	if isNew {
		s.denied[subject] = true
	}
	for watcher := range s.watchers {
		if watcher.isMeant(subject) {
			watcher.end(&DeniedError{Subject: subject})
		}
	}
	return isNew
}

// try notes that a denial of a subject is nothing wrong.
func (s *connState) try(subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tried == nil {
		s.tried = map[string]bool{}
	}
	s.tried[subject] = true
}

func (s *connState) isTried(subject string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried[subject]
}

func (s *connState) isDenied(subject string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.denied[subject]
}

// untilDenied returns a context that also ends, with a DeniedError as its cause, when the server denies a subject that
// is meant.
func (s *connState) untilDenied(
	ctx context.Context, isMeant func(subject string) bool,
) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	watcher := &deniedWatcher{isMeant, end}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = map[*deniedWatcher]struct{}{}
	}
	s.watchers[watcher] = struct{}{}
	return ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, watcher)
		end(nil)
	}
}

// isAbout reports whether a subject is one of JetStream or of a key-value bucket and contains name.
func isAbout(subject, name string) bool {
	return strings.HasPrefix(subject, "$") && strings.Contains(subject, name)
}

// deniedFor returns a denied subject of JetStream or of a key-value bucket that contains name and has one of the
// prefixes. Empty: there is none.
func (s *connState) deniedFor(name string, prefixes ...string) (subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for subject := range s.denied {
		hasPrefix := func(prefix string) bool { return strings.HasPrefix(subject, prefix) }
		if isAbout(subject, name) && slices.ContainsFunc(prefixes, hasPrefix) {
			return subject
		}
	}
	return ""
}

// setReconnectReason records why this process is about to disconnect.
func (s *connState) setReconnectReason(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reconnectReason = reason
}

// stop records that the process closes the connection. Nothing changes the check afterwards.
func (s *connState) stop() {
	s.set(s.log.Info, false, status.ReasonStopping, "closing the connection to NATS")
}

// onClosed is called when nats.go will not reconnect any more.
func (s *connState) onClosed(err error) {
	s.connected.Store(false)
	cause := "no reason given"
	if err != nil {
		cause = ErrorMessage(err)
	}
	s.set(s.log.Error, false, status.ReasonNATSRefused,
		"NATS at "+s.servers+" closed the connection, which will not reconnect: "+cause)
}

func (s *connState) set(log func(string, ...any), ok bool, reason status.Reason, message string) {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return
	}
	s.stopping = reason == status.ReasonStopping
	before := s.check.Check()
	changed := s.check.Set(ok, reason, message)
	s.mu.Unlock()
	switch {
	case changed:
		log("[NATS] " + message)
	case message != before.Message:
		// Several servers that fail for different causes in turn must not fill the log.
		s.log.Debug("[NATS] " + message)
	}
}

// ErrorMessage returns the cause of a failed NATS operation in a few words, as status.NetworkError does.
func ErrorMessage(err error) string {
	if errors.Is(err, nats.ErrTimeout) {
		return "timed out"
	}
	if refusal, ok := errors.AsType[*jetstream.APIError](err); ok {
		// Its text repeats the two codes of the error.
		return strings.Replace(err.Error(), refusal.Error(), refusal.Description, 1)
	}
	return strings.TrimPrefix(status.NetworkError(err), "nats: ")
}

// refusals are what a server that was reached says when it refuses a client. nats.go has no error of its own for some,
// and for others only once the connection is established.
var refusals = []string{
	// With TLS 1.3 the server rejects the client's certificate after the handshake, or only closes the connection then.
	"remote error: tls: ", "closed by remote after TLS handshake",
	nats.AUTHORIZATION_ERR, nats.AUTHENTICATION_EXPIRED_ERR, nats.AUTHENTICATION_REVOKED_ERR,
	nats.ACCOUNT_AUTHENTICATION_EXPIRED_ERR,
	// The limits of the server, of an account and of logins per second.
	nats.MAX_CONNECTIONS_ERR, nats.MAX_ACCOUNT_CONNECTIONS_ERR, "connection throttling is active",
	"failed account registration",
}

// isRefusal reports whether a server was reached and refused the client: its credentials, its certificate, or one
// connection more.
func isRefusal(err error) bool {
	text := strings.ToLower(err.Error())
	return errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) ||
		slices.ContainsFunc(refusals, func(refusal string) bool { return strings.Contains(text, strings.ToLower(refusal)) })
}
