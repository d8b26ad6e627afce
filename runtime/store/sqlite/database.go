package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"rosey.dev/rosey/runtime/store/relational"
)

var errReadOnly = errors.New("the database is open for reading only")

// database is a relational.Database: one connection writes, others read beside it.
type database struct {
	session

	write *sql.DB // nil when opened for reading only
	read  *sql.DB
}

// Exec implements relational.Executor.
func (d *database) Exec(ctx context.Context, query string, arguments ...any) (int64, error) {
	if d.write == nil {
		return 0, errReadOnly
	}
	return session{d.write}.Exec(ctx, query, arguments...)
}

// Read implements relational.Database.
func (d *database) Read(ctx context.Context, work func(relational.Session) error) error {
	tx, err := d.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("beginning to read: %w", classify(err))
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	return work(session{tx})
}

// Write implements relational.Database.
func (d *database) Write(ctx context.Context, work func(relational.Session) error) error {
	if d.write == nil {
		return errReadOnly
	}
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", classify(err))
	}
	if err := work(session{tx}); err != nil {
		// The transaction's own error adds nothing to the one that ended it.
		_ = tx.Rollback()
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", classify(err))
	}
	return nil
}

// SkipLocked implements relational.Database: there is one writer.
func (d *database) SkipLocked() string { return "" }

// Share implements relational.Database: there is one writer.
func (d *database) Share() string { return "" }

// Renumber implements relational.Database: SQLite keeps the greatest number itself (AUTOINCREMENT).
func (d *database) Renumber(context.Context, relational.Session, string) error { return nil }

// Adopted implements relational.Database: a file stays the same file.
func (d *database) Adopted(string) {}
