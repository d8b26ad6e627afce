package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store/sqlite"
)

func newBackupCommand(flags *settings) *cobra.Command {
	return &cobra.Command{
		Use:     "backup FILE",
		Short:   "Copy the database to a new file, beside a running service or without one",
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
		Short: "Put a copy of a backup in the place of the database, while no service runs",
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

// databasePath is where the configured database is. To work on a file takes no NATS: whatever
// `rosey run` starts with is enough.
func databasePath(flags *settings, command *cobra.Command) (string, error) {
	component, err := newComponent(config.RunComponent, flags, command.ErrOrStderr())
	if err != nil {
		return "", err
	}
	if err := component.setData(""); err != nil {
		return "", err
	}
	return component.config.Database.SQLite.Path, nil
}

// mustExist keeps a command that works on rows from making an empty database of a mistyped name.
func mustExist(path string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("finding the database: %w", err)
	}
	return nil
}
