package speech

import (
	"context"
	"errors"
	"html"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

// channel is a Speaker in a channel that the test simulates. By default the server replies to nothing, and the database
// service hands out the same lines whatever is reported. It runs in a bubble of synctest, so waiting takes no time.
type channel struct {
	*Speaker

	mu sync.Mutex
	// onSay is what the server does with a line. Nil: nothing.
	onSay func(text string)
	// onPM is the same for private messages.
	onPM func(to, text string)
	// onReport is what the service does with a report on a line, with mu locked. Nil: nothing.
	onReport func(id int64, failed bool)
	sent     []string
	lines    []bus.OutboundMessage
	limits   []int
	allLines bool // a reply has all lines, whatever the limit
	reports  []string
	marked   []int64 // IDs of the lines that were reported as sent
	failures []bus.OutboundFailedPayload
	outage   error
	noLeader bool
	nextDue  *time.Duration // of each reply
	requests []time.Time
	waits    chan struct{}
}

// Say notes a line as *cytube.Conn sends it: only that of a command begins with "/".
func (c *channel) Say(ctx context.Context, text string) error {
	if strings.HasPrefix(text, "/") {
		text = " " + text
	}
	return c.Command(ctx, text)
}

func (c *channel) Command(_ context.Context, text string) error {
	err := c.note(text)
	c.mu.Lock()
	onSay := c.onSay
	c.mu.Unlock()
	if onSay != nil {
		onSay(text)
	}
	return err
}

// behave sets what the server does with lines, and the service with reports.
func (c *channel) behave(onSay func(text string), onReport func(id int64, failed bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onSay, c.onReport = onSay, onReport
}

func (c *channel) PM(_ context.Context, to, text string) error {
	err := c.note(to + ": " + text)
	c.mu.Lock()
	onPM := c.onPM
	c.mu.Unlock()
	if onPM != nil {
		onPM(to, text)
	}
	return err
}

func (c *channel) note(text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, text)
	return nil
}

func (c *channel) Request(_ context.Context, _ bus.Suffix, in, out any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := *in.(bus.OutboundGetRequest).Limit
	c.limits, c.requests = append(c.limits, limit), append(c.requests, time.Now())
	if c.outage != nil {
		return c.outage
	}
	if c.allLines {
		limit = len(c.lines)
	}
	reply := out.(*bus.OutboundReply)
	reply.NextDue = c.nextDue
	reply.Lines = slices.Clone(c.lines[:min(limit, len(c.lines))])
	return nil
}

func (c *channel) Publish(_ context.Context, suffix bus.Suffix, _ string, payload any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	report := strings.TrimPrefix(string(suffix), "db.messages.outbound.")
	id, failed := int64(0), false
	switch payload := payload.(type) {
	case bus.OutboundSentPayload:
		id = *payload.MessageID
		c.marked = append(c.marked, id)
	case bus.OutboundFailedPayload:
		id, failed = *payload.MessageID, true
		c.failures = append(c.failures, payload)
		report += " " + payload.Error
	}
	c.reports = append(c.reports, report)
	if c.onReport != nil {
		c.onReport(id, failed)
	}
}

// echo has the server send each line back, as it shows it.
func (c *channel) echo(text string) {
	sent := Message{Text: text, Command: strings.HasPrefix(text, "/")}
	c.HeardOwn(echo(html.EscapeString(sent.shown())))
}

// takeReports has the service hand out no line again that was reported.
func (c *channel) takeReports(id int64, _ bool) {
	c.lines = slices.DeleteFunc(c.lines, func(m bus.OutboundMessage) bool { return m.ID == id })
}

// takeSent has the service take only reports of lines that were said, as the Python one does.
func (c *channel) takeSent(id int64, failed bool) {
	if !failed {
		c.takeReports(id, failed)
	}
}

func (c *channel) put(lines ...bus.OutboundMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, lines...)
}

func (c *channel) expect(t *testing.T, what string, got *[]string, want ...string) {
	t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (c *channel) countSent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}

// inChannel runs a test with a Speaker that has joined the channel and may chat.
func inChannel(t *testing.T, test func(t *testing.T, c *channel), lines ...bus.OutboundMessage) {
	t.Helper()
	inChannelThat(t, func(*channel) {}, test, lines...)
}

// inChannelThat is inChannel where the channel behaves in a way before the first line is said.
func inChannelThat(
	t *testing.T, behave func(c *channel), test func(t *testing.T, c *channel), lines ...bus.OutboundMessage,
) {
	t.Helper()
	joining(t, func(t *testing.T, c *channel) {
		behave(c)
		c.put(lines...)
		c.Joined(time.Now())
		c.SetPermission(PermissionGranted)
		test(t, c)
	})
}

// joining runs a test with a Speaker that is joining the channel.
func joining(t *testing.T, test func(t *testing.T, c *channel)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &channel{waits: make(chan struct{}, 1)}
		c.Speaker = New(Options{
			Conn: c, Tracker: NewTracker(0), Requester: c, Publisher: c, EventID: func(time.Time) string { return "" },
			Waiting: c.waits, Claimant: "pod-1", Log: slog.New(slog.DiscardHandler), Count: func(Outcome) {},
			Poll: 2 * time.Second, RefusalDelay: 10 * time.Second,
			Leading: func() bool { c.mu.Lock(); defer c.mu.Unlock(); return !c.noLeader },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		test(t, c)
		cancel()
		running.Wait()
	})
}

func echo(text string) cytube.ChatMessage { return cytube.ChatMessage{HTML: text, Time: time.Now()} }

// pass lets time pass, which the Speaker's timers see.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestAReportOnItsWayIsNotRepeated checks this with a service that hands out a line although it was said.
func TestAReportOnItsWayIsNotRepeated(t *testing.T) {
	inChannel(t, func(t *testing.T, c *channel) {
		pass(3 * time.Second)
		c.HeardOwn(echo("hello"))
		pass(20 * time.Second)
		c.expect(t, "reports", &c.reports, "mark_sent")
		pass(15 * time.Second)
		c.expect(t, "reports after half a minute", &c.reports, "mark_sent", "mark_sent")
		c.expect(t, "sent", &c.sent, "hello")
	}, bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "hello", LeaseSeconds: 60})
}

// TestAServiceThatTakesNoFailures is the Python one: the lines behind a line that failed get their turn, and the line
// is tried four times.
func TestAServiceThatTakesNoFailures(t *testing.T) {
	inChannel(t, func(t *testing.T, c *channel) {
		pass(3 * time.Second)
		c.HeardRefusal(cytube.SpamFiltered{Reason: "links"})
		synctest.Wait()
		c.HeardOwn(echo("behind it"))
		c.expect(t, "sent", &c.sent, "link", "behind it")
		for _, minutes := range []int{2, 4, 8} {
			pass(time.Duration(minutes)*time.Minute - 5*time.Second)
			before := c.countSent()
			pass(8 * time.Second)
			if tries := c.countSent() - before; tries != 1 {
				t.Errorf("%d attempts after %d minutes", tries, minutes)
			}
			c.HeardRefusal(cytube.SpamFiltered{Reason: "links"})
			synctest.Wait()
		}
		pass(30 * time.Minute)
		c.expect(t, "sent", &c.sent, "link", "behind it", "link", "link", "link")
	}, bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "link"},
		bus.OutboundMessage{ID: 2, Timestamp: 11, Message: "behind it"})
}

// TestTheOrderOfEchoesDecides checks this with a server that rewrites lines, and an echo that comes late.
func TestTheOrderOfEchoesDecides(t *testing.T) {
	inChannel(t, func(t *testing.T, c *channel) {
		pass(2 * time.Second)
		pass(6 * time.Second) // the echo is late
		c.expect(t, "reports", &c.reports, "mark_failed unanswered")
		results := make(chan Result, 1)
		go func() { results <- c.Speaker.Say(t.Context(), Message{Text: "a reply"}) }()
		synctest.Wait()
		c.HeardOwn(echo("hello"))
		c.expect(t, "reports after the late echo", &c.reports, "mark_failed unanswered", "mark_sent")
		select {
		case got := <-results:
			t.Errorf("the late echo counts for the reply: %s", got)
		default:
		}
		c.HeardOwn(echo("a <b>rewritten</b> reply"))
		if got := <-results; got.Outcome != Said {
			t.Errorf("the reply: %s", got)
		}
	}, bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "hello", LeaseSeconds: 60})
}

// TestALateEchoWhileTheNextAttemptWaits checks that the line is reported once and not said again.
func TestALateEchoWhileTheNextAttemptWaits(t *testing.T) {
	inChannel(t, func(t *testing.T, c *channel) {
		pass(2*time.Second + 6*time.Second)
		c.HeardRefusal(cytube.Cooldown{}) // of nothing: ignored
		pass(2*time.Minute - 4*time.Second)
		results := make(chan Result, 1)
		go func() { results <- c.Speaker.Say(t.Context(), Message{To: "alice", Text: "psst"}) }()
		pass(4 * time.Second) // its echo holds up the line
		c.HeardOwn(echo("hello"))
		c.HeardOwnPM(cytube.PM{To: "Alice", HTML: "psst"})
		if got := <-results; got.Outcome != Said {
			t.Errorf("the private message: %s", got)
		}
		pass(10 * time.Second)
		c.expect(t, "reports", &c.reports, "mark_failed unanswered", "mark_sent")
		c.expect(t, "sent", &c.sent, "hello", "alice: psst")
	}, bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "hello", LeaseSeconds: 60})
}

func TestThrottledMessagesAreSentAgain(t *testing.T) {
	inChannel(t, func(t *testing.T, c *channel) {
		results := make(chan Result, 1)
		go func() { results <- c.Speaker.Say(t.Context(), Message{Text: "hello"}) }()
		for range maxThrottled {
			synctest.Wait()
			c.HeardRefusal(cytube.Cooldown{Wait: time.Second})
			pass(serverFlood.Cooldown + 2*spare)
		}
		if got := <-results; got.Outcome != Throttled {
			t.Errorf("result %s", got)
		}
		c.expect(t, "sent", &c.sent, "hello", "hello", "hello", "hello", "hello")
	})
}

func TestNothingIsSentWithoutLeadership(t *testing.T) {
	inChannel(t, func(t *testing.T, c *channel) {
		c.mu.Lock()
		c.noLeader = true
		c.mu.Unlock()
		if got := c.Speaker.Say(t.Context(), Message{Text: "hello"}); got.Outcome != Gone {
			t.Errorf("result %s", got)
		}
		if err := c.Do(t.Context(), func(context.Context) error { return nil }); !errors.Is(err, ErrNotLeading) {
			t.Errorf("error %v", err)
		}
		pass(10 * time.Second)
		c.expect(t, "sent", &c.sent)
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.limits) > 0 {
			t.Error("lines are claimed that may not be said")
		}
	}, bus.OutboundMessage{ID: 1, Timestamp: 10, Message: "hello", LeaseSeconds: 60})
}

// TestTheEndOfASession checks a message on its way and one that waits; what was heard last still counts.
func TestTheEndOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &channel{}
		c.Speaker = New(Options{
			Conn: c, Tracker: NewTracker(0), Requester: c, Publisher: c, EventID: func(time.Time) string { return "" },
			Log: slog.New(slog.DiscardHandler), Count: func(Outcome) {}, Leading: func() bool { return true },
			Poll: 2 * time.Second, RefusalDelay: 10 * time.Second,
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		first, second := make(chan Result, 1), make(chan Result, 1)
		go func() { first <- c.Speaker.Say(context.WithoutCancel(ctx), Message{Text: "one"}) }()
		synctest.Wait()
		go func() { second <- c.Speaker.Say(context.WithoutCancel(ctx), Message{Text: "two"}) }()
		synctest.Wait()
		c.HeardOwn(echo("one"))
		cancel()
		running.Wait()
		if got := <-first; got.Outcome != Said {
			t.Errorf("the message on its way: %s", got)
		}
		if got := <-second; got.Outcome != Gone {
			t.Errorf("the message that waits: %s", got)
		}
	})
}
