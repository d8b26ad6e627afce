package natstest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
)

// Use is a subject that a client has used.
type Use struct {
	// Client is the name of the connection.
	Client string
	// Publish is true if the client has published to the subject, and false if it has subscribed to it.
	Publish bool
	Subject string
	Queue   string // of a subscription; empty: none
}

// Trace makes the server record what clients that connect from now on publish and subscribe to, allowed or not. used
// returns each different use once; denied returns what the server refused, in the server's words.
func (s *Server) Trace() (used func() []Use, denied func() []string) {
	s.t.Helper()
	log := &traceLog{uses: map[tracedUse]bool{}}
	s.running.SetLogger(log, false, true)
	return func() []Use { return s.uses(log) }, log.denied
}

func (s *Server) uses(log *traceLog) (uses []Use) {
	s.t.Helper()
	clients, err := s.running.Connz(&server.ConnzOptions{State: server.ConnAll, Limit: 10_000})
	if err != nil {
		s.t.Fatalf("monitoring the NATS server: %v", err)
	}
	names := map[uint64]string{}
	for _, client := range clients.Conns {
		names[client.Cid] = client.Name
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	for traced := range log.uses {
		use := traced.Use
		use.Client = names[traced.client]
		if !slices.Contains(uses, use) {
			uses = append(uses, use)
		}
	}
	return uses
}

type tracedUse struct {
	client uint64
	Use
}

// traceLog is a server's log that keeps only uses and violations.
type traceLog struct {
	mu         sync.Mutex
	uses       map[tracedUse]bool
	violations []string
}

var tracedOperation = regexp.MustCompile(`cid:(\d+) .*<<- \[(PUB|HPUB|SUB) (.*)\]$`)

// Tracef implements server.Logger.
func (l *traceLog) Tracef(format string, v ...any) {
	parts := tracedOperation.FindStringSubmatch(fmt.Sprintf(format, v...))
	if parts == nil {
		return
	}
	client, _ := strconv.ParseUint(parts[1], 10, 64) // the pattern has digits only
	arguments := strings.Fields(parts[3])
	traced := tracedUse{client: client, Use: Use{Publish: parts[2] != "SUB", Subject: arguments[0]}}
	if !traced.Publish && len(arguments) == 3 {
		traced.Queue = arguments[1]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uses[traced] = true
}

// Errorf implements server.Logger.
func (l *traceLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if !strings.Contains(text, "Violation") {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.violations = append(l.violations, text)
}

func (l *traceLog) denied() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.violations)
}

// Noticef implements server.Logger.
func (l *traceLog) Noticef(string, ...any) {}

// Warnf implements server.Logger.
func (l *traceLog) Warnf(string, ...any) {}

// Fatalf implements server.Logger.
func (l *traceLog) Fatalf(string, ...any) {}

// Debugf implements server.Logger.
func (l *traceLog) Debugf(string, ...any) {}
