package plugin

import (
	"context"
	"time"
)

// Clock is the time of a plugin. plugintest has one that tests turn.
type Clock interface {
	Now() time.Time
	// Every calls do again and again, first one interval after the call, until ctx ends. It returns then.
	Every(ctx context.Context, interval time.Duration, do func())
}

// realClock is the time of the machine.
type realClock struct{}

// Now implements Clock.
func (realClock) Now() time.Time { return time.Now() }

// Every implements Clock.
func (realClock) Every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}
