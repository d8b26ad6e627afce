package speech

import (
	"math/rand/v2"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

func TestPacer(t *testing.T) {
	p := newPacer()
	p.setLimit(&cytube.FloodLimit{Burst: 3, Sustained: 2, Cooldown: 4 * time.Second})
	now, line := time.Now(), Message{Text: "hello"}
	for range 3 {
		if wait := p.delay(line, now); wait != 0 {
			t.Errorf("waits %s within the burst", wait)
		}
		p.sent(line, now)
	}
	if wait := p.delay(line, now); wait != 500*time.Millisecond+spare {
		t.Errorf("waits %s behind the burst", wait)
	}
	if wait := p.delay(Message{Text: "/me waves", Command: true}, now); wait != 4*time.Second+spare {
		t.Errorf("a command that counts twice waits %s behind the burst", wait)
	}
	if wait := p.delay(Message{To: "alice", Text: "hello"}, now); wait != 0 {
		t.Errorf("a private message waits %s because of the limit of the channel", wait)
	}
	now = now.Add(5 * time.Second)
	if wait := p.delay(line, now); wait != 0 {
		t.Errorf("waits %s after a pause", wait)
	}
	p.sent(line, now)
	p.throttled(line, time.Second, 1, now)
	if wait := p.delay(line, now); wait != time.Second+spare {
		t.Errorf("waits %s after a refusal of a second", wait)
	}
	now = now.Add(time.Second + spare)
	p.sent(line, now)
	if wait := p.delay(line, now); wait != 500*time.Millisecond+spare {
		t.Errorf("waits %s: a refusal does not begin a burst", wait)
	}
	p.throttled(line, time.Second, 2, now)
	if wait := p.delay(line, now); wait != 4*time.Second+spare {
		t.Errorf("waits %s after a second refusal, expected the time after which any line is accepted", wait)
	}
}

// limiter is newRateLimiter of src/utilities.js of calzoneman/sync.
type limiter struct {
	count    int
	lastTime time.Time
}

func (l *limiter) throttle(limit cytube.FloodLimit, now time.Time) bool {
	switch {
	case l.lastTime.Before(now.Add(-limit.Cooldown)):
		l.count = 1
	case l.count < limit.Burst:
		l.count++
	case now.Sub(l.lastTime).Seconds() < 1/limit.Sustained:
		return true
	}
	l.lastTime = now
	return false
}

// TestNoMessageIsRefusedByTheLimiter sends messages of all kinds as early as the pacer allows, over a connection that
// is fast and slow in turn.
func TestNoMessageIsRefusedByTheLimiter(t *testing.T) {
	messages := []Message{
		{Text: "hello"}, {Text: "/me waves"}, {To: "alice", Text: "/me waves"}, {Text: "/me waves", Command: true},
		{Text: "/sp /me waves", Command: true}, {Text: "/clear", Command: true}, {Text: "/say HELLO", Command: true},
	}
	for _, channel := range []cytube.FloodLimit{
		serverFlood, {Burst: 4, Sustained: 1, Cooldown: 4 * time.Second},
		{Burst: 1, Sustained: 10, Cooldown: 100 * time.Millisecond},
		{Burst: 0, Sustained: 5}, {Burst: 20, Sustained: 0.5, Cooldown: 40 * time.Second},
	} {
		random, p, server := rand.New(rand.NewPCG(1, 2)), newPacer(), limiter{}
		p.setLimit(&channel)
		now, sent := time.Now(), 0
		for range 2_000 {
			m := messages[random.IntN(len(messages))]
			if !p.fits(m) {
				continue
			}
			now = now.Add(p.delay(m, now))
			p.sent(m, now)
			now = now.Add(time.Duration(random.IntN(200)) * time.Millisecond)
			for range m.weight() {
				if server.throttle(p.limit(m), now) {
					t.Fatalf("%+v: message %d, %+v, is refused", channel, sent, m)
				}
			}
			now = now.Add(time.Duration(random.IntN(200)) * time.Millisecond)
			p.answered(now)
			if sent++; random.IntN(20) == 0 {
				now = now.Add(time.Duration(random.IntN(5000)) * time.Millisecond)
			}
		}
	}
}

// TestACommandThatTheChannelNeverAccepts checks that it is not tried again and again.
func TestACommandThatTheChannelNeverAccepts(t *testing.T) {
	inChannelThat(t, func(c *channel) { c.behave(c.echo, c.takeReports) }, func(t *testing.T, c *channel) {
		c.SetFloodLimit(&cytube.FloodLimit{Burst: 1, Sustained: 1, Cooldown: time.Second})
		c.put(queuedLine(1, "/me waves"), queuedLine(2, "hello"))
		pass(10 * time.Second)
		c.expect(t, "sent", &c.sent, "hello")
		if failure := c.onlyFailure(t); !failure.Permanent {
			t.Errorf("%+v", failure)
		}
	})
}

// TestALineThatTheLimiterRefusesIsSaidAfterTheCooldown checks this with a server that counts what the bot does not know
// of, and that the line keeps its place.
func TestALineThatTheLimiterRefusesIsSaidAfterTheCooldown(t *testing.T) {
	inChannel(t, func(t *testing.T, c *channel) {
		server := limiter{count: serverFlood.Burst, lastTime: time.Now()}
		c.behave(func(text string) {
			for range (Message{Text: text, Command: true}).weight() {
				if server.throttle(serverFlood, time.Now()) {
					c.HeardRefusal(cytube.Cooldown{Wait: 100 * time.Millisecond})
					return
				}
			}
			c.echo(text)
		}, c.takeReports)
		for id, text := range []string{"/me waves", "/sp ends", "one", "two"} {
			c.put(queuedLine(int64(id+1), text))
		}
		pass(10 * time.Second)
		c.expectMarked(t, 1, 2, 3, 4)
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.failures) > 0 {
			t.Errorf("failures %+v", c.failures)
		}
	})
}

func TestHowLinesAreShown(t *testing.T) {
	for said, shown := range map[Message]string{
		{Text: "hello  there "}:                 "hello there",
		{Text: "/me waves", Command: true}:      "waves",
		{Text: "/shout HELLO", Command: true}:   "HELLO",
		{Text: "a <b> & c"}:                     "a <b> & c",
		{Text: "/unknown words", Command: true}: "/unknown words",
		{Text: "/me waves"}:                     "/me waves",
		{Text: "/me /sp waves", Command: true}:  "waves",
		{Text: "/me", Command: true}:            "",
	} {
		if got := said.shown(); got != shown {
			t.Errorf("%+v is shown as %q, want %q", said, got, shown)
		}
	}
	if got := cytube.PlainText(`see <a href="https://example.com/?a=1&amp;b=2">https://example.com/</a> &lt;3`); got !=
		"see https://example.com/ <3" {
		t.Errorf("text %q", got)
	}
}
