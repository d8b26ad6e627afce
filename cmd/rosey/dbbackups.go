package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// listedBackups are the backups in a directory as `rosey db backup list` shows them.
type listedBackups struct {
	Directory string `json:"directory"`
	// Database is the beginning of the ID of the configured database, empty if there is none.
	Database string         `json:"database"`
	Backups  []listedBackup `json:"backups"`
}

type listedBackup struct {
	File     string `json:"file"`
	Database string `json:"database"`
	Made     int64  `json:"made"` // in milliseconds since 1970
	Bytes    int64  `json:"bytes"`
	// Problem is why the file cannot be restored, empty if it can.
	Problem string `json:"problem,omitempty"`
}

func newBackupListCommand(flags *configFlags) *cobra.Command {
	var format output.Format
	var check bool
	command := &cobra.Command{
		Use:   "list",
		Short: "List the backups that the service has made, newest first",
		Long: "List the backups that the service has made in database.backup.directory, newest first, also while it runs.\n" +
			"A file that is empty, cut off, of a later version of Rosey or no database is named as such; --check reads\n" +
			"each file as a whole. Copies of other databases in the directory are listed, too: after the loss of a\n" +
			"database, the one that replaces it has another ID. `rosey db restore FILE` restores one of them.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			tool, path, err := sqliteTool(flags, command)
			if err != nil {
				return err
			}
			listed, err := listBackups(command.Context(), tool.backupDir(), path, check)
			if err != nil {
				return exit.Failed(err)
			}
			good := "complete"
			if check {
				good = "intact"
			}
			return writeOutput(command.OutOrStdout(), format, listed, listed.text(good))
		},
	}
	addOutputFlag(command, &format)
	command.Flags().BoolVar(&check, "check", false, "Read each file as a whole to find damage in it")
	return command
}

// backupDir returns the directory for backups: the configured one, or "backups" beside the database, which is that of
// `rosey run` and of a RoseyBot without a claim for backups.
func (c *component) backupDir() string {
	if configured := c.config.Database.Backup.Directory; configured != "" {
		return configured
	}
	return filepath.Join(filepath.Dir(c.config.Database.SQLite.Path), "backups")
}

// listBackups returns the backups in a directory for the database at path, newest first.
func listBackups(ctx context.Context, directory, path string, readAll bool) (listedBackups, error) {
	listed := listedBackups{Directory: directory, Backups: []listedBackup{}}
	files, err := database.ListBackups(directory)
	if err != nil {
		return listed, err
	}
	if listed.Database, err = databaseID(ctx, path); err != nil {
		return listed, err
	}
	for _, file := range slices.Backward(files) {
		backup := listedBackup{
			File: file.Path, Database: file.Database, Made: toMillis(file.Made), Bytes: file.Size,
		}
		if err := sqlite.CheckBackup(ctx, file.Path, readAll); err != nil {
			backup.Problem = err.Error()
		}
		if ctx.Err() != nil {
			return listed, fmt.Errorf("checking the backups: %w", ctx.Err())
		}
		listed.Backups = append(listed.Backups, backup)
	}
	return listed, nil
}

// databaseID returns the BackupID of the database at path. It is empty for a database that cannot be read: then a
// backup is needed all the more.
func databaseID(ctx context.Context, path string) (string, error) {
	opened, err := sqlite.OpenReadOnly(ctx, path)
	if err != nil {
		return "", nil //nolint:nilerr // see above
	}
	id, err := opened.Identity(ctx)
	return database.BackupID(id), errors.Join(err, opened.Close())
}

// text is for people. good is what is known of a file without a problem.
func (l listedBackups) text(good string) string {
	var text bytes.Buffer
	title := "Backups in " + status.Printable(l.Directory)
	if l.Database != "" {
		title += ", where the database is " + l.Database
	}
	writeTable(&text, title, "FILE\tMADE\tBYTES\tDATABASE\tSTATE", l.Backups, func(b listedBackup) string {
		state := cmp.Or(status.Printable(b.Problem), good)
		return fmt.Sprintf("%s\t%s\t%d\t%s\t%s", status.Printable(b.File), formatMillis(b.Made), b.Bytes, b.Database, state)
	})
	return text.String()
}
