package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// maxKept bounds what a connection keeps. The program has fewer statements; one whose text held data would fill the
// memory otherwise.
const maxKept = 200

// openPool opens connections that keep their statements: to parse one costs SQLite more than to execute most of ours,
// and database/sql has each parsed every time.
func openPool(dataSource string) (*sql.DB, error) {
	plain, err := sqlite.NewConnector(dataSource)
	if err != nil {
		return nil, fmt.Errorf("naming the database: %w", err)
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
	plain, ok := opened.(plainConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("SQLite driver: %T misses a method", opened), opened.Close())
	}
	return &conn{plainConn: plain, kept: map[string]*statement{}}, nil
}

// plainConn is all that database/sql looks for in this driver's connections.
type plainConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// conn is a connection with the statements that it keeps, by their text. database/sql lets one goroutine use it.
type conn struct {
	plainConn

	kept map[string]*statement
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

// Close implements driver.Conn. SQLite keeps a file open as long as a statement is.
func (c *conn) Close() error {
	var problems []error
	for _, s := range c.kept {
		problems = append(problems, s.plainStatement.Close())
	}
	return errors.Join(append(problems, c.plainConn.Close())...)
}

// statement is a kept one, unless that is in use: its rows are still being read.
func (c *conn) statement(ctx context.Context, query string) (*statement, error) {
	kept := c.kept[query]
	if kept != nil && !kept.inUse {
		kept.inUse = true
		return kept, nil
	}
	prepared, err := c.plainConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err //nolint:wrapcheck // database/sql compares errors of drivers
	}
	plain, ok := prepared.(plainStatement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("SQLite driver: %T misses a method", prepared), prepared.Close())
	}
	s := &statement{plainStatement: plain, inUse: true, keep: kept == nil && len(c.kept) < maxKept}
	if s.keep {
		c.kept[query] = s
	}
	return s, nil
}

type plainStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statement is in use until it is closed; then it is kept, or is at an end.
type statement struct {
	plainStatement

	inUse, keep bool
}

// Close implements driver.Stmt.
func (s *statement) Close() error {
	s.inUse = false
	if s.keep {
		return nil
	}
	return s.plainStatement.Close() //nolint:wrapcheck // database/sql compares errors of drivers
}

// statementRows are rows whose statement nobody else closes.
type statementRows struct {
	driver.Rows

	of *statement
}

// Close implements driver.Rows.
func (r *statementRows) Close() error { return errors.Join(r.Rows.Close(), r.of.Close()) }
