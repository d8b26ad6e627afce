package main

import (
	"io"
	"testing"
)

// zeros is what a pod writes without end.
type zeros struct{}

func (zeros) Read(into []byte) (int, error) { return len(into), nil }

func TestADocumentOfAPodIsBounded(t *testing.T) {
	t.Parallel()
	var document boundedBuffer
	if n, err := io.Copy(&document, io.LimitReader(zeros{}, maxDocument+1<<20)); err == nil || n > maxDocument {
		t.Errorf("%d bytes, %v", n, err)
	}
}
