package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/store/sqlite"
)

func newBackupCommand(flags *settings) *cobra.Command {
	return &cobra.Command{
		Use:     "backup FILE",
		Short:   "Copy the SQLite database to a new file, beside a running service or without one",
		Example: `  rosey db backup --channel movienight --database rosey-data/rosey.db /backups/rosey-monday.db`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			path, err := databasePath(flags, command)
			if err != nil {
				return err
			}
			size, err := sqlite.Backup(command.Context(), path, arguments[0])
			if err != nil {
				return failed(err)
			}
			return failed(printf(command.OutOrStdout(), "%s is copied to %s, %d bytes\n", path, arguments[0], size))
		},
	}
}

func newRestoreCommand(flags *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a copy of a backup in the place of the SQLite database, while no service runs",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			path, err := databasePath(flags, command)
			if err != nil {
				return err
			}
			kept, err := sqlite.Restore(command.Context(), arguments[0], path)
			if err != nil {
				return failed(err)
			}
			if kept != "" {
				err = printf(command.OutOrStdout(), "what was there is now %s\n", filepath.Clean(kept))
			}
			if err != nil {
				return failed(err)
			}
			return failed(printf(command.OutOrStdout(), "%s is as in %s\n", path, arguments[0]))
		},
	}
}

// databasePath is the file of the configured database.
func databasePath(flags *settings, command *cobra.Command) (string, error) {
	tool, err := newTool(flags, command)
	if err != nil {
		return "", err
	}
	if tool.config.Database.Postgres != nil {
		return "", fmt.Errorf("database.postgres: `rosey db %s` is for SQLite alone, expected pg_dump and pg_restore "+
			"for PostgreSQL", command.Name())
	}
	return tool.config.Database.SQLite.Path, nil
}
