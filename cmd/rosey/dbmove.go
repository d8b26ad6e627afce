package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/store/postgres"
	"rosey.dev/rosey/runtime/store/relational"
	"rosey.dev/rosey/runtime/store/sqlite"
)

const (
	sqliteScheme   = "sqlite://"
	postgresScheme = "postgres-file://"
)

func newMoveCommand() *cobra.Command {
	var from, to, output string
	command := &cobra.Command{
		Use:   "move --from DATABASE --to DATABASE",
		Short: "Copy all rows and the identity of a database into another, which is empty or had them before",
		Long: "Copy all rows and the identity of a database into another, which is empty or had them before.\n" +
			"No service may use either meanwhile; afterwards use the target alone. The source is only read.\n" +
			"To move again takes what has changed in the source since.\n\n" +
			"DATABASE is sqlite:///PATH, or postgres-file:///PATH: a file that holds the URL of a PostgreSQL\n" +
			"database, since a command line is no place for its password. Paths are absolute.",
		Example: `  rosey db move --from sqlite:///var/lib/rosey/rosey.db --to postgres-file:///run/secrets/database-url`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			source, err := parsePlace("--from", from)
			if err != nil {
				return err
			}
			target, err := parsePlace("--to", to)
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
			return writeAs(command.OutOrStdout(), output, moved, movedText(moved))
		},
	}
	command.Flags().StringVar(&from, "from", "", "the database to copy, which is only read")
	command.Flags().StringVar(&to, "to", "", "the database to fill")
	addOutput(command, &output)
	return command
}

// place is where a database is.
type place struct{ scheme, path string }

// parsePlace never repeats what it was given: it may be a URL with a password.
func parsePlace(flag, given string) (place, error) {
	if strings.HasPrefix(given, "postgres://") || strings.HasPrefix(given, "postgresql://") {
		return place{}, fmt.Errorf("%s: a URL with a password is for others to read on a command line: write it to a "+
			"file and name that, as postgres-file:///PATH", flag)
	}
	for _, scheme := range []string{sqliteScheme, postgresScheme} {
		if path, ok := strings.CutPrefix(given, scheme); ok && filepath.IsAbs(path) {
			return place{scheme, path}, nil
		}
	}
	return place{}, fmt.Errorf("%s: expected sqlite:///PATH or postgres-file:///PATH, with an absolute path", flag)
}

// placed is an open database at its place.
type placed struct {
	relational.Store

	close func() error
}

func (p place) openToLook(ctx context.Context) (placed, error) {
	if p.scheme == postgresScheme {
		s, err := postgres.OpenReadOnly(ctx, p.path)
		if err != nil {
			return placed{}, err
		}
		return placed{s.Store, s.Close}, nil
	}
	s, err := sqlite.OpenReadOnly(ctx, p.path)
	if err != nil {
		return placed{}, err
	}
	return placed{s.Store, s.Close}, nil
}

func (p place) open(ctx context.Context) (placed, error) {
	if p.scheme == postgresScheme {
		s, err := postgres.Open(ctx, p.path)
		if err != nil {
			return placed{}, err
		}
		return placed{s.Store, s.Close}, nil
	}
	s, err := sqlite.Open(ctx, p.path)
	if err != nil {
		return placed{}, err
	}
	return placed{s.Store, s.Close}, nil
}

func move(ctx context.Context, from, to place, notes io.Writer) (moved []relational.Moved, err error) {
	// First, so that a mistyped source leaves no empty target behind.
	source, err := from.openToLook(ctx)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	defer func() { err = errors.Join(err, source.close()) }()
	target, err := to.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("--to: %w", err)
	}
	defer func() { err = errors.Join(err, target.close()) }()
	return relational.Move(ctx, source.Store, target.Store, func(table string, done, rows int64) {
		_, _ = fmt.Fprintf(notes, "%s: %d of %d rows\n", table, done, rows) // the summary tells it all again
	})
}

func movedText(moved []relational.Moved) string {
	var text bytes.Buffer
	table(&text, "Rows", "TABLE\tROWS\tTAKEN\tALREADY THERE", moved, func(t relational.Moved) string {
		return fmt.Sprintf("%s\t%d\t%d\t%d", t.Table, t.Rows, t.Taken, t.Rows-t.Taken)
	})
	return text.String()
}
