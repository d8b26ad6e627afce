package simulator

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Server is a CyTube server. One lock guards all channels and clients, so that every client and the log see the events
// of a channel in the same order.
type Server struct {
	options  Options
	accounts map[string]*Account // by lower-case name
	handler  http.Handler

	// stopped ends with Close. Sockets and scripts, which outlive their requests, use it.
	stopped context.Context //nolint:containedctx // the server's lifetime, not a call's
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	channels map[string]*Channel
	people   int // number of people ever created, for their addresses
	log      *eventLog
	timers   map[*timer]struct{}
	sessions map[*session]struct{} // the open sockets
	faults   faults

	always, inChannel map[string]handler
	commands          map[string]command

	// The limits' counters, by address.
	connects    map[string]*tokenBucket
	perAddress  map[string]int
	guestLogins map[string]time.Time

	noLoginsUntil  time.Time
	noLoginsReason string
}

// New returns a server. An error names the invalid option.
func New(options Options) (*Server, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("options of the CyTube simulator: %w", err)
	}
	s := &Server{
		options: options, accounts: map[string]*Account{}, channels: map[string]*Channel{},
		log: newEventLog(options.LogLimit), timers: map[*timer]struct{}{}, sessions: map[*session]struct{}{},
		perAddress: map[string]int{}, faults: newFaults(), commands: newCommands(),
	}
	s.forgetLimits()
	s.always, s.inChannel = newHandlers()
	s.stopped, s.stop = context.WithCancel(context.Background())
	for _, a := range options.Accounts {
		s.accounts[strings.ToLower(a.Name)] = &a
	}
	for _, c := range options.Channels {
		s.channels[strings.ToLower(c.Name)] = newChannel(s, c)
	}
	s.handler = s.routes()
	return s, nil
}

// Handler returns the handler of the CyTube protocol and the simulator's HTTP API.
func (s *Server) Handler() http.Handler { return s.handler }

// Channel returns the channel with a name, which is not case-sensitive. It panics if the name is invalid: CyTube
// accepts 1-30 of a-z, A-Z, 0-9, "-" and "_".
func (s *Server) Channel(name string) *Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.channel(name)
	if err != nil {
		panic(err)
	}
	return c
}

// channel returns a channel and creates it if needed. The caller holds the lock.
func (s *Server) channel(name string) (*Channel, error) {
	if !validChannelName.MatchString(name) {
		return nil, fmt.Errorf("channel %q: %w: expected 1-30 of a-z, A-Z, 0-9, - and _", name, ErrInvalidName)
	}
	lower := strings.ToLower(name)
	if c, ok := s.channels[lower]; ok {
		return c, nil
	}
	c := newChannel(s, DefaultChannel(lower))
	s.channels[lower] = c
	return c, nil
}

// Close ends every connection and script and waits for them. Afterwards the handler refuses sockets.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for t := range s.timers {
		t.stop()
	}
	s.faults.heal() // a partitioned connection could not be closed
	s.mu.Unlock()
	s.stop()
	s.running.Wait()
}

// begin registers a task that Close waits for. It reports false if the server is already closed. The caller must call
// running.Done.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	return true
}

// forgetLimits resets the limits' counters.
func (s *Server) forgetLimits() {
	s.connects, s.guestLogins = map[string]*tokenBucket{}, map[string]time.Time{}
}

// record adds an entry to the server's log.
func (s *Server) record(e Entry) {
	e.Time = time.Now().UnixMilli()
	s.log.append(e)
}

// account returns the account with a name, which is not case-sensitive, or nil.
func (s *Server) account(name string) *Account { return s.accounts[strings.ToLower(name)] }
