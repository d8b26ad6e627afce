package main

import (
	"context"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
)

// openStore opens the configured database for writing.
func (c *component) openStore(ctx context.Context) (store.Store, error) { return c.openImporter(ctx) }

// retention is the configured one. Dead letters have no key and keep their default.
func retention(configured config.Retention) store.Retention {
	return store.Retention{
		Chat:       configured.Chat.Time(),
		UserCounts: configured.UserCounts.Time(),
		Outbound:   configured.Outbound.Time(),
	}
}
