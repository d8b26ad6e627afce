package e2e

import (
	"context"
	"strings"
	"testing"
	"time"
)

// eventually tries check until it returns nil. When time is over the test ends with the last error, which says what
// was still wrong.
func eventually(t *testing.T, limit time.Duration, what string, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		// Near the end the client itself gives up, which says nothing about what is waited for.
		if ctx.Err() == nil && !strings.Contains(err.Error(), "would exceed context deadline") {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not after %s: %v", what, limit, last)
		case <-tick.C:
		}
	}
}
