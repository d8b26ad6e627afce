package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"path/filepath"
	"testing"

	"rosey.dev/rosey/runtime/store/relational"
)

var errTest = errors.New("failed for a test")

// brokenStatement is a statement that fails.
type brokenStatement struct{ driverStatement }

// ExecContext implements driver.StmtExecContext.
func (brokenStatement) ExecContext(context.Context, []driver.NamedValue) (driver.Result, error) {
	return nil, errTest
}

// Close implements driver.Stmt.
func (brokenStatement) Close() error { return nil }

// breakRollback lets ROLLBACK fail on the connection that writes.
func breakRollback(t *testing.T, db *database) {
	t.Helper()
	writer, err := db.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = writer.Raw(func(opened any) error {
		opened.(*conn).cached["ROLLBACK"] = &statement{driverStatement: brokenStatement{}, cached: true}
		return nil
	})
	if err := errors.Join(err, writer.Close()); err != nil {
		t.Fatal(err)
	}
}

// If the connection went back to the pool with an open transaction, every later write would fail until a restart.
func TestAFailedRollbackDoesNotEndAllWrites(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "rosey.db"))
	defer mustClose(t, s)
	breakRollback(t, s.db)
	err := s.db.Write(t.Context(), func(ctx context.Context, tx relational.Tx) error {
		_, err := tx.Exec(ctx, "CREATE TABLE half (n INTEGER)")
		return errors.Join(err, errTest)
	})
	if !errors.Is(err, errTest) {
		t.Fatalf("the transaction ended with %v, expected the error of its work", err)
	}
	if _, err := s.db.Exec(t.Context(), "CREATE TABLE half (n INTEGER)"); err != nil {
		t.Errorf("the table of the transaction that failed is still there: %v", err)
	}
	applyLine(t, s, "after it")
}

func TestAPanicWithinATransactionDoesNotEndAllWrites(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "rosey.db"))
	defer mustClose(t, s)
	func() {
		defer func() { _ = recover() }()
		_ = s.db.Write(t.Context(), func(context.Context, relational.Tx) error { panic("for a test") })
	}()
	applyLine(t, s, "after it")
}
