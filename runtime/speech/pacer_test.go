package speech

import (
	"testing"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

func TestPacer(t *testing.T) {
	p := newPacer()
	p.setLimit(&cytube.FloodLimit{Burst: 3, Sustained: 2, Cooldown: 4 * time.Second})
	now := time.Now()
	for range 3 {
		if wait := p.delay(now); wait != 0 {
			t.Errorf("waits %s within the burst", wait)
		}
		p.sent(now)
	}
	if wait := p.delay(now); wait != 500*time.Millisecond+spare {
		t.Errorf("waits %s behind the burst", wait)
	}
	now = now.Add(5 * time.Second)
	if wait := p.delay(now); wait != 0 {
		t.Errorf("waits %s after a pause", wait)
	}
	p.sent(now)
	p.throttled(time.Second, now)
	if wait := p.delay(now); wait != time.Second+spare {
		t.Errorf("waits %s after a refusal of a second", wait)
	}
	now = now.Add(time.Second + spare)
	p.sent(now)
	if wait := p.delay(now); wait != 500*time.Millisecond+spare {
		t.Errorf("waits %s: a refusal does not begin a burst", wait)
	}
}

func TestHowLinesAreShown(t *testing.T) {
	for said, shown := range map[Message]string{
		{Text: "hello  there "}:                 "hello there",
		{Text: "/me waves", Command: true}:      "waves",
		{Text: "/shout HELLO", Command: true}:   "HELLO",
		{Text: "a <b> & c"}:                     "a <b> & c",
		{Text: "/unknown words", Command: true}: "/unknown words",
		{Text: "/me waves"}:                     "/me waves",
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
