package telemetry

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Fail says in a span that what it is about has failed, by the kind of the error. description is a constant, or empty.
// The text of the error may quote what users have written, or what a pod of theirs answers.
func Fail(span trace.Span, kind, description string) {
	span.SetAttributes(semconv.ErrorTypeKey.String(kind))
	span.SetStatus(codes.Error, description)
}

// ErrorKind is the name of an error in spans.
type ErrorKind struct {
	Err  error
	Name string
}

// KindOf returns the name of the first kind that an error is, and otherwise if it is none.
func KindOf(err error, kinds []ErrorKind, otherwise string) string {
	for _, known := range kinds {
		if errors.Is(err, known.Err) {
			return known.Name
		}
	}
	return otherwise
}

// ContextWith returns a context with a span, or ctx if the span is nil.
func ContextWith(ctx context.Context, span trace.Span) context.Context {
	if span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, span)
}
