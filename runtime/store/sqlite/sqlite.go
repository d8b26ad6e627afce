package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go so that the binary is static

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

// readers is the maximum number of connections that read. At most two long queries leave one for the bot's poll;
// more would only compete for the disk.
const readers = 3

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a store.Importer with an SQLite file.
type Store struct {
	relational.Store

	path string
	db   *database
	// One of them is nil: a store that writes has a lock, and one that reads a snapshot.
	lock     *fileLock
	snapshot *Snapshot
}

var (
	_ store.Importer = (*Store)(nil)
	_ store.Backuper = (*Store)(nil)
)

// Open opens or creates a database file, locks it against other processes that write, and brings its schema up to date.
// The directory must exist. It is an error if another process has the lock. The files are for their owner alone; in a
// directory that Kubernetes shares with a group (fsGroup), for that too. A file that is not a database of this program,
// or one of a later version, stays as it is, and nothing is created beside it.
func Open(ctx context.Context, path string) (*Store, error) {
	lock, resolved, err := lockOwn(ctx, path)
	if err != nil {
		return nil, explainPermissions(classify(err), path, writing)
	}
	s := &Store{path: resolved, lock: lock, db: &database{}}
	s.Store = relational.New(relational.Traced(s.db, semconv.DBSystemNameSQLite))
	if err = createDatabase(resolved); err == nil {
		err = lock.lockInode(resolved)
	}
	if err == nil {
		err = s.db.open(ctx, resolved)
	}
	if err == nil {
		s.db.files = watchFiles(path, resolved)
	}
	if err != nil {
		err = explainPermissions(classify(err), resolved, writing)
		return nil, errors.Join(fmt.Errorf("opening database %s: %w", path, err), s.Close())
	}
	return s, nil
}

// lockOwn locks a database of this program, or one that is empty or absent, and returns its path without links.
func lockOwn(ctx context.Context, path string) (*fileLock, string, error) {
	resolved, err := resolve(path)
	if err != nil {
		return nil, "", fmt.Errorf("opening database %s: %w", path, err)
	}
	// Before anything is created beside it. Where there is a lock, the holder may be writing.
	if _, err := os.Lstat(resolved + lockSuffix); errors.Is(err, fs.ErrNotExist) {
		if err := checkOwn(ctx, resolved); err != nil {
			return nil, "", fmt.Errorf("opening database %s: %w", path, err)
		}
	}
	lock, err := lockFile(ctx, resolved)
	if err != nil {
		return nil, "", err
	}
	if err := checkOwn(ctx, resolved); err != nil {
		return nil, "", errors.Join(fmt.Errorf("opening database %s: %w", path, err), lock.release())
	}
	return lock, resolved, nil
}

// checkOwn returns an error unless a file that nobody has open is a database of this program, empty or absent.
func checkOwn(ctx context.Context, path string) (err error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	file, err := openSnapshot(path, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	schema, err := file.inspect(ctx)
	if err != nil {
		return err
	}
	known, err := relational.NewestSchema(migrations)
	if err == nil && schema.Version > known {
		err = relational.NewerSchema(schema.Version, known)
	}
	return err
}

// OpenReadOnly opens a database file for reading while another process may write it. Methods that write fail. Nothing
// is written, so the directory may be one without the permission to write.
func OpenReadOnly(ctx context.Context, path string) (*Store, error) {
	file, err := OpenSnapshot(path)
	if err != nil {
		return nil, explainPermissions(fmt.Errorf("opening database %s for reading: %w", path, err), path, reading)
	}
	s := &Store{path: path, db: &database{tx: tx{file.DB}, read: file.DB}, snapshot: file}
	s.Store = relational.NewReadOnly(s.db)
	schema, err := file.inspect(ctx)
	if err == nil {
		err = relational.CheckVersion(schema, migrations)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening database %s for reading: %w", path, err), s.Close())
	}
	return s, nil
}

// On returns a store with connections that are already open, one for writing and others for reading; the caller closes
// them. It is for comparing drivers. Open does all that a service needs.
func On(ctx context.Context, write, read *sql.DB) (relational.Store, error) {
	if err := relational.Migrate(ctx, goose.DialectSQLite3, write, migrations); err != nil {
		return relational.Store{}, err
	}
	return relational.New(&database{tx: tx{read}, write: write, read: read}), nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	if s.snapshot != nil {
		return s.snapshot.Close()
	}
	var errs []error
	// Readers first: the last connection to be closed checkpoints the write-ahead log, which only a writer can.
	for _, pool := range []*sql.DB{s.db.read, s.db.write} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.release())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the database: %w", err)
	}
	return nil
}

// Check implements store.Store.
func (s *Store) Check(context.Context) error { return s.db.files.check() }

// Optimize implements store.Store. It does not VACUUM, which would block all writers while the file is copied, and need
// as much space again. Free pages are reused.
func (s *Store) Optimize(ctx context.Context) error {
	// The limit bounds how much of each index is read.
	if _, err := s.db.Exec(ctx, "PRAGMA analysis_limit = 1000; PRAGMA optimize"); err != nil {
		return fmt.Errorf("optimizing the database: %w", err)
	}
	return nil
}

// Size implements store.Store. It is the size of the file and its write-ahead log.
func (s *Store) Size(context.Context) (size int64, err error) {
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(s.path + suffix)
		switch {
		case err == nil:
			size += info.Size()
		case suffix == "" || !errors.Is(err, os.ErrNotExist):
			return 0, fmt.Errorf("measuring the database: %w", err)
		}
	}
	return size, nil
}

type access string

const (
	reading access = "ro"
	writing access = "rw"
	// immutable is for a file that nobody writes: SQLite takes no locks and creates no files.
	immutable access = "immutable"
)

// dataSource returns the driver's name for a file and its settings.
func dataSource(path string, access access) string {
	parameters := url.Values{
		"mode": {string(access)},
		"_pragma": {
			// First, since the others may already have to wait.
			"busy_timeout(5000)",
			"foreign_keys(1)",
		},
	}
	if access == immutable {
		parameters.Set("mode", string(reading))
		parameters.Set("immutable", "1")
	}
	if access == writing {
		// Readers and the writer do not block each other.
		parameters.Add("_pragma", "journal_mode(WAL)")
		// Events are acknowledged when their transaction is committed, so it must survive a power failure. NORMAL would
		// be faster and could lose the last transactions.
		parameters.Add("_pragma", "synchronous(FULL)")
		// A transaction that takes the write lock at its start never fails halfway because it read before it wrote.
		parameters.Set("_txlock", "immediate")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		absolute = path
	}
	return (&url.URL{Scheme: "file", Path: absolute, RawQuery: parameters.Encode()}).String()
}
