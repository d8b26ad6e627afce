package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"time"
)

// archive is files in one directory.
type archive struct {
	name  string // of the directory
	files []supportFile
}

// write writes the archive as a compressed tar file.
func (a archive) write(out io.Writer) error {
	compressed := gzip.NewWriter(out)
	packed := tar.NewWriter(compressed)
	now := time.Now()
	for _, file := range a.files {
		err := packed.WriteHeader(&tar.Header{
			Name: path.Join(a.name, file.name), Mode: 0o600, Size: int64(len(file.content)), ModTime: now,
		})
		if err == nil {
			_, err = packed.Write(file.content)
		}
		if err != nil {
			return fmt.Errorf("adding %s: %w", file.name, err)
		}
	}
	if err := errors.Join(packed.Close(), compressed.Close()); err != nil {
		return fmt.Errorf("compressing: %w", err)
	}
	return nil
}
