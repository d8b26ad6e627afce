package config

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

const (
	// maxConfigBytes is more than a configuration needs that lists all it can.
	maxConfigBytes = 4 << 20
	// maxSecretBytes is what a Secret can hold.
	maxSecretBytes = 1 << 20
)

// ReadBoundedFile returns the content of a file of at most limit bytes. A pipe to which nobody writes is empty: whoever
// reads one would otherwise wait for ever.
func ReadBoundedFile(name string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	defer func() { _ = file.Close() }() // it was only read
	return ReadBounded(file, name, limit)
}

// ReadBounded reads at most limit bytes. More are an error, which calls what is read name.
func ReadBounded(in io.Reader, name string, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s: expected at most %d bytes", name, limit)
	}
	return content, err
}
