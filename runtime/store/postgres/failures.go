package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"rosey.dev/rosey/runtime/store"
)

// classify gives an error of the driver the meaning that a store's errors have. All others are the
// server's or the network's trouble.
func classify(err error) error {
	if _, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		return store.ErrURLAbsent // the driver's own words quote the URL
	}
	if connect, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		err = fmt.Errorf("connecting to the database server: %w", oneLine{errors.Unwrap(connect)})
	}
	failure, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	meaning := meaningOf(failure.Code)
	if meaning == nil || errors.Is(err, meaning) {
		return err
	}
	return fmt.Errorf("%w: %w", meaning, err)
}

// meaningOf is what an SQLSTATE says, or nil.
func meaningOf(code string) error {
	switch code {
	case "53100": // disk_full
		return store.ErrFull
	case "3D000", // invalid_catalog_name: there is no such database
		"3F000", // invalid_schema_name: there is no schema to make tables in
		"42501": // insufficient_privilege
		return store.ErrRefused
	}
	switch code[:min(len(code), 2)] {
	case "28": // invalid authorization
		return store.ErrRefused
	case "22", // data exception
		"23", // integrity constraint violation
		"54": // program limit exceeded: a key that is longer than an index takes
		return store.ErrRejected
	}
	return nil
}

// retryable are the failures of a transaction that another one stood in the way of.
func retryable(err error) bool {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (failure.Code == "40001" || failure.Code == "40P01") // serialization failure, deadlock
}

// oneLine puts the errors of several addresses into one line, for logs and status.
type oneLine struct{ error }

// Error implements error.
func (e oneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }

// Unwrap is the error itself.
func (e oneLine) Unwrap() error { return e.error }
