package plugin

import (
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// usageError is an error about the arguments of a call.
type usageError struct{ error }

// Unwrap returns the error.
func (e usageError) Unwrap() error { return e.error }

// UsageError makes of an error one whose text is shown to the person who gave the command. It costs them no cooldown.
// Write it for them: what they typed, and what was expected.
func UsageError(err error) error { return usageError{err} }

// Usage returns a UsageError, formatted as by fmt.Errorf.
func Usage(format string, arguments ...any) error {
	return usageError{fmt.Errorf(format, arguments...)}
}

// failure is the error of a call as it goes to the bot.
type failure struct{ code, description string }

// failureOf returns what the bot is told about an error.
func failureOf(err error) failure {
	if usage, ok := errors.AsType[usageError](err); ok {
		return failure{bus.CodeUsage, Cut(status.OneLine(usage.Error(), MaxLength), MaxLength)}
	}
	if _, panicked := errors.AsType[*panicError](err); panicked {
		return failure{bus.CodeInternal, "the handler panicked"} // the plugin's log has where
	}
	if errors.Is(err, errBusy) {
		return failure{bus.CodeBusy, err.Error()}
	}
	return failure{bus.CodeInternal, status.OneLine(safeText(err), maxErrorText)}
}

// safeText returns the text of an error without the URL of a request that failed: net/http has it in its errors, and
// keys of web APIs are often in it.
func safeText(err error) string {
	text := err.Error()
	if failed, isRequest := errors.AsType[*url.Error](err); isRequest && failed.URL != "" {
		for _, form := range []string{strconv.Quote(failed.URL), failed.URL} {
			text = strings.ReplaceAll(text, form, "(URL)")
		}
	}
	return text
}

// maxErrorText bounds the text of an error that goes to the bot's log, in characters.
const maxErrorText = 200

// errBusy means that the plugin has as many calls as it may, or one of this person.
var errBusy = errors.New("too many calls at once")

// panicError is a panic of a handler.
type panicError struct{ value, stack string }

func (e *panicError) Error() string { return "the handler panicked: " + e.value + " at " + e.stack }

// protect calls a handler, and returns its panic as an error.
func protect(handle func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{status.OneLine(fmt.Sprint(value), maxErrorText), string(debug.Stack())}
		}
	}()
	return handle()
}

// outcomeOf returns the outcome of a handler that returned err.
func outcomeOf(err error, success string) string {
	if err == nil {
		return success
	}
	if _, panicked := errors.AsType[*panicError](err); panicked {
		return outcomePanicked
	}
	return outcomeFailed
}
