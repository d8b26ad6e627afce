package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/legacy"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/relational"
	"rosey.dev/rosey/runtime/store/sqlite"
)

func newBackupCommand(flags *configFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "backup FILE",
		Short:   "Copy the SQLite database to a new file, also while a service uses it",
		Example: `  rosey db backup --channel movienight --database rosey-data/rosey.db /backups/rosey-monday.db`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			path, err := sqlitePath(flags, command)
			if err != nil {
				return err
			}
			size, err := sqlite.Backup(command.Context(), path, arguments[0])
			if err != nil {
				return failed(err)
			}
			return failed(printf(command.OutOrStdout(), "copied %s to %s, %d bytes\n",
				status.Printable(path), status.Printable(arguments[0]), size))
		},
	}
}

func newRestoreCommand(flags *configFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Replace the SQLite database with a backup, while no service uses it",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			path, err := sqlitePath(flags, command)
			if err != nil {
				return err
			}
			replaced, err := sqlite.Restore(command.Context(), arguments[0], path)
			if err != nil {
				return failed(err)
			}
			text := fmt.Sprintf("restored %s from %s\n", status.Printable(path), status.Printable(arguments[0]))
			if replaced != "" {
				text += fmt.Sprintf("the previous database is now %s\n", status.Printable(filepath.Clean(replaced)))
			}
			return failed(printf(command.OutOrStdout(), "%s", text))
		},
	}
}

// sqlitePath returns the path of the configured database.
func sqlitePath(flags *configFlags, command *cobra.Command) (string, error) {
	tool, err := newDatabaseTool(flags, command)
	if err != nil {
		return "", err
	}
	if database := tool.database(); !database.postgres {
		return database.path, nil
	}
	return "", fmt.Errorf("database.postgres: `rosey db %s` supports SQLite only; for PostgreSQL use pg_dump and "+
		"pg_restore", command.Name())
}

func newMoveCommand() *cobra.Command {
	var from, to, output string
	command := &cobra.Command{
		Use:   "move --from DATABASE --to DATABASE",
		Short: "Copy all rows and the identity of a database to another one",
		Long: "Copy all rows and the identity of a database to another one, which must be empty or filled by an\n" +
			"earlier move. No service may use either of them meanwhile; afterwards use the target only. The source\n" +
			"is not changed. Another move copies what has changed in the source since.\n\n" +
			"DATABASE is sqlite:///PATH, or postgres-file:///PATH: a file that contains the URL of a PostgreSQL\n" +
			"database, since other users can read a password on a command line. Paths are absolute.",
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
			if source == target {
				return errors.New("--to: the same as --from, expected another database")
			}
			moved, err := move(command.Context(), source, target, command.ErrOrStderr())
			if err != nil {
				return failed(err)
			}
			return writeOutput(command.OutOrStdout(), output, moved, movedText(moved))
		},
	}
	command.Flags().StringVar(&from, "from", "", "Database to copy; it is only read")
	command.Flags().StringVar(&to, "to", "", "Database to fill")
	addOutputFlag(command, &output)
	return command
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

func move(ctx context.Context, from, to location, progress io.Writer) (moved []relational.Moved, err error) {
	// The source is opened first, so that a misspelled one does not leave an empty target behind.
	source, err := from.openReadOnly(ctx)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
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

func newImportCommand() *cobra.Command {
	var flags *configFlags
	var output string
	command := &cobra.Command{
		Use:   "import FILE --channel NAME",
		Short: "Import the SQLite file of a Python Rosey",
		Long: "Import the SQLite file of a Python Rosey. The file is not changed.\n" +
			"Neither bot may run during the import. Importing the same file again changes nothing.",
		Example: `  rosey import bot_data.db --channel movienight --database rosey-data/rosey.db`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			tool, err := newDatabaseTool(flags, command)
			if err != nil {
				return err
			}
			summary, err := tool.importFile(command.Context(), arguments[0], command.ErrOrStderr())
			if err != nil {
				return failed(err)
			}
			return writeOutput(command.OutOrStdout(), output, summary, importText(summary))
		},
	}
	flags = newConfigFlags(command.Flags(), "", keysAt("channel.name", "channel.server", "database.sqlite.path",
		"database.postgres.urlFile", "logLevel"))
	addOutputFlag(command, &output)
	return command
}

func (c *component) importFile(
	ctx context.Context, file string, progress io.Writer,
) (summary legacy.Summary, err error) {
	source, err := legacy.Open(ctx, file)
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if !c.database().postgres {
		if err := c.makeDataDir(""); err != nil {
			return summary, err
		}
	}
	target, err := c.database().open(ctx)
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	_, _ = fmt.Fprintf(progress, "importing %s, made by a Python Rosey with %s, into channel %s of %s\n",
		file, source.Generation, c.config.Channel.Name, c.database())
	return legacy.Import(ctx, legacy.Options{
		Source: source, Target: target, Channel: c.channel(),
		Progress: func(table string, done, rows int) {
			_, _ = fmt.Fprintf(progress, "%s: %d of %d rows\n", table, done, rows) // the summary repeats it
		},
	})
}

func importText(summary legacy.Summary) string {
	var text bytes.Buffer
	var skipped, corrected []string
	writeTable(&text, "Rows", "TABLE\tROWS\tIMPORTED\tEXISTING\tDUPLICATE\tSKIPPED", summary.Tables,
		func(t *legacy.Table) string {
			name, rows := status.Printable(t.Name), 0
			for _, reason := range slices.Sorted(maps.Keys(t.Skipped)) {
				rows += t.Skipped[reason]
				skipped = append(skipped, fmt.Sprintf("%s\t%d\t%s", name, t.Skipped[reason], reason))
			}
			for _, note := range slices.Sorted(maps.Keys(t.Notes)) {
				corrected = append(corrected, fmt.Sprintf("%s\t%d\t%s", name, t.Notes[note], note))
			}
			return fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%d", name, t.Rows, t.Imported, t.Existing, t.Duplicates, rows)
		})
	asRow := func(row string) string { return row }
	writeTable(&text, "Skipped", "TABLE\tROWS\tREASON", skipped, asRow)
	writeTable(&text, "Corrected", "TABLE\tROWS\tCORRECTION", corrected, asRow)
	return text.String()
}
