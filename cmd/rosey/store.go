package main

import (
	"context"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// openStore opens the configured database for writing.
func (c *component) openStore(ctx context.Context) (store.Store, error) { return c.openImporter(ctx) }

func (c *component) openImporter(ctx context.Context) (store.Importer, error) {
	if c.config.Database.Postgres != nil {
		return postgres.Open(ctx, c.config.Database.Postgres.URLFile)
	}
	return sqlite.Open(ctx, c.config.Database.SQLite.Path)
}

// openToLook opens the configured database beside a service that writes it.
func (c *component) openToLook(ctx context.Context) (store.Store, error) {
	if c.config.Database.Postgres != nil {
		return postgres.OpenReadOnly(ctx, c.config.Database.Postgres.URLFile)
	}
	return sqlite.OpenReadOnly(ctx, c.config.Database.SQLite.Path)
}

// retention is the configured one. Dead letters have no key and keep their default.
func retention(configured config.Retention) store.Retention {
	return store.Retention{
		Chat:       configured.Chat.Time(),
		UserCounts: configured.UserCounts.Time(),
		Outbound:   configured.Outbound.Time(),
	}
}
