package backoff_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rosey.dev/rosey/runtime/backoff"
)

func TestNextDoublesUpToMax(t *testing.T) {
	t.Parallel()
	b := backoff.Backoff{Min: time.Second, Max: 10 * time.Second}
	for attempt, seconds := range []int{1, 2, 4, 8, 10, 10} {
		most := time.Duration(seconds) * time.Second
		if got := b.Next(); got < most/2 || got > most {
			t.Errorf("pause %d: %s, want %s to %s", attempt, got, most/2, most)
		}
	}
	b.Reset()
	if got := b.Next(); got > time.Second {
		t.Errorf("after Reset: %s, want at most %s", got, time.Second)
	}
}

func TestNextDoesNotOverflow(t *testing.T) {
	t.Parallel()
	b := backoff.Backoff{Min: 24 * time.Hour, Max: 48 * time.Hour}
	for attempt := range 100 {
		if got := b.Next(); got < 12*time.Hour || got > b.Max {
			t.Fatalf("pause %d: %s", attempt, got)
		}
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if backoff.Sleep(ctx, time.Hour) || time.Since(began) != time.Minute {
			t.Errorf("slept %s past the end of the context", time.Since(began)-time.Minute)
		}
		if !backoff.Sleep(t.Context(), time.Hour) {
			t.Error("a whole sleep is reported as cut short")
		}
	})
}

func TestWaitEndsWhenWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{}, 1)
		wake <- struct{}{}
		began := time.Now()
		backoff.Wait(t.Context(), time.Hour, wake)
		if time.Since(began) != 0 {
			t.Errorf("waited %s with a wake-up pending", time.Since(began))
		}
	})
}
