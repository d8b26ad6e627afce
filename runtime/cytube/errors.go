package cytube

import (
	"fmt"
	"time"

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
	return &Error{Reason: status.ReasonServerUnreachable, Message: what + ": " + status.NetworkError(err), Err: err}
}

// maxServerText is how many characters of a server's text a message contains.
const maxServerText = 200

// serverText makes text of a server fit for a one-line message.
func serverText(text string) string { return status.OneLine(text, maxServerText) }
