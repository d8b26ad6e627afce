package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"rosey.dev/rosey/runtime/store"
)

const (
	// connectTimeout limits one attempt to connect, unless the URL has a limit.
	connectTimeout = 10 * time.Second
	// maxConnectionAge is after what time a connection is replaced, and so how long an old URL is used at most.
	maxConnectionAge = 10 * time.Minute
)

// pingAfter is after what idle time the server is asked whether a connection still works before it is used. pgxpool
// asks after one second, which is before each line of a usual channel. That the server has ended a connection, as one
// that restarts does, is seen without asking.
const pingAfter = 10 * time.Second

// connector opens connections to one database, with the URL that a file has at the time.
type connector struct {
	connSet

	urlFile  string
	readOnly bool
	// identity is the identity of the database, nil before it is known.
	identity atomic.Pointer[string]
}

// connConfig returns the settings for a new connection.
func (c *connector) connConfig() (*pgx.ConnConfig, error) {
	settings, err := readURL(c.urlFile)
	if err != nil {
		return nil, err
	}
	c.track(settings.ConnConfig)
	return settings.ConnConfig, nil
}

// pool returns a pool that connects when it is first used.
func (c *connector) pool(ctx context.Context) (*pgxpool.Pool, error) {
	settings, err := readURL(c.urlFile)
	if err != nil {
		return nil, err
	}
	settings.MaxConnLifetime = min(settings.MaxConnLifetime, maxConnectionAge)
	settings.BeforeConnect = func(_ context.Context, connConfig *pgx.ConnConfig) error {
		fresh, err := c.connConfig()
		if err != nil {
			return err
		}
		*connConfig = *fresh
		return nil
	}
	settings.AfterConnect = c.checkIdentity
	settings.ShouldPing = func(_ context.Context, idle pgxpool.ShouldPingParams) bool {
		return idle.IdleDuration > pingAfter || !isSilent(networkConn(idle.Conn))
	}
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("preparing connections: %w", classify(err))
	}
	return pool, nil
}

// fixIdentity has all further connections refused that lead to another database than that of s.
func (c *connector) fixIdentity(ctx context.Context, s *Store) error {
	identity, err := s.Identity(ctx)
	if err != nil {
		return err
	}
	c.identity.Store(&identity)
	return nil
}

// checkIdentity refuses a connection to another database: a changed URL may have a new password or host, but a service
// must not spread its rows over two databases.
func (c *connector) checkIdentity(ctx context.Context, conn *pgx.Conn) error {
	expected := c.identity.Load()
	if expected == nil {
		return nil
	}
	var identity string
	if err := conn.QueryRow(ctx, "SELECT id FROM identity").Scan(&identity); err != nil {
		return fmt.Errorf("reading the identity of the database: %w", err)
	}
	if identity != *expected {
		return fmt.Errorf("the URL file %s leads to another database now: restart to use it", c.urlFile)
	}
	return nil
}

// classify wraps errors of the driver in those of package store where one applies.
func classify(err error) error {
	if _, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		return store.ErrURLInvalid // the driver's error quotes the URL
	}
	if connect, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		err = fmt.Errorf("connecting to the database server: %w", oneLineError{errors.Unwrap(connect)})
	}
	failure, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	if hint := hintFor(failure); hint != "" && !errors.As(err, new(hintedError)) {
		err = hintedError{err, hint}
	}
	meaning := meaningOf(failure.Code)
	if meaning == nil || errors.Is(err, meaning) {
		return err
	}
	return fmt.Errorf("%w: %w", meaning, err)
}

// hintFor returns what to do about an error where the server's words do not say it.
func hintFor(failure *pgconn.PgError) string {
	switch {
	case failure.Code == "26000", // invalid_sql_statement_name
		failure.Code == "42P05": // duplicate_prepared_statement
		return "behind a pooler of transactions, the URL needs default_query_exec_mode=exec"
	case failure.Code == "25006", // read_only_sql_transaction
		failure.Code == "0A000" && strings.Contains(failure.Message, "recovery"): // one that writes cannot begin
		return "on a standby server one can only read; expected the primary, with several hosts " +
			"target_session_attrs=read-write in the URL"
	}
	return ""
}

// hintedError is an error with advice.
type hintedError struct {
	error

	hint string
}

// Error implements error.
func (e hintedError) Error() string { return e.error.Error() + ": " + e.hint }

// Unwrap returns the original error.
func (e hintedError) Unwrap() error { return e.error }

// meaningOf returns the error of package store for an SQLSTATE, or nil.
func meaningOf(code string) error {
	switch code {
	case "53100": // disk_full
		return store.ErrFull
	case "3D000", // invalid_catalog_name: there is no such database
		"3F000", // invalid_schema_name: there is no schema to create tables in
		"42501": // insufficient_privilege
		return store.ErrRefused
	}
	switch code[:min(len(code), 2)] {
	case "28": // invalid authorization
		return store.ErrRefused
	case "22", // data exception
		"23", // integrity constraint violation
		"54": // program limit exceeded: for example, a key that is too long for its index
		return store.ErrRejected
	}
	return nil
}

// isConflict reports whether a transaction failed because of another one.
func isConflict(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (failure.Code == "40001" || failure.Code == "40P01") // serialization failure, deadlock
}

// oneLineError puts an error on one line, for logs and the status: the driver writes one line for each address.
type oneLineError struct{ error }

// Error implements error.
func (e oneLineError) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }

// Unwrap returns the original error.
func (e oneLineError) Unwrap() error { return e.error }
