package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// maxCached is how many statements a connection caches. The program has fewer; the limit prevents that
// statements whose text contains data fill the memory.
const maxCached = 200

// openPool opens connections that cache their prepared statements. database/sql has each statement parsed at every
// call, which takes SQLite longer than executing most of them.
func openPool(dataSource string) (*sql.DB, error) {
	plain, err := sqlite.NewConnector(dataSource)
	if err != nil {
		return nil, fmt.Errorf("parsing the database's name: %w", err)
	}
	return sql.OpenDB(connector{plain}), nil
}

type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // database/sql compares errors of drivers
	}
	plain, ok := opened.(driverConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("SQLite driver: %T lacks a method", opened), opened.Close())
	}
	return &conn{driverConn: plain, cached: map[string]*statement{}}, nil
}

// driverConn has all methods that database/sql looks for in this driver's connections.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// conn is a connection with its cached statements by their text. database/sql uses it in one goroutine at a time.
type conn struct {
	driverConn

	cached map[string]*statement
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.statement(ctx, query)
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, arguments []driver.NamedValue) (driver.Result, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(ctx, arguments)
	return result, errors.Join(err, s.Close())
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, arguments []driver.NamedValue) (driver.Rows, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	found, err := s.QueryContext(ctx, arguments)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &statementRows{found, s}, nil
}

// Close implements driver.Conn. SQLite does not close a file while a statement is open.
func (c *conn) Close() error {
	var errs []error
	for _, s := range c.cached {
		errs = append(errs, s.driverStatement.Close())
	}
	return errors.Join(append(errs, c.driverConn.Close())...)
}

// statement returns the cached statement, or another one if that is in use because its rows are still being read.
func (c *conn) statement(ctx context.Context, query string) (*statement, error) {
	cached := c.cached[query]
	if cached != nil && !cached.inUse {
		cached.inUse = true
		return cached, nil
	}
	prepared, err := c.driverConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err //nolint:wrapcheck // database/sql compares errors of drivers
	}
	plain, ok := prepared.(driverStatement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("SQLite driver: %T lacks a method", prepared), prepared.Close())
	}
	s := &statement{driverStatement: plain, inUse: true, cached: cached == nil && len(c.cached) < maxCached}
	if s.cached {
		c.cached[query] = s
	}
	return s, nil
}

// driverStatement has all methods that database/sql looks for in this driver's statements.
type driverStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statement is in use until it is closed. A cached statement is closed with its connection.
type statement struct {
	driverStatement

	inUse, cached bool
}

// Close implements driver.Stmt.
func (s *statement) Close() error {
	s.inUse = false
	if s.cached {
		return nil
	}
	return s.driverStatement.Close() //nolint:wrapcheck // database/sql compares errors of drivers
}

// statementRows closes the statement of a query with its rows.
type statementRows struct {
	driver.Rows

	statement *statement
}

// Close implements driver.Rows.
func (r *statementRows) Close() error { return errors.Join(r.Rows.Close(), r.statement.Close()) }
