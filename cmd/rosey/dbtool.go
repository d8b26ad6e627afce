package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// newTool is for a command that works on the configured database. To work on rows takes no NATS:
// whatever `rosey run` starts with is enough.
func newTool(flags *settings, command *cobra.Command) (*component, error) {
	tool, err := newComponent(status.RunComponent, flags, command.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	if tool.config.Database.Postgres == nil {
		return tool, tool.setData("")
	}
	if tool.config.Database.SQLite != nil {
		return nil, errors.New("database: both sqlite and postgres, expected one of them")
	}
	return tool, nil
}

// openImporter opens the configured database for writing.
func (c *component) openImporter(ctx context.Context) (store.Importer, error) {
	if c.config.Database.Postgres != nil {
		return postgres.Open(ctx, c.config.Database.Postgres.URLFile)
	}
	return sqlite.Open(ctx, c.config.Database.SQLite.Path)
}

// openThere is openImporter for a command that needs rows: it makes no empty file of a mistyped name.
func (c *component) openThere(ctx context.Context) (store.Importer, error) {
	if c.config.Database.Postgres == nil {
		if _, err := os.Stat(c.config.Database.SQLite.Path); err != nil {
			return nil, fmt.Errorf("finding the database: %w", err)
		}
	}
	return c.openImporter(ctx)
}

// openToLook opens the configured database beside a service that writes it.
func (c *component) openToLook(ctx context.Context) (store.Store, error) {
	if c.config.Database.Postgres != nil {
		return postgres.OpenReadOnly(ctx, c.config.Database.Postgres.URLFile)
	}
	return sqlite.OpenReadOnly(ctx, c.config.Database.SQLite.Path)
}

// databaseName is the configured database in words, without its URL, which is a secret.
func (c *component) databaseName() string {
	if c.config.Database.Postgres != nil {
		return "the PostgreSQL database of URL file " + c.config.Database.Postgres.URLFile
	}
	return c.config.Database.SQLite.Path
}
