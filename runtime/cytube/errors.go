package cytube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"

	"rosey.dev/rosey/runtime/status"
)

// Error says why there is no connection to the channel, or no longer.
type Error struct {
	// Reason is the stable word for it.
	Reason status.Reason
	// Message is a sentence for people. It stays the same from try to try while the cause does.
	Message string
	// RetryAfter is how long the server wants us to wait. Zero: it did not say.
	RetryAfter time.Duration
	// Err is the cause in full, nil when the server's word is the cause.
	Err error
}

// Error is the message with the whole cause, for the log.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return fmt.Sprintf("%s (%v)", e.Message, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// FrameError says that a frame could not be read. It never shows what was in the frame, which
// can be somebody's private message.
type FrameError struct {
	// Kind says what could not be read; it is one of a few fixed words.
	Kind string
	// Size of the frame or payload in bytes.
	Size int
}

// Error names kind and size.
func (e *FrameError) Error() string {
	return fmt.Sprintf("malformed frame: %s of %d bytes", e.Kind, e.Size)
}

func unreachable(what string, err error) *Error {
	return &Error{Reason: status.ReasonServerUnreachable, Message: what + ": " + shortCause(err), Err: err}
}

// shortCause is the part of a network error that does not change from try to try: the full text
// has the port of our side in it, and a status that changes with every try looks like news.
func shortCause(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "timed out"
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return innermost(err).Error()
}

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// maxWords keeps what a server says within what a status can show.
const maxWords = 200

// words makes what a server said fit for a one-line message.
func words(said string) string {
	said = strings.Join(strings.Fields(strings.Map(printable, said)), " ")
	if runes := []rune(said); len(runes) > maxWords {
		return string(runes[:maxWords]) + "…"
	}
	return said
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}
