package cli

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// gate holds the connection's log back until there is a connection: until then the command's one error says
// the same.
type gate struct {
	slog.Handler
	open atomic.Bool
}

// Enabled implements slog.Handler.
func (g *gate) Enabled(ctx context.Context, level slog.Level) bool {
	return g.open.Load() && g.Handler.Enabled(ctx, level)
}
