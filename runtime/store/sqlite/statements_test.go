package sqlite

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
)

// onePool returns a pool of one connection, so that its cached statements are used again.
func onePool(t *testing.T) *sql.DB {
	t.Helper()
	db := openAny(t, filepath.Join(t.TempDir(), "rosey.db"))
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	mustExec(t, db, "CREATE TABLE numbers (n INTEGER)")
	mustExec(t, db, "INSERT INTO numbers VALUES (1), (2), (3)")
	return db
}

func mustExec(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

// If two queries shared a statement, the rows of one would end early or be those of the other.
func TestStatementInUseIsNotReused(t *testing.T) {
	tx, err := onePool(t).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	pairs := 0
	outer, err := tx.QueryContext(t.Context(), "SELECT n FROM numbers ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	for outer.Next() && pairs <= 9 {
		inner, err := tx.QueryContext(t.Context(), "SELECT n FROM numbers ORDER BY n")
		if err != nil {
			t.Fatal(err)
		}
		for inner.Next() {
			pairs++
		}
		if err := inner.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := outer.Err(); err != nil || pairs != 9 {
		t.Errorf("three times three rows are %d, error %v", pairs, err)
	}
}

func TestCachedStatementAfterSchemaChange(t *testing.T) {
	db := onePool(t)
	columns := func() (names []string) {
		t.Helper()
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM numbers")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() { // the schema is checked at the first step
			if names, err = rows.Columns(); err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return names
	}
	if got := columns(); len(got) != 1 {
		t.Fatalf("columns are %v", got)
	}
	mustExec(t, db, "ALTER TABLE numbers ADD COLUMN word TEXT")
	if got := columns(); len(got) != 2 {
		t.Errorf("columns are %v, expected the new one too", got)
	}
}

func TestCachedStatementsAreBounded(t *testing.T) {
	db := onePool(t)
	for i := range maxCached + 10 {
		mustExec(t, db, fmt.Sprintf("INSERT INTO numbers VALUES (%d)", i))
	}
	single, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = single.Close() }()
	err = single.Raw(func(driverConn any) error {
		if cached := len(driverConn.(*conn).cached); cached != maxCached {
			return fmt.Errorf("%d statements are cached, expected %d", cached, maxCached)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
