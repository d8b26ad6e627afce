package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"rosey.dev/rosey/runtime/bus"
)

// Fallback asks a Service over NATS, and the database itself where none can be asked.
type Fallback struct {
	Service  *bus.Requester
	Database *Direct
	Log      *slog.Logger
}

// Request is that of bus.Requester. A service that is there and does not answer in time is not passed by:
// it may have done what it was asked.
func (f Fallback) Request(ctx context.Context, suffix bus.Suffix, in, out any) error {
	err := f.Service.Request(ctx, suffix, in, out)
	if err == nil {
		f.Log.Debug("[NATS] answered " + string(suffix))
	}
	if !errors.Is(err, bus.ErrNotConnected) && !errors.Is(err, bus.ErrNoService) {
		return err
	}
	if direct := f.Database.Request(ctx, suffix, in, out); direct != nil {
		return fmt.Errorf("%w; %w", err, direct)
	}
	return nil
}
