package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"
)

// maxLogLine bounds a line, in bytes. The rest of a longer one is left out.
const maxLogLine = 64 << 10

// readLines sends the lines of a log to the merge, each when it asks for it, and returns how far it has been read.
func (r *logReader) readLines(
	ctx context.Context, source logSource, log io.Reader, read logPosition,
) (logPosition, error) {
	lines, known := bufio.NewReaderSize(log, maxLogLine), read.again()
	for {
		text, err := readLine(lines)
		if errors.Is(err, io.EOF) && text == "" {
			return read, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return read, err
		}
		if known(text) {
			continue
		}
		line := parseLogLine(text, read.at)
		if !r.send(ctx, source.number, arrival{line: line}) {
			return read, nil
		}
		read = read.after(line, text, err != nil)
		select {
		case <-ctx.Done():
			return read, nil
		case <-source.next:
		}
	}
}

// logPosition is how far a log has been read. The zero value is its beginning.
type logPosition struct {
	// at is the time of the last line, and lines is how many lines with this time have been read.
	at    time.Time
	lines int
	// half is the last line if it had no end. Where the log was cut off within it, it comes again as a whole.
	half string
}

// after returns the position after a line.
func (p logPosition) after(line logLine, text string, isHalf bool) logPosition {
	switch {
	case isHalf:
		p.half = text
	case line.at.Equal(p.at):
		p.lines, p.half = p.lines+1, ""
	default:
		p = logPosition{at: line.at, lines: 1}
	}
	return p
}

// again returns a function that reports whether a line was read before. It is called in turn with each line that the
// API server sends from this position on: that takes whole seconds, so some lines come again.
func (p logPosition) again() func(text string) bool {
	same := 0
	return func(text string) bool {
		if p.half != "" && text == p.half {
			return true
		}
		at := parseLogLine(text, time.Time{}).at
		if p.at.IsZero() || at.After(p.at) {
			return false
		}
		if at.Equal(p.at) {
			same++
			return same <= p.lines
		}
		return true
	}
}

// readLine returns the next line without its end, and the beginning alone of one that is longer than maxLogLine.
func readLine(from *bufio.Reader) (string, error) {
	text, err := from.ReadSlice('\n')
	line := string(bytes.TrimRight(text, "\r\n"))
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = from.ReadSlice('\n')
	}
	return line, err //nolint:wrapcheck // the caller says which log
}

// parseLogLine separates the time from a line. A line without one has that of the line before.
func parseLogLine(text string, last time.Time) logLine {
	stamp, rest, _ := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return logLine{at: last, text: text}
	}
	if at.Before(last) { // the order within a container is that of its log
		at = last
	}
	return logLine{at: at, text: rest}
}
