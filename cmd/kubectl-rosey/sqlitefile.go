package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

const (
	// sqliteHeader is how an SQLite file begins, and sqliteHeaderSize the size of all that is described there, in bytes.
	sqliteHeader     = "SQLite format 3\x00"
	sqliteHeaderSize = 100
	// largestPage is the size of a page that is written as 1.
	largestPage = 65536
)

// checkSQLite returns an error if a file is no SQLite database, or is shorter than it says itself: a copy that was cut
// off would be found out only after everything has been stopped for it.
func checkSQLite(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading the database file: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("reading the database file: %w", err)
	}
	header, err := io.ReadAll(io.LimitReader(file, sqliteHeaderSize))
	if err != nil {
		return fmt.Errorf("reading the database file: %w", err)
	}
	return checkSQLiteHeader(path, header, info.Size())
}

// checkSQLiteHeader is checkSQLite for something with a name that begins with header and has a size in bytes.
func checkSQLiteHeader(name string, header []byte, size int64) error {
	if len(header) < sqliteHeaderSize || string(header[:len(sqliteHeader)]) != sqliteHeader {
		return fmt.Errorf("%s is no SQLite database", name)
	}
	if want := sqliteSize(header); size < want {
		return fmt.Errorf("%s is cut off: it has %d bytes, and should have %d", name, size, want)
	}
	return nil
}

// checkedSQLite passes a database on, and knows afterwards whether it was whole.
type checkedSQLite struct {
	out    io.Writer
	header []byte
	size   int64
}

// Write implements io.Writer.
func (c *checkedSQLite) Write(part []byte) (int, error) {
	written, err := c.out.Write(part)
	c.size += int64(written)
	if missing := sqliteHeaderSize - len(c.header); missing > 0 {
		c.header = append(c.header, part[:min(missing, written)]...)
	}
	return written, err //nolint:wrapcheck // whoever writes says what it was
}

// check is checkSQLite for what was written, under a name.
func (c *checkedSQLite) check(name string) error { return checkSQLiteHeader(name, c.header, c.size) }

// sqliteSize returns the size in bytes that the header of a database says it has. It is 0 if an old version of SQLite
// has changed the database last, which did not keep it.
func sqliteSize(header []byte) int64 {
	page := int64(binary.BigEndian.Uint16(header[16:]))
	if page == 1 {
		page = largestPage
	}
	changes, sizedAt := binary.BigEndian.Uint32(header[24:]), binary.BigEndian.Uint32(header[92:])
	if changes != sizedAt {
		return 0
	}
	return page * int64(binary.BigEndian.Uint32(header[28:]))
}

// checkInput returns an error if a file is no whole SQLite database of its own. It is sent as it is, so it must be
// neither a pipe, of which the check would take the beginning, nor wait for changes that are beside it.
func checkInput(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("reading the database file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: expected a regular file", path)
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(path + suffix); err == nil && info.Size() > 0 {
			return fmt.Errorf("%s has changes that are not in %s: end the program that uses it, or copy it with "+
				"`sqlite3 %s '.backup copy.db'`", path+suffix, path, path)
		}
	}
	return checkSQLite(path)
}
