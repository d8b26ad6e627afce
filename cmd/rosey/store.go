package main

import (
	"context"
	"errors"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// openStore opens the configured database for writing.
func (c *component) openStore(ctx context.Context) (store.Store, error) {
	if c.config.Database.SQLite == nil {
		return nil, errors.New("database.postgres: this version opens SQLite alone, expected database.sqlite")
	}
	return sqlite.Open(ctx, c.config.Database.SQLite.Path)
}

// retention is the configured one. Dead letters have no key and keep their default.
func retention(configured config.Retention) store.Retention {
	return store.Retention{
		Chat:       configured.Chat.Time(),
		UserCounts: configured.UserCounts.Time(),
		Outbound:   configured.Outbound.Time(),
	}
}
