package simulator

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Server is a CyTube server. One lock guards all its channels and clients, so what happens in a channel has one
// order, and it is the order in which every client and the log see it.
type Server struct {
	options  Options
	accounts map[string]*Account // by lower-case name
	handler  http.Handler

	// stopped ends with Close. It is the life of what outlasts a request: sockets and scripts.
	stopped context.Context //nolint:containedctx // it is the server's life, not a call's
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	channels map[string]*Channel
	people   int // of the audience, ever; makes their addresses
	log      *eventLog
	timers   map[*timer]struct{}
	sessions map[*session]struct{} // the open sockets
	faults   faults

	always, inChannel map[string]handler
	commands          map[string]command

	// What the limits count, by address.
	connects    map[string]*tokenBucket
	perAddress  map[string]int
	guestLogins map[string]time.Time

	noLoginsUntil  time.Time
	noLoginsReason string
}

// New makes a server. The error names the option that is wrong.
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

// Handler serves the CyTube protocol and the simulator's own HTTP API.
func (s *Server) Handler() http.Handler { return s.handler }

// Channel returns the channel of that name, in upper or lower case. It panics if the name is not one that CyTube
// accepts (1-30 of a-z, A-Z, 0-9, "-" and "_"), which is a mistake in the caller's code.
func (s *Server) Channel(name string) *Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.channel(name)
	if err != nil {
		panic(err)
	}
	return c
}

// channel finds or makes a channel. The caller holds the lock.
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

// Close ends every connection and script and returns when they are gone. The handler refuses sockets from then on.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for t := range s.timers {
		t.stop()
	}
	s.faults.heal() // a connection that is held could not be closed
	s.mu.Unlock()
	s.stop()
	s.running.Wait()
}

// begin registers something that Close waits for, unless the server is closed already. Its owner calls running.Done.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	return true
}

// forgetLimits starts the counting anew.
func (s *Server) forgetLimits() {
	s.connects, s.guestLogins = map[string]*tokenBucket{}, map[string]time.Time{}
}

// record adds an entry to the server's log.
func (s *Server) record(e Entry) {
	e.Time = time.Now().UnixMilli()
	s.log.append(e)
}

// account returns the account of that name, in any case, or nil.
func (s *Server) account(name string) *Account { return s.accounts[strings.ToLower(name)] }
