package speech

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

// ErrNotLeading is returned by Speaker.Do when another bot may have taken over the channel.
var ErrNotLeading = errors.New("the bot is not the leader any more")

// Conn is the connection to the channel. *cytube.Conn implements it.
type Conn interface {
	Say(ctx context.Context, text string) error
	Command(ctx context.Context, text string) error
	PM(ctx context.Context, to, text string) error
}

// Requester sends requests to the database. bus.Requester, database.Direct and database.Fallback implement it.
type Requester interface {
	// Request sends a request of package bus. out is a pointer to its reply. The errors are those of bus.Requester.
	Request(ctx context.Context, suffix bus.Suffix, in, out any) error
}

// Publisher takes events for the database. publisher.Publisher implements it.
type Publisher interface {
	// Publish queues an event and returns at once. eventID identifies the event, and payload is one of the payloads of
	// package bus, which the caller does not change afterwards. Of ctx only the span is used.
	Publish(ctx context.Context, suffix bus.Suffix, eventID string, payload any)
}

// Options configure a Speaker. All but Waiting are required.
type Options struct {
	Conn Conn
	// Tracker is that of the process. One Speaker uses it at a time.
	Tracker   *Tracker
	Requester Requester
	Publisher Publisher
	// EventID returns the ID of an event that happens at a time.
	EventID func(at time.Time) string
	// Origin names the server and the channel.
	Origin bus.Origin
	// Claimant names this bot among those that share the channel's outbound queue.
	Claimant string
	// Leading reports whether the bot may act in the channel. It is called right before something is sent and must not
	// block.
	Leading func() bool
	// Count counts the outcomes of lines of the queue.
	Count func(Outcome)
	Log   *slog.Logger
	// Waiting gets a value when a line may wait in the queue. Nil: the queue is only polled.
	Waiting <-chan struct{}
	// Poll is the time between two requests for lines to say. A service that says when the next line is due, and
	// announces others, is polled less often.
	Poll time.Duration
	// RefusalDelay is how long the bot must have been unable to chat before lines are abandoned for it.
	RefusalDelay time.Duration
}

// Speaker sends everything that the bot says during one session in the channel. Its methods may be called from any
// goroutine. Those for events must be called in the order of the events; they never wait for the network.
type Speaker struct {
	Options

	mu    sync.Mutex
	inbox []func() // functions for Run's goroutine
	wake  chan struct{}
	// The values of the last calls of SetPermission and SetFloodLimit.
	lastPermission Permission
	lastFlood      cytube.FloodLimit

	// Only Run's goroutine uses what follows.
	pacer      *pacer
	permission permissionState
	replay     replay
	// attempts wait to be sent, in order. awaiting: the first was sent, and its echo is due until deadline.
	attempts []*attempt
	awaiting bool
	deadline time.Time
	outbound outbound
	// yielding are attempts that wait until there is nothing else to say.
	yielding []*attempt
}

// echoTimeout is how long the echo of a message may take.
const echoTimeout = 5 * time.Second

// New returns a Speaker. It says nothing until Run.
func New(o Options) *Speaker {
	return &Speaker{
		Options: o, wake: make(chan struct{}, 1), pacer: newPacer(),
		outbound: outbound{wanted: true, answers: make(chan answer, 1)},
	}
}

// Say sends a message and returns what became of it: after its echo, a refusal, a time-out, or the end of ctx or Run.
func (s *Speaker) Say(ctx context.Context, m Message) Result {
	got, _ := s.do(ctx, &attempt{message: m})
	return got
}

// Do runs an action that the server's flood limit counts as a line and that has no echo of its own. Messages that wait
// already go first. Do returns the action's error, ErrNotLeading, or that of ctx.
func (s *Speaker) Do(ctx context.Context, action func(context.Context) error) error {
	_, err := s.do(ctx, &attempt{action: action})
	return err
}

// DoYielding is Do for an action that waits like a Message with Yielding.
func (s *Speaker) DoYielding(ctx context.Context, action func(context.Context) error) error {
	_, err := s.do(ctx, &attempt{action: action, message: Message{Yielding: true}})
	return err
}

func (s *Speaker) do(ctx context.Context, a *attempt) (Result, error) {
	type reply struct {
		result Result
		err    error
	}
	replies := make(chan reply, 1)
	a.done = func(r Result, err error) { replies <- reply{r, err} }
	a.canceled = func() bool { return ctx.Err() != nil }
	s.post(func() { s.enqueue(a) })
	select {
	case r := <-replies:
		return r.result, r.err
	case <-ctx.Done():
		return Result{Outcome: Gone}, ctx.Err()
	}
}

// enqueue puts an attempt behind the others of its kind.
func (s *Speaker) enqueue(a *attempt) {
	if !a.message.Yielding {
		s.attempts = append(s.attempts, a)
		return
	}
	a.since = time.Now()
	s.yielding = append(s.yielding, a)
}

// HeardOwn notes a new line under the bot's name.
func (s *Speaker) HeardOwn(line cytube.ChatMessage) {
	shown, _ := cytube.TypedText(line.HTML)
	s.post(func() { s.heardOwn(shown, line.Time) })
}

// HeardOwnPM notes the echo of a private message of the bot.
func (s *Speaker) HeardOwnPM(pm cytube.PM) {
	shown, _ := cytube.TypedText(pm.HTML)
	s.post(func() {
		got := Result{Outcome: Said, shown: shown}
		s.resolve(got, func(m Message) bool { return strings.EqualFold(m.To, pm.To) })
	})
}

// HeardRefusal notes the refusal of a message: Cooldown, SpamFiltered, NoFlood or ErrorMsg.
func (s *Speaker) HeardRefusal(event cytube.Event) { s.post(func() { s.heardRefusal(event) }) }

// Replayed notes a line that the server repeats on joining; own is true if it is under the bot's name.
func (s *Speaker) Replayed(line cytube.ChatMessage, own bool) {
	shown, _ := cytube.TypedText(line.HTML)
	s.post(func() {
		if s.replay.oldest.IsZero() {
			s.replay.oldest = line.Time
		}
		if own {
			s.partAppeared(s.Tracker.repeated(shown, line.Time))
		}
	})
}

// Joined notes that the bot is in the channel and that all calls of Replayed have been made.
func (s *Speaker) Joined(at time.Time) {
	s.post(func() {
		s.replay.joinedAt = at
		s.Tracker.joined(s.replay)
	})
}

// post queues a function for Run's goroutine, in the order of the calls. It does not wait for it.
func (s *Speaker) post(do func()) {
	s.mu.Lock()
	s.inbox = append(s.inbox, do)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // a wake-up is already pending
	}
}

// readInbox runs the functions that were posted.
func (s *Speaker) readInbox() {
	s.mu.Lock()
	posted := s.inbox
	s.inbox = nil
	s.mu.Unlock()
	for _, do := range posted {
		do()
	}
}

// Run sends what is to be said until ctx ends. Then it returns Gone for every message that waits.
func (s *Speaker) Run(ctx context.Context) {
	var fetching sync.WaitGroup
	defer fetching.Wait()
	for ctx.Err() == nil {
		s.readInbox()
		due := time.NewTimer(s.work(ctx, &fetching))
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-due.C:
		case <-s.Waiting:
			s.outbound.announced = true
		case got := <-s.outbound.answers:
			s.fetched(got, time.Now())
		}
		due.Stop()
	}
	s.end()
}

// idle is how long Run sleeps when nothing is due: it wakes up for everything else.
const idle = time.Hour

// work does everything that is due, and returns the time until something else is due.
func (s *Speaker) work(ctx context.Context, fetching *sync.WaitGroup) time.Duration {
	for ctx.Err() == nil {
		now := time.Now()
		switch {
		case s.awaiting && now.Before(s.deadline):
			return s.deadline.Sub(now)
		case s.awaiting:
			s.finish(Result{Outcome: Unanswered}, nil)
		case len(s.attempts) > 0:
			if wait := s.pacer.delay(s.attempts[0].message, now); wait > 0 {
				return wait
			}
			s.send(ctx, now)
		case len(s.outbound.lines) > 0:
			s.beginLine(now)
		default:
			if wait := s.idleWork(ctx, fetching, now); wait > 0 {
				return wait
			}
		}
	}
	return 0
}

// idleWork does what is due while nothing else is to be said. It returns 0 if there may be more to do at once.
func (s *Speaker) idleWork(ctx context.Context, fetching *sync.WaitGroup, now time.Time) time.Duration {
	wait := s.outbound.untilRequest(now)
	if wait == 0 && s.mayFetch(now) {
		fetching.Go(s.fetch(ctx, now))
		wait = idle
	}
	wait = cmp.Or(wait, s.Poll) // a refusal is confirmed without an event
	if len(s.yielding) == 0 {
		return wait
	}
	first := s.yielding[0]
	yield := min(s.pacer.yield(first.message, now), first.since.Add(maxYield).Sub(now))
	if yield > 0 {
		return min(wait, yield)
	}
	s.attempts, s.yielding = append(s.attempts, first), s.yielding[1:]
	return 0
}

// send sends the first attempt.
func (s *Speaker) send(ctx context.Context, now time.Time) {
	a := s.attempts[0]
	switch {
	case a.canceled != nil && a.canceled():
		s.drop(a, ctx.Err())
	case a.line != nil && a.line.next > a.part: // the echo of an earlier attempt came while this one waited
		s.finish(Result{Outcome: Said}, nil)
	case a.line != nil && s.permission.confirmed(s.RefusalDelay, now) != PermissionGranted:
		s.withoutPermission(a, now)
	case !s.Leading():
		s.drop(a, ErrNotLeading)
	case a.action != nil:
		s.pacer.sent(a.message, now)
		s.finish(Result{Outcome: Said}, a.action(ctx))
	default:
		s.sendMessage(ctx, a, now)
	}
}

// takeFirst splits the first line that the server does not cut off a message, and reports whether there is one.
func (s *Speaker) takeFirst(a *attempt) bool {
	parts := s.Tracker.length.split(a.message.Text)
	if len(parts) == 0 {
		return false
	}
	a.message.Text, a.rest = parts[0], joinLines(append(parts[1:], a.rest)...)
	return true
}

// takeRest continues a message of which a line was said with the next one, and reports whether there is one. What the
// server has cut off goes at once; otherwise other messages can come in between.
func (s *Speaker) takeRest(a *attempt, shown string) bool {
	c, wasCut := s.Tracker.length.compare(a.message, shown)
	a.rest = joinLines(c.rest, a.rest)
	if a.rest == "" {
		return false
	}
	a.message.Text, a.message.Command, a.rest, a.throttled = a.rest, false, "", 0
	if !wasCut {
		s.attempts = s.attempts[1:]
		s.enqueue(a)
	}
	return true
}

// joinLines returns lines as one text, without the empty ones.
func joinLines(lines ...string) string {
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return line == "" }), "\n")
}

func (s *Speaker) sendMessage(ctx context.Context, a *attempt, now time.Time) {
	switch {
	case a.line == nil && !s.takeFirst(a): // nothing to say
		s.finish(Result{Outcome: Said}, nil)
		return
	case !s.pacer.fits(a.message):
		s.finish(Result{
			Outcome: Forbidden, Reason: "CyTube counts the command as more lines than the channel accepts at once",
		}, nil)
		return
	}
	s.pacer.sent(a.message, now)
	if a.line != nil {
		a.line.markSent(a.message, now)
	}
	var err error
	switch {
	case a.message.To != "":
		err = s.Conn.PM(ctx, a.message.To, a.message.Text)
	case a.message.Command:
		err = s.Conn.Command(ctx, a.message.Text)
	default:
		err = s.Conn.Say(ctx, a.message.Text)
	}
	if err != nil {
		s.finish(Result{Outcome: Gone}, err) // the reader of the connection gets the error too
		return
	}
	s.awaiting, s.deadline = true, time.Now().Add(echoTimeout)
}

// drop ends the first attempt without sending it.
func (s *Speaker) drop(a *attempt, err error) {
	if a.line != nil {
		a.line.on(released)
	}
	s.finish(Result{Outcome: Gone}, err)
}

// finish ends the first attempt, or has it sent again if the server throttles it.
func (s *Speaker) finish(got Result, err error) {
	a := s.attempts[0]
	if s.awaiting {
		s.answered(a, got)
		s.awaiting = false
		if got.Outcome == Said && a.line == nil && s.takeRest(a, got.shown) {
			return
		}
	}
	if got.Outcome == Throttled {
		a.throttled++
		s.pacer.throttled(a.message, got.wait, a.throttled, time.Now())
		if a.throttled < maxThrottled {
			if a.line != nil {
				a.line.missing = Message{}
				a.line.on(throttled)
			}
			return
		}
	}
	s.attempts = s.attempts[1:]
	if a.line != nil {
		s.partDone(a, got)
		return
	}
	a.done(got, err)
}

// answered learns from what the server did with a message that was sent.
func (s *Speaker) answered(a *attempt, got Result) {
	if got.Outcome == Unanswered || got.Outcome == Gone {
		return
	}
	if got.Outcome == Said {
		s.Tracker.length.note(a.message, got.shown, time.Now())
	}
	s.pacer.answered(time.Now())
}

// end runs the functions posted up to the end of the session, and ends every attempt.
func (s *Speaker) end() {
	s.readInbox()
	if s.awaiting {
		s.finish(Result{Outcome: Gone}, context.Canceled)
	}
	s.attempts = append(s.attempts, s.yielding...)
	s.yielding = nil
	for len(s.attempts) > 0 {
		s.drop(s.attempts[0], context.Canceled)
	}
}
