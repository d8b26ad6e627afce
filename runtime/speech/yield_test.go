package speech

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestOthersDoNotWaitForWhatYields has one say more than the flood limit lets through at once, while others say little.
func TestOthersDoNotWaitForWhatYields(t *testing.T) {
	t.Parallel()
	inChannelThat(t, func(c *channel) { c.behave(c.echo, nil) }, func(t *testing.T, c *channel) {
		synctest.Wait()
		var saying sync.WaitGroup
		for i := range 30 {
			saying.Go(func() {
				if got := c.Speaker.Say(t.Context(), Message{Text: fmt.Sprint("flood ", i), Yielding: true}); got.Outcome != Said {
					t.Errorf("flood %d: %s", i, got)
				}
			})
		}
		synctest.Wait()
		if sent := c.countSent(); sent != serverFlood.Burst/2 {
			t.Errorf("%d lines at once, expected to leave half of %d", sent, serverFlood.Burst)
		}
		began := time.Now()
		for i := range serverFlood.Burst / 2 {
			if got := c.Speaker.Say(t.Context(), Message{Text: fmt.Sprint("reply ", i)}); got.Outcome != Said {
				t.Errorf("reply %d: %s", i, got)
			}
		}
		if waited := time.Since(began); waited > 0 || c.countSent() != serverFlood.Burst {
			t.Errorf("replies waited for %s, %d lines sent", waited, c.countSent())
		}
		saying.Wait()
		if waited := time.Since(began); waited > time.Minute {
			t.Errorf("what yields waited for %s", waited)
		}
	})
}

// TestWhatYieldsIsDroppedAtTheEnd ends a session in which something still waits.
func TestWhatYieldsIsDroppedAtTheEnd(t *testing.T) {
	t.Parallel()
	var said, gone atomic.Int32
	inChannelThat(t, func(c *channel) { c.behave(c.echo, nil) }, func(t *testing.T, c *channel) {
		for range 20 {
			go func() {
				if c.Speaker.Say(context.WithoutCancel(t.Context()), Message{Text: "flood", Yielding: true}).Outcome == Gone {
					gone.Add(1)
				} else {
					said.Add(1)
				}
			}()
		}
		synctest.Wait()
	})
	if said.Load() != 10 || gone.Load() != 10 {
		t.Errorf("%d were said and %d dropped, expected 10 of 20", said.Load(), gone.Load())
	}
}
