package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite/vfs"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

// columnsSQL returns the names of all tables and columns, for relational.Inspect.
const columnsSQL = `SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c
WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\'`

// errInUse means that a database that no process had open was written while it was read.
var errInUse = errors.New("another process has begun to write to it: repeat the command")

// Snapshot is a database file that is only read: no byte of it changes, and no file appears beside it. SQLite itself
// writes an index of the write-ahead log even for a connection that only reads, and needs a directory for it that it
// may write to.
type Snapshot struct {
	*sql.DB

	path   string
	before [2]fileStamp // of the database and its log
	// guarded means that SQLite's locks protect what is read from writers.
	guarded bool
	vfs     string // of SQLite, empty for that of the operating system
	files   *vfs.FS
	pages   *recovered
}

// fileStamp tells whether a file was written or replaced.
type fileStamp struct {
	info fs.FileInfo // nil if there is no file
	// salt is the part of the log's header that changes when the log is begun anew. What is only appended to a log does
	// not change what was read before.
	salt [8]byte
}

// OpenSnapshot opens a database file for reading. The file may be that of another program, or in use by a service.
func OpenSnapshot(path string) (*Snapshot, error) {
	// The write-ahead log is beside the file that a symbolic link leads to.
	path, err := resolve(path)
	if err != nil {
		return nil, err
	}
	return openSnapshot(path, isLocked(path))
}

// openSnapshot opens a file. A live one is in use by a service: then SQLite's own files exist.
func openSnapshot(path string, live bool) (*Snapshot, error) {
	// SQLite's own message only says that it cannot open the file.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("finding it: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file, expected a database file", path)
	}
	s := &Snapshot{path: path, guarded: live}
	if live {
		s.DB, err = openPool(dataSource(path, reading))
		return s, err
	}
	s.before = stampsOf(path)
	source, err := s.source(info.Size())
	if err == nil {
		s.DB, err = openPool(source)
	}
	if err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	return s, nil
}

// source returns the name for SQLite of a file that no service has open.
func (s *Snapshot) source(size int64) (string, error) {
	log := s.before[1].info
	withLog, err := hasLog(s.path)
	switch {
	case err != nil:
		return "", err
	case size > 0 && !withLog:
		s.guarded = true // by locks that are no files
		return dataSource(s.path, reading), checkJournal(s.path)
	case log == nil || log.Size() == 0:
		return dataSource(s.path, immutable), nil
	}
	if s.pages, err = recoverPages(s.path); err != nil {
		return "", err
	}
	if s.vfs, s.files, err = vfs.New(s.pages); err != nil {
		return "", fmt.Errorf("reading its write-ahead log: %w", err)
	}
	// Without files for temporary data, which this file system cannot create.
	parameters := url.Values{"vfs": {s.vfs}, "mode": {"ro"}, "_pragma": {"temp_store(2)"}}
	return "file:" + recoveredName + "?" + parameters.Encode(), nil
}

// hasLog reports whether a database uses a write-ahead log, as far as one can tell: an empty file counts.
func hasLog(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("opening it: %w", err)
	}
	defer func() { _ = file.Close() }() // nothing was written
	versions := make([]byte, 2)
	if _, err := file.ReadAt(versions, journalVersions); err != nil {
		return true, ignoreEnd(err)
	}
	return versions[1] == 2, nil
}

// checkJournal returns an error if a transaction has to be rolled back before a database without a write-ahead log can
// be read, for which SQLite has a message about a failed write.
func checkJournal(path string) error {
	// A journal that is over may stay, with zeros at its start.
	const magic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
	content, err := os.Open(path + "-journal")
	if err != nil {
		return nil // there is none, or none that SQLite could use
	}
	defer func() { _ = content.Close() }() // nothing was written
	begin := make([]byte, len(magic))
	if _, err := io.ReadFull(content, begin); err != nil || string(begin) != magic {
		return ignoreEnd(err)
	}
	return fmt.Errorf("a transaction is not complete, see %s-journal: end the program that writes to it; if it was "+
		"killed, start it once more, and end it", path)
}

// copyTo copies the database to an empty file, without free pages.
func (s *Snapshot) copyTo(ctx context.Context, target string) error {
	absolute, err := filepath.Abs(target)
	if err != nil {
		return fmt.Errorf("finding %s: %w", target, err)
	}
	// The operating system's files: the connection may use another file system. One transaction that reads does not
	// block writers.
	name := &url.URL{Scheme: "file", Path: absolute, RawQuery: url.Values{"vfs": {"unix"}}.Encode()}
	if _, err := s.ExecContext(ctx, "VACUUM INTO ?", name.String()); err != nil {
		return fmt.Errorf("copying it: %w", err)
	}
	return nil
}

// inspect returns what the file contains.
func (s *Snapshot) inspect(ctx context.Context) (relational.Schema, error) {
	schema, err := relational.Inspect(ctx, tx{s.DB}, columnsSQL)
	if err != nil || schema.Version > 0 {
		return schema, err
	}
	// Other programs mark an empty file, too.
	var application, version int64
	row := s.QueryRowContext(ctx, "SELECT * FROM pragma_application_id, pragma_user_version")
	if err := row.Scan(&application, &version); err != nil {
		return schema, fmt.Errorf("reading its marks: %w", classify(err))
	}
	if application != 0 || version != 0 {
		return schema, fmt.Errorf("%w: it has application_id %d and user_version %d, expected an empty database",
			store.ErrForeign, application, version)
	}
	return schema, nil
}

// Close closes the file. The error is errInUse if what was read may be wrong.
func (s *Snapshot) Close() error {
	err := s.DB.Close()
	if err != nil {
		err = fmt.Errorf("closing it: %w", err)
	}
	err = errors.Join(err, s.closeFiles())
	if after := stampsOf(s.path); !s.guarded && (!after[0].same(s.before[0]) || after[1].salt != s.before[1].salt) {
		err = errors.Join(err, errInUse)
	}
	return err
}

func (s *Snapshot) closeFiles() error {
	var errs []error
	if s.files != nil {
		errs = append(errs, s.files.Close())
	}
	if s.pages != nil {
		errs = append(errs, s.pages.Close())
	}
	return errors.Join(errs...)
}

// stampsOf returns the stamps of a database and its log.
func stampsOf(path string) (stamps [2]fileStamp) {
	stamps[0].info, _ = os.Stat(path) // nil is a stamp, too
	stamps[1].info, _ = os.Stat(path + "-wal")
	if file, err := os.Open(path + "-wal"); err == nil {
		_, _ = io.ReadFull(io.NewSectionReader(file, 16, 8), stamps[1].salt[:]) // an empty log has none
		_ = file.Close()
	}
	return stamps
}

// same reports whether a file was neither written nor replaced.
func (s fileStamp) same(other fileStamp) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() &&
		s.info.ModTime().Truncate(time.Nanosecond).Equal(other.info.ModTime())
}
