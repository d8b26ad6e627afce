package sqlite

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"time"
)

// The format of a write-ahead log (https://www.sqlite.org/fileformat2.html#walformat): a header, and frames that each
// have a header and a page. All numbers are big-endian, and the magic tells the byte order of the checksums.
const (
	walHeaderSize   = 32
	walFrameSize    = 24 // without the page
	walMagic        = 0x377f0682
	minPageSize     = 512
	maxPageSize     = 64 << 10
	journalVersions = 18 // offset of the two bytes of a database that say whether it has a write-ahead log
)

// recovered is a database whose last transactions are still in its write-ahead log. SQLite would recover it by writing
// an index beside it; this reads both files as one, and writes nothing.
type recovered struct {
	main, wal *os.File
	pageSize  int64
	size      int64           // of the database, in bytes
	pages     map[int64]int64 // the offsets of pages in wal, by their offsets in the database
}

// recoverPages opens a database and finds the pages that its log has.
func recoverPages(path string) (*recovered, error) {
	main, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	wal, err := os.Open(path + "-wal")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening its write-ahead log: %w", err), main.Close())
	}
	r := &recovered{main: main, wal: wal, pages: map[int64]int64{}}
	info, err := main.Stat()
	if err == nil {
		r.size = info.Size()
		err = r.readFrames()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading its write-ahead log: %w", err), r.Close())
	}
	return r, nil
}

// readFrames reads the log up to its last transaction that is complete. What follows is from a transaction that was
// interrupted, or from before the log was begun anew.
func (r *recovered) readFrames() error {
	in := bufio.NewReaderSize(r.wal, 1<<20)
	header := make([]byte, walHeaderSize)
	if _, err := io.ReadFull(in, header); err != nil {
		return ignoreEnd(err)
	}
	sum, pageSize, valid := readWALHeader(header)
	if !valid {
		return nil // no transaction was ever complete
	}
	r.pageSize = pageSize
	frame := make([]byte, walFrameSize+r.pageSize)
	transaction := map[int64]int64{}
	for at := int64(walHeaderSize); ; at += int64(len(frame)) {
		if _, err := io.ReadFull(in, frame); err != nil {
			return ignoreEnd(err)
		}
		sum.add(frame[:8])
		sum.add(frame[walFrameSize:])
		if !bytes.Equal(frame[8:16], header[16:24]) || !sum.matches(frame[16:]) {
			return nil
		}
		page, pages := binary.BigEndian.Uint32(frame), binary.BigEndian.Uint32(frame[4:])
		transaction[(int64(page)-1)*r.pageSize] = at + walFrameSize
		if pages > 0 { // the last frame of a transaction
			maps.Copy(r.pages, transaction)
			clear(transaction)
			r.size = int64(pages) * r.pageSize
		}
	}
}

// readWALHeader returns the checksum with which the frames of a log begin, and the size of its pages.
func readWALHeader(header []byte) (sum walChecksum, pageSize int64, valid bool) {
	magic, size := binary.BigEndian.Uint32(header), binary.BigEndian.Uint32(header[8:])
	sum.order = binary.LittleEndian
	if magic&1 == 1 {
		sum.order = binary.BigEndian
	}
	sum.add(header[:24])
	valid = magic&^1 == walMagic && size >= minPageSize && size <= maxPageSize && sum.matches(header[24:])
	return sum, int64(size), valid
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// walChecksum is the checksum of all that was added to it.
type walChecksum struct {
	order  binary.ByteOrder
	s0, s1 uint32
}

func (c *walChecksum) add(data []byte) {
	for ; len(data) >= 8; data = data[8:] {
		c.s0 += c.order.Uint32(data) + c.s1
		c.s1 += c.order.Uint32(data[4:]) + c.s0
	}
}

func (c *walChecksum) matches(stored []byte) bool {
	return binary.BigEndian.Uint32(stored) == c.s0 && binary.BigEndian.Uint32(stored[4:]) == c.s1
}

// Close closes both files.
func (r *recovered) Close() error {
	if err := errors.Join(r.main.Close(), r.wal.Close()); err != nil {
		return fmt.Errorf("closing the database: %w", err)
	}
	return nil
}

// ReadAt reads from the database as it is after the log has been applied.
func (r *recovered) ReadAt(data []byte, at int64) (read int, err error) {
	for read < len(data) && at < r.size {
		part := data[read:min(int64(len(data)), int64(read)+r.size-at)]
		from, offset := r.main, at
		if r.pageSize > 0 {
			inPage := at % r.pageSize
			part = part[:min(int64(len(part)), r.pageSize-inPage)]
			if place, found := r.pages[at-inPage]; found {
				from, offset = r.wal, place+inPage
			}
		}
		n, err := from.ReadAt(part, offset)
		for i := range part[:n] {
			if position := at + int64(i); position == journalVersions || position == journalVersions+1 {
				part[i] = 1 // SQLite must not look for the log that these bytes announce
			}
		}
		read, at = read+n, at+int64(n)
		if err != nil {
			return read, err //nolint:wrapcheck // an io.ReaderAt
		}
	}
	if read < len(data) {
		return read, io.EOF
	}
	return read, nil
}

// recoveredName is the name of the database in the file system that a recovered is for SQLite.
const recoveredName = "rosey.db"

// Open implements fs.FS.
func (r *recovered) Open(name string) (fs.File, error) {
	if name != recoveredName {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &recoveredFile{io.NewSectionReader(r, 0, r.size), r.size}, nil
}

// recoveredFile implements fs.File and io.Seeker.
type recoveredFile struct {
	*io.SectionReader

	size int64
}

// Stat implements fs.File.
func (f *recoveredFile) Stat() (fs.FileInfo, error) { return recoveredInfo{size: f.size}, nil }

// Close implements fs.File. The files are closed with the recovered.
func (f *recoveredFile) Close() error { return nil }

// recoveredInfo is the fs.FileInfo of a recoveredFile.
type recoveredInfo struct{ size int64 }

// Name implements fs.FileInfo.
func (i recoveredInfo) Name() string { return recoveredName }

// Size implements fs.FileInfo.
func (i recoveredInfo) Size() int64 { return i.size }

// Mode implements fs.FileInfo.
func (i recoveredInfo) Mode() fs.FileMode { return 0o400 }

// ModTime implements fs.FileInfo.
func (i recoveredInfo) ModTime() time.Time { return time.Time{} }

// IsDir implements fs.FileInfo.
func (i recoveredInfo) IsDir() bool { return false }

// Sys implements fs.FileInfo.
func (i recoveredInfo) Sys() any { return nil }
