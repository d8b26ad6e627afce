// Package sqlite keeps a store.Store in one SQLite file.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite", pure Go so that the binary stays static

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

// readers bounds the connections for queries. Two are enough that a long one does not stop the bot's
// poll; more only compete for the disk.
const readers = 2

// Store is a store.Importer in a file.
type Store struct {
	relational.Store

	path string
	lock *fileLock // nil when opened for reading only
	db   *database
}

var _ store.Importer = (*Store)(nil)

// Open opens or makes the database file, brings its schema up to date and keeps it locked against
// other processes that write. The file's folder must exist.
func Open(ctx context.Context, path string) (*Store, error) {
	lock, err := lockFile(path)
	if err != nil {
		return nil, classify(err)
	}
	s := &Store{path: path, lock: lock, db: &database{}}
	s.Store = relational.New(s.db)
	if err := s.db.open(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("opening database %s: %w", path, classify(err)), s.Close())
	}
	return s, nil
}

func (d *database) open(ctx context.Context, path string) error {
	var err error
	if d.write, err = openPool(dataSource(path, writing)); err != nil {
		return fmt.Errorf("for writing: %w", err)
	}
	// SQLite has one writer at a time. Waiting for it in Go is fair; waiting in SQLite is not.
	d.write.SetMaxOpenConns(1)
	if err := d.openReading(path); err != nil {
		return err
	}
	return relational.Migrate(ctx, goose.DialectSQLite3, d.write, migrations())
}

// On makes a store of connections that are open: one for writing, and others for reading beside it. Whoever
// calls it closes them. It is for comparing drivers; Open does all that a service needs.
func On(ctx context.Context, write, read *sql.DB) (relational.Store, error) {
	if err := relational.Migrate(ctx, goose.DialectSQLite3, write, migrations()); err != nil {
		return relational.Store{}, err
	}
	return relational.New(&database{session: session{read}, write: write, read: read}), nil
}

func (d *database) openReading(path string) error {
	read, err := openPool(dataSource(path, reading))
	if err != nil {
		return fmt.Errorf("for reading: %w", err)
	}
	read.SetMaxOpenConns(readers)
	d.read, d.session = read, session{read}
	return nil
}

// OpenReadOnly opens a database file beside the service that writes it, to look at it.
// Methods that write fail.
func OpenReadOnly(ctx context.Context, path string) (*Store, error) {
	// SQLite's own message would only say that it cannot open it.
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	s := &Store{path: path, db: &database{}}
	s.Store = relational.NewReadOnly(s.db)
	err := s.db.openReading(path)
	if err == nil {
		err = relational.CheckSchema(ctx, s.db, migrations())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening database %s for reading: %w", path, err), s.Close())
	}
	return s, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	var problems []error
	// Readers first: the last connection to close tidies the write-ahead log, and only a writer can.
	for _, pool := range []*sql.DB{s.db.read, s.db.write} {
		if pool != nil {
			problems = append(problems, pool.Close())
		}
	}
	if s.lock != nil {
		problems = append(problems, s.lock.release())
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("closing the database: %w", err)
	}
	return nil
}

type access string

const (
	reading access = "ro"
	writing access = "rwc"
)

// dataSource is the driver's name for a file and how it is opened.
func dataSource(path string, access access) string {
	parameters := url.Values{
		"mode": {string(access)},
		"_pragma": {
			// First, since the others may already have to wait.
			"busy_timeout(5000)",
			"foreign_keys(1)",
		},
	}
	if access == writing {
		// Readers and the writer do not stop each other.
		parameters.Add("_pragma", "journal_mode(WAL)")
		// A batch is confirmed when its transaction is done, so it must survive the machine's power.
		// NORMAL would be faster and lose the last transactions then; a batch shares one sync.
		parameters.Add("_pragma", "synchronous(FULL)")
		// Taking the write lock at the start never fails half-way for a reader that wants to write.
		parameters.Set("_txlock", "immediate")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		absolute = path
	}
	return (&url.URL{Scheme: "file", Path: absolute, RawQuery: parameters.Encode()}).String()
}
