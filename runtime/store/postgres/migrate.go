package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

const (
	// migrationLock is the key of the advisory lock for the schema. It must be the same in all versions, and is a number
	// that no other program is likely to use.
	migrationLock = 0x726f736579 // "rosey"
	// lockTries is how often a lock is tried before the status says that it is waited for.
	lockTries = 8
	// tableLockWait is how long a migration waits for the lock of a table. Meanwhile all others wait who want to use the
	// table, so it is far less than what a request may take, and a pause follows that is at least as long.
	tableLockWait = 500 * time.Millisecond
)

var (
	// errLocked means that another process migrates the schema.
	errLocked = errors.New("another process is bringing the tables up to date")
	// errInUse means that others use a table that a migration has to change.
	errInUse = errors.New("bringing the tables up to date: another client, such as a backup, uses one of them for long")
)

// columnsSQL returns the names of all tables and columns in the schema for new tables, for relational.Inspect. Tables
// of extensions are not those of a program. The catalog is also read where the role may not use the tables.
const columnsSQL = `SELECT t.relname::text, a.attname::text FROM pg_catalog.pg_class t
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema())
  AND t.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = t.oid AND d.deptype = 'e')`

// prepare reads the schema of a database before anything is written to it, and brings it up to date. It needs one
// connection: behind a pooler with few of them, services that start would otherwise wait for each other.
func (c *connector) prepare(ctx context.Context) error {
	connecting, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	db, err := c.connectAlone(connecting)
	if err != nil {
		return err
	}
	conn := db.Conn()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = conn.Close(ctx) // the server ends the transaction, and so releases the locks
	}()
	if err := checkVersion(conn.PgConn().ParameterStatus("server_version")); err != nil {
		return err
	}
	current, err := c.readSchema(connecting, conn)
	if err != nil || current {
		return err
	}
	pause := backoff.Backoff{Min: 10 * time.Millisecond, Max: time.Second}
	for range lockTries {
		err = c.migrate(ctx, db)
		wait := pause.Next()
		switch {
		case errors.Is(err, errInUse): // the others who use the tables go on meanwhile
			wait = max(wait, 2*tableLockWait)
		case !errors.Is(err, errLocked):
			return err
		}
		if !backoff.Sleep(connecting, wait) {
			break
		}
	}
	return err
}

// connectAlone opens a connection that belongs to no pool.
func (c *connector) connectAlone(ctx context.Context) (*stdlib.Conn, error) {
	connConfig, err := c.connConfig()
	if err != nil {
		return nil, err
	}
	opened, err := stdlib.GetConnector(*connConfig).Connect(ctx)
	if err != nil {
		return nil, classify(err)
	}
	conn, ok := opened.(*stdlib.Conn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("PostgreSQL driver: a connection of type %T", opened), opened.Close())
	}
	return conn, nil
}

// readSchema reports whether the schema is up to date. It returns an error if the database is not one that this program
// may use.
func (c *connector) readSchema(ctx context.Context, conn *pgx.Conn) (current bool, err error) {
	options := pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadOnly}
	reading, err := conn.BeginTx(ctx, options)
	if err != nil {
		return false, fmt.Errorf("beginning a transaction: %w", classify(err))
	}
	defer func() { _ = reading.Rollback(ctx) }() // nothing was written
	schema, err := inspect(ctx, reading)
	if err != nil {
		return false, err
	}
	if c.readOnly {
		return true, relational.CheckVersion(schema, migrations)
	}
	known, err := relational.NewestSchema(migrations)
	if err == nil && schema.Version > known {
		err = relational.NewerSchema(schema.Version, known)
	}
	return schema.Version == known, err
}

// inspect returns the schema of a database that this program may use.
func inspect(ctx context.Context, reading pgx.Tx) (relational.Schema, error) {
	var encoding string
	if err := reading.QueryRow(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return relational.Schema{}, fmt.Errorf("reading the encoding: %w", classify(err))
	}
	// In another one what people write does not fit, or is no text.
	if encoding != "UTF8" {
		return relational.Schema{}, fmt.Errorf("%w: its encoding is %s, expected UTF8: "+
			"create it with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", store.ErrUnsuitable, encoding)
	}
	return relational.Inspect(ctx, tx{reading}, columnsSQL)
}

// migrate brings the schema up to date in one transaction, which holds the lock of the schema: a lock of a session
// would stay with the connection of a pooler.
func (c *connector) migrate(ctx context.Context, db *stdlib.Conn) (err error) {
	conn := db.Conn()
	options := pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}
	outer, err := conn.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", classify(err))
	}
	defer func() {
		if err != nil {
			_ = outer.Rollback(context.WithoutCancel(ctx)) // at the latest closing the connection does it
		}
	}()
	var locked bool
	if err := outer.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(migrationLock)).Scan(&locked); err != nil {
		return fmt.Errorf("locking the schema: %w", classify(err))
	}
	if !locked {
		return errLocked
	}
	if err := setTimeLimits(ctx, conn); err != nil {
		return err
	}
	// Another process may have written since the schema was read.
	if _, err := inspect(ctx, outer); err != nil {
		return err
	}
	within := sql.OpenDB(nestedConnector{db})
	within.SetMaxOpenConns(1)
	defer func() { _ = within.Close() }() // closes nothing
	if err := relational.Migrate(ctx, goose.DialectPostgres, within, migrations); err != nil {
		return usedByOthers(classify(err))
	}
	if err := outer.Commit(ctx); err != nil {
		return fmt.Errorf("committing the tables: %w", classify(err))
	}
	return nil
}

// setTimeLimits sets the time limits of a transaction that migrates. Those of the role are for its usual statements: a
// migration takes as long as the tables are large, but does not wait for their locks.
func setTimeLimits(ctx context.Context, conn *pgx.Conn) error {
	// Not all versions of the server have all of these limits.
	const unlimited = `SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout');`
	limits := unlimited + fmt.Sprintf("SELECT set_config('lock_timeout', '%dms', true)", tableLockWait.Milliseconds())
	if _, err := conn.PgConn().Exec(ctx, limits).ReadAll(); err != nil {
		return fmt.Errorf("setting the time limits: %w", classify(err))
	}
	return nil
}

// usedByOthers returns an errInUse for the error of a migration that has not got a lock: it is not the migration that
// has failed.
func usedByOthers(err error) error {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	if ok && (failure.Code == "55P03" || isConflict(err)) { // lock_not_available
		return fmt.Errorf("%w: %w", errInUse, failure)
	}
	return err
}

// nestedConnector gives database/sql a connection in whose transaction everything happens.
type nestedConnector struct{ conn *stdlib.Conn }

// Connect implements driver.Connector.
func (c nestedConnector) Connect(context.Context) (driver.Conn, error) {
	return nestedConn{c.conn}, nil
}

// Driver implements driver.Connector.
func (c nestedConnector) Driver() driver.Driver { return stdlib.GetDefaultDriver() }

// nestedConn is a connection whose transactions are savepoints of one that has begun.
type nestedConn struct{ *stdlib.Conn }

// Close implements driver.Conn. The connection belongs to the outer transaction.
func (nestedConn) Close() error { return nil }

// ResetSession implements driver.SessionResetter.
func (nestedConn) ResetSession(context.Context) error { return nil }

// BeginTx implements driver.ConnBeginTx.
func (c nestedConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	if _, err := c.ExecContext(ctx, "SAVEPOINT nested", nil); err != nil {
		return nil, err //nolint:wrapcheck // database/sql compares errors of drivers
	}
	return nestedTx{c.Conn}, nil
}

// nestedTx is a savepoint.
type nestedTx struct{ conn *stdlib.Conn }

// Commit implements driver.Tx.
func (t nestedTx) Commit() error { return t.execute("RELEASE SAVEPOINT nested") }

// Rollback implements driver.Tx.
func (t nestedTx) Rollback() error { return t.execute("ROLLBACK TO SAVEPOINT nested") }

func (t nestedTx) execute(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), transactionTimeout)
	defer cancel()
	_, err := t.conn.ExecContext(ctx, statement, nil)
	return err //nolint:wrapcheck // database/sql compares errors of drivers
}
