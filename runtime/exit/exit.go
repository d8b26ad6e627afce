// Package exit has how the programs rosey and kubectl-rosey end: their exit codes, and what they say about an error.
//
// A command returns an error. If Failed has marked it, the command was valid and may succeed later. Any other error
// says that the command line or the configuration is wrong, so that the same command always fails.
package exit

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Exit codes.
const (
	Clean   = 0
	Failure = 1 // the command was valid and failed; it may succeed later
	Usage   = 2 // the command line or the configuration is invalid
)

// failure is an error with Failure as its exit code.
type failure struct{ cause error }

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// Failed returns err with Failure as its exit code, and nil for nil.
func Failed(err error) error {
	if err == nil {
		return nil
	}
	return &failure{cause: err}
}

// Failedf returns an error, as fmt.Errorf does, with Failure as its exit code.
func Failedf(format string, arguments ...any) error { return Failed(fmt.Errorf(format, arguments...)) }

// Report writes an error as the last word of a program, and returns its exit code. It writes nothing for nil.
func Report(stderr io.Writer, program string, err error) (code int) {
	if err == nil {
		return Clean
	}
	// What follows the first line is indented, so that no text from outside looks like a message of its own.
	text := strings.ReplaceAll(err.Error(), "\n", "\n  ")
	_, _ = fmt.Fprintf(stderr, "%s: %s\n", program, text) // there is nowhere else to report an error
	if _, ok := errors.AsType[*failure](err); ok {
		return Failure
	}
	return Usage
}
