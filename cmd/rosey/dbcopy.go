package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/relational"
	"rosey.dev/rosey/runtime/store/sqlite"
)

func newBackupCommand(flags *configFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the SQLite database to a new file, or for - to the standard output, also while a service uses it",
		Example: `  rosey db backup --channel movienight --database rosey-data/rosey.db /backups/rosey-monday.db
  kubectl exec deployment/movienight-db -- rosey db backup - --config /etc/rosey/database.yaml >backup.db`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			path, err := sqlitePath(flags, command)
			if err != nil {
				return err
			}
			if arguments[0] == "-" {
				return exit.Failed(writeBackup(command.Context(), path, os.Stdout)) // the command's own writer is for text
			}
			size, err := sqlite.Backup(command.Context(), path, arguments[0])
			if err != nil {
				return exit.Failed(err)
			}
			return exit.Failed(printf(command.OutOrStdout(), "copied %s to %s, %d bytes\n",
				status.Printable(path), status.Printable(arguments[0]), size))
		},
	}
	command.AddCommand(newBackupListCommand(flags))
	return command
}

// writeBackup writes a backup to out. It is complete before its first byte is written, so that a failure leaves no part
// of it, and the database is not read for as long as a slow reader takes.
func writeBackup(ctx context.Context, path string, out *os.File) (err error) {
	if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return errors.New("a backup is not for a terminal: expected the standard output in a file or a pipe")
	}
	dir, remove, err := tempDir(filepath.Dir(path), ".backup-")
	if err != nil {
		dir, remove, err = tempDir("", "rosey-backup-") // the directory of the database is not writable
	}
	if err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	copied := filepath.Join(dir, "backup.db")
	if _, err := sqlite.Backup(ctx, path, copied); err != nil {
		return err
	}
	file, err := os.Open(copied)
	if err != nil {
		return fmt.Errorf("reading the backup: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	if _, err := io.Copy(out, file); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	return nil
}

// withInput calls use with the path of a file: name, or for "-" a temporary file in dir with the standard input.
func withInput(
	ctx context.Context, name, dir string, stdin io.Reader, use func(path string) error,
) (err error) {
	if name != "-" {
		return use(name)
	}
	received, remove, err := tempDir(dir, ".received-")
	if err != nil {
		return fmt.Errorf("receiving the standard input: %w", err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	path := filepath.Join(received, "input.db")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("receiving the standard input: %w", err)
	}
	if err = errors.Join(receive(ctx, file, stdin), file.Close()); err != nil {
		return fmt.Errorf("receiving the standard input: %w", err)
	}
	return use(path)
}

// receive copies the standard input to a file. Nothing interrupts a read of it: after ctx has ended, it ends with the
// process. Somebody who was to send it may have gone without a word.
func receive(ctx context.Context, file *os.File, stdin io.Reader) error {
	received := make(chan error, 1)
	go func() {
		_, err := io.Copy(file, stdin)
		received <- err
	}()
	select {
	case err := <-received:
		return err
	case <-ctx.Done():
		return fmt.Errorf("interrupted, and nothing was changed: %w", context.Cause(ctx))
	}
}

func newRestoreCommand(flags *configFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Replace the SQLite database with a backup, or for - with the standard input, while no service uses it",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			tool, path, err := sqliteTool(flags, command)
			if err != nil {
				return err
			}
			err = withInput(command.Context(), arguments[0], filepath.Dir(path), command.InOrStdin(), func(backup string) error {
				return tool.restore(command.Context(), command.OutOrStdout(), backup, arguments[0], path)
			})
			return exit.Failed(err)
		},
	}
}

// restore writes to out what it is going to do and what it has done, for people, who called the backup name.
func (c *component) restore(ctx context.Context, out io.Writer, backup, name, path string) error {
	// A backup that cannot be read now is refused, or needs its schema to be brought up to date first.
	expired, unread := expiredText(ctx, location{path: backup}, c.retention())
	if unread == nil {
		if err := printf(out, "%s", expired); err != nil {
			return err
		}
	}
	done, err := sqlite.Restore(ctx, backup, path)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("restored %s from %s\n", status.Printable(path), status.Printable(name))
	if done.Schema < done.Migrated {
		text += fmt.Sprintf("the schema of the backup, version %d, was brought up to version %d\n",
			done.Schema, done.Migrated)
	}
	if done.Replaced != "" {
		text += fmt.Sprintf("the previous database is now %s\n", status.Printable(filepath.Clean(done.Replaced)))
	}
	if unread != nil {
		expired, err = expiredText(ctx, c.database(), c.retention())
		text += expired
	}
	return errors.Join(err, printf(out, "%s", text))
}

// sqlitePath returns the path of the configured database.
func sqlitePath(flags *configFlags, command *cobra.Command) (string, error) {
	_, path, err := sqliteTool(flags, command)
	return path, err
}

// sqliteTool returns the component of a command that supports SQLite only, and the path of the configured database.
func sqliteTool(flags *configFlags, command *cobra.Command) (*component, string, error) {
	tool, err := newDatabaseTool(flags, command)
	if err != nil {
		return nil, "", err
	}
	if database := tool.database(); !database.postgres {
		return tool, database.path, nil
	}
	return nil, "", fmt.Errorf("database.postgres: `%s` supports SQLite only; for PostgreSQL use pg_dump and pg_restore",
		command.CommandPath())
}

func newMoveCommand(flags *configFlags) *cobra.Command {
	var format output.Format
	var from, to string
	command := &cobra.Command{
		Use:   "move --from DATABASE --to DATABASE",
		Short: "Copy all rows and the identity of a database to another one",
		Long: "Copy all rows and the identity of a database to another one, which must be empty or filled by an\n" +
			"earlier move. No service may use either of them meanwhile (an SQLite file that is open is refused);\n" +
			"afterwards use the target only. The source is not changed. Another move copies what has changed in the\n" +
			"source since.\n\n" +
			"DATABASE is sqlite:///PATH, or postgres-file:///PATH: a file that contains the URL of a PostgreSQL\n" +
			"database, since other users can read a password on a command line. Paths are absolute.\n\n" +
			"It first lists the rows that the retention of the configuration (--config) will remove from the target.",
		Example: `  rosey db move --from sqlite:///var/lib/rosey/rosey.db --to postgres-file:///run/secrets/database-url`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			source, err := parseLocation("--from", from)
			if err != nil {
				return err
			}
			target, err := parseLocation("--to", to)
			if err != nil {
				return err
			}
			if source == target || source.sameFile(target) {
				return errors.New("--to: the same as --from, expected another database")
			}
			retention, err := configuredRetention(flags, command)
			if err != nil {
				return err
			}
			moved, err := move(command.Context(), source, target, retention, command.ErrOrStderr())
			if err != nil {
				return exit.Failed(err)
			}
			return writeOutput(command.OutOrStdout(), format, moved, movedText(moved))
		},
	}
	command.Flags().StringVar(&from, "from", "", "Database to copy; it is only read")
	command.Flags().StringVar(&to, "to", "", "Database to fill")
	addOutputFlag(command, &format)
	return command
}

// sameFile reports whether two locations are one file under two names.
func (l location) sameFile(other location) bool {
	if l.postgres != other.postgres {
		return false
	}
	one, err := os.Stat(l.path)
	another, otherErr := os.Stat(other.path)
	return err == nil && otherErr == nil && os.SameFile(one, another)
}

// parseLocation returns the location that a flag names. An error does not quote the value, which may be a URL with a
// password.
func parseLocation(flag, value string) (location, error) {
	if strings.HasPrefix(value, "postgres://") || strings.HasPrefix(value, "postgresql://") {
		return location{}, fmt.Errorf("%s: a URL with a password can be read by other users on a command line: write it "+
			"to a file and name that, as postgres-file:///PATH", flag)
	}
	if path, ok := strings.CutPrefix(value, "sqlite://"); ok && filepath.IsAbs(path) {
		return location{path: path}, nil
	}
	if path, ok := strings.CutPrefix(value, "postgres-file://"); ok && filepath.IsAbs(path) {
		return location{postgres: true, path: path}, nil
	}
	return location{}, fmt.Errorf("%s: expected sqlite:///PATH or postgres-file:///PATH, with an absolute path", flag)
}

// move copies a database. retention is that of the service that will use the copy.
func move(
	ctx context.Context, from, to location, retention store.Retention, progress io.Writer,
) (moved []relational.Moved, err error) {
	if !from.postgres {
		unlock, err := sqlite.LockForCopy(from.path)
		if err != nil {
			return nil, fmt.Errorf("--from: %w; rows that it stores meanwhile would not be copied: stop it first", err)
		}
		defer unlock()
	}
	// The source is opened first, so that a misspelled one does not leave an empty target behind.
	source, err := from.openReadOnly(ctx)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	expired, err := expiredText(ctx, from, retention)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	if err := printf(progress, "%s", expired); err != nil {
		return nil, err
	}
	target, err := to.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	return relational.Move(ctx, relationalStore(source), relationalStore(target),
		func(table string, done, rows int64) {
			_, _ = fmt.Fprintf(progress, "%s: %d of %d rows\n", table, done, rows) // the summary repeats it
		})
}

// relationalStore returns the part of a store that relational.Move can copy.
func relationalStore(opened store.Importer) relational.Store {
	switch opened := opened.(type) {
	case *sqlite.Store:
		return opened.Store
	case *postgres.Store:
		return opened.Store
	}
	panic(fmt.Sprintf("a store of type %T", opened)) // location opens no others
}

func movedText(moved []relational.Moved) string {
	var text bytes.Buffer
	writeTable(&text, "Rows", "TABLE\tROWS\tCOPIED\tALREADY THERE", moved, func(t relational.Moved) string {
		return fmt.Sprintf("%s\t%d\t%d\t%d", t.Table, t.Rows, t.Taken, t.Rows-t.Taken)
	})
	return text.String()
}
