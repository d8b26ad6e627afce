package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go so that the binary is static

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

// readers is the maximum number of connections that read. Two are enough for a long query not to delay the bot's poll;
// more would only compete for the disk.
const readers = 2

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a store.Importer with an SQLite file.
type Store struct {
	relational.Store

	path string
	lock *fileLock // nil if read-only
	db   *database
}

var _ store.Importer = (*Store)(nil)

// Open opens or creates a database file, locks it against other processes that write, and brings its schema up to date.
// The directory must exist. It is an error if another process has the lock. The files are for their owner alone; in a
// directory that Kubernetes shares with a group (fsGroup), for that too.
func Open(ctx context.Context, path string) (*Store, error) {
	lock, err := lockFile(path)
	if err != nil {
		return nil, classify(err)
	}
	s := &Store{path: path, lock: lock, db: &database{}}
	s.Store = relational.New(s.db)
	if err = createDatabase(path); err == nil {
		err = s.db.open(ctx, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening database %s: %w", path, classify(err)), s.Close())
	}
	return s, nil
}

// OpenReadOnly opens a database file for reading while another process may write it. Methods that write fail.
func OpenReadOnly(ctx context.Context, path string) (*Store, error) {
	// SQLite's own message for a missing file only says that it cannot be opened.
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	s := &Store{path: path, db: &database{}}
	s.Store = relational.NewReadOnly(s.db)
	err := s.db.openReading(path)
	if err == nil {
		err = relational.CheckSchema(ctx, s.db, migrations)
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
	writing access = "rwc"
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

const lockSuffix = ".lock"

// fileLock is a lock on a file beside the database. The file is never removed: otherwise two processes could hold locks
// on two files of the same name.
type fileLock struct{ file *os.File }

func lockFile(path string) (*fileLock, error) {
	// Without a database the lock file belongs to the owner of the directory.
	database, _ := os.Stat(path) //nolint:gosec // the path is configuration
	file, err := createFile(path+lockSuffix, database)
	if errors.Is(err, fs.ErrExist) {
		file, err = os.OpenFile(path+lockSuffix, os.O_RDWR, 0) //nolint:gosec // the path is configuration
	}
	if err != nil {
		return nil, fmt.Errorf("opening the lock file of database %s: %w", path, err)
	}
	lock := &fileLock{file: file}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(file, 200)) // for the message alone, so an error leaves it empty
		err = fmt.Errorf("database %s is open in another process: %s is locked by %s",
			path, path+lockSuffix, cmp.Or(strings.TrimSpace(string(holder)), "an unknown process"))
		return nil, errors.Join(err, file.Close())
	}
	if err == nil {
		err = lock.writeHolder()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking database %s: %w", path, err), file.Close())
	}
	return lock, nil
}

// writeHolder writes who holds the lock, for the error of other processes.
func (l *fileLock) writeHolder() error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("truncating the lock file: %w", err)
	}
	if _, err := l.file.WriteAt(fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), host), 0); err != nil {
		return fmt.Errorf("writing the lock file: %w", err)
	}
	return nil
}

func (l *fileLock) release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("releasing the lock: %w", err)
	}
	return nil
}
