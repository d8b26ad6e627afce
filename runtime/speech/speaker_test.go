package speech

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

// channel is a Speaker in a channel that the test plays: a server that answers nothing by itself, and a database
// service that hands out the same lines whatever is reported. It runs in a bubble of synctest, so waiting takes no
// time.
type channel struct {
	*Speaker

	mu       sync.Mutex
	sent     []string
	lines    []bus.OutboundMessage
	limits   []int
	reports  []string
	noLeader bool
}

func (c *channel) Say(_ context.Context, text string) error { return c.note(text) }

func (c *channel) PM(_ context.Context, to, text string) error { return c.note(to + ": " + text) }

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
	c.limits = append(c.limits, limit)
	*out.(*[]bus.OutboundMessage) = c.lines[:min(limit, len(c.lines))]
	return nil
}

func (c *channel) Publish(suffix bus.Suffix, _ string, payload any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	report := strings.TrimPrefix(string(suffix), "db.messages.outbound.")
	if failure, ok := payload.(bus.OutboundFailedPayload); ok {
		report += " " + failure.Error
	}
	c.reports = append(c.reports, report)
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

func inChannel(t *testing.T, test func(t *testing.T, c *channel), lines ...bus.OutboundMessage) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &channel{lines: lines}
		c.Speaker = New(Options{
			Conn: c, Tracker: NewTracker(), Requester: c, Publisher: c, EventID: func(time.Time) string { return "" },
			Claimant: "pod-1", Log: slog.New(slog.DiscardHandler), Count: func(Outcome) {},
			Leading: func() bool { c.mu.Lock(); defer c.mu.Unlock(); return !c.noLeader },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		c.Joined(time.Now())
		c.SetPermission(PermissionGranted)
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

// TestAReportOnItsWayIsNotRepeated has a service that hands out a line although it was said.
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

// TestTheOrderOfEchoesDecides has a server that rewrites lines, and an echo that comes late.
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

// TestALateEchoWhileTheNextAttemptWaits has the line reported once and not said again.
func TestALateEchoWhileTheNextAttemptWaits(t *testing.T) {
	inChannel(t, func(t *testing.T, c *channel) {
		pass(2*time.Second + 6*time.Second)
		c.HeardRefusal(cytube.Cooldown{}) // of nothing: ignored
		pass(2*time.Minute - 4*time.Second)
		results := make(chan Result, 1)
		go func() { results <- c.Speaker.Say(t.Context(), Message{To: "alice", Text: "psst"}) }()
		pass(4 * time.Second) // its echo holds up the line
		c.HeardOwn(echo("hello"))
		c.HeardOwnPM("Alice")
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
			pass(time.Second + 2*spare)
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

// TestTheEndOfAStay has a message on its way and one that waits; what was heard last still counts.
func TestTheEndOfAStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &channel{}
		c.Speaker = New(Options{
			Conn: c, Tracker: NewTracker(), Requester: c, Publisher: c, EventID: func(time.Time) string { return "" },
			Log: slog.New(slog.DiscardHandler), Count: func(Outcome) {}, Leading: func() bool { return true },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		first, second := make(chan Result, 1), make(chan Result, 1)
		go func() { first <- c.Speaker.Say(context.WithoutCancel(ctx), Message{Text: "one"}) }()
		synctest.Wait()
		go func() { second <- c.Speaker.Say(context.WithoutCancel(ctx), Message{Text: "two"}) }()
		synctest.Wait()
		cancel()
		c.HeardOwn(echo("one"))
		running.Wait()
		if got := <-first; got.Outcome != Said {
			t.Errorf("the message on its way: %s", got)
		}
		if got := <-second; got.Outcome != Gone {
			t.Errorf("the message that waits: %s", got)
		}
	})
}
