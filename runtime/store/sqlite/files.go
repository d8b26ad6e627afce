package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sync/atomic"

	"rosey.dev/rosey/runtime/platform"
	"rosey.dev/rosey/runtime/store"
)

// watchedFiles are the files of an open database, as they were when it was opened. SQLite goes on with a file that was
// removed, or replaced by another one, and nobody would find the rows.
type watchedFiles []watchedFile

type watchedFile struct {
	path   string
	opened fs.FileInfo
	// largest is the largest size that the database had in a check, in bytes. Nil for its journals, which shrink.
	largest *atomic.Int64
}

// overwritten is the value of largest after the file has shrunk.
const overwritten = math.MaxInt64

// watchFiles returns the files of a database that has just been opened. Its path may have symbolic links, which
// may lead elsewhere later.
func watchFiles(path, resolved string) (files watchedFiles) {
	for _, name := range []string{path, resolved + "-wal", resolved + "-shm"} {
		// What is absent now is absent on purpose: a database in memory, or a journal of another kind.
		if info, err := os.Stat(name); err == nil { //nolint:gosec // the path is configuration
			file := watchedFile{path: name, opened: info}
			if name == path {
				file.largest = new(atomic.Int64)
				file.largest.Store(info.Size())
			}
			files = append(files, file)
		}
	}
	return files
}

// check returns store.ErrMoved if one of the files is not the one that was opened.
func (w watchedFiles) check() error {
	for _, file := range w {
		largest := file.loadLargest()
		now, err := os.Stat(file.path)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && platform.IsUnlinked(now):
			return fmt.Errorf("%w: %s is gone: put the same file back, or stop the process, restore a backup and start it "+
				"again", store.ErrMoved, file.path)
		case err != nil:
			return fmt.Errorf("finding the open database: %w", err)
		case !os.SameFile(now, file.opened):
			return fmt.Errorf("%w: %s is another file now: put the first one back, or restart the process to use this one",
				store.ErrMoved, file.path)
		case now.Size() < largest:
			file.largest.Store(overwritten)
			return fmt.Errorf("%w: %s was overwritten or cut off in place: stop the process, restore a backup with `rosey db "+
				"restore`, and start it again", store.ErrMoved, file.path)
		case file.largest != nil:
			file.largest.CompareAndSwap(largest, now.Size())
		}
	}
	return nil
}

// loadLargest returns the size below which the file has been overwritten: a database does not shrink while it is open,
// because nothing runs VACUUM. Whoever copies a backup over it makes it empty first, and what is stored then would be
// mixed with the copy.
func (f *watchedFile) loadLargest() int64 {
	if f.largest == nil {
		return 0
	}
	return f.largest.Load()
}
