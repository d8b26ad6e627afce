package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The headers of W3C Trace Context. Baggage is neither sent nor read: nothing here needs it, and anybody could fill it.
const (
	ParentHeader = "traceparent"
	StateHeader  = "tracestate"
)

const (
	// maxParentBytes is more than the 55 bytes of version 00; a later version may append to it.
	maxParentBytes = 128
	// maxStateBytes is what everybody has to pass on. A longer state is left out, as the specification allows.
	maxStateBytes = 512
)

// Inject adds the context of a span to the headers of a message. It adds nothing without one.
func Inject(span trace.SpanContext, header map[string][]string) {
	if !span.IsValid() {
		return
	}
	header[ParentHeader] = []string{FormatParent(span)}
	if state := span.TraceState().String(); state != "" && len(state) <= maxStateBytes {
		header[StateHeader] = []string{state}
	}
}

// Extract returns the context of the span that the headers of a message name. It is not valid, as everything that
// malformed headers name, if there is none.
func Extract(header map[string][]string) trace.SpanContext {
	if !Enabled() {
		return trace.SpanContext{}
	}
	return parse(first(header, ParentHeader, "Traceparent"), first(header, StateHeader, "Tracestate"))
}

// first returns the only value of a header. Names are case-sensitive in NATS, and some clients write them as in HTTP.
func first(header map[string][]string, names ...string) string {
	for _, name := range names {
		if values := header[name]; len(values) == 1 {
			return values[0]
		}
	}
	return ""
}

// FormatParent returns a span's context as a traceparent, and "" if it is not valid.
func FormatParent(span trace.SpanContext) string {
	if !span.IsValid() {
		return ""
	}
	const digits = "0123456789abcdef"
	text := make([]byte, 0, 55)
	text = append(text, "00-"...)
	appendHex := func(id []byte) {
		for _, b := range id {
			text = append(text, digits[b>>4], digits[b&15])
		}
	}
	traceID, spanID := span.TraceID(), span.SpanID()
	appendHex(traceID[:])
	text = append(text, '-')
	appendHex(spanID[:])
	text = append(text, "-0"...)
	return string(append(text, digits[span.TraceFlags()&trace.FlagsSampled]))
}

// ParseParent returns the span's context in a traceparent. It is not valid if the text is not.
func ParseParent(text string) trace.SpanContext { return parse(text, "") }

// parse needs a context only for an interface that puts its result into one.
func parse(parent, state string) trace.SpanContext {
	if parent == "" || len(parent) > maxParentBytes {
		return trace.SpanContext{}
	}
	carrier := propagation.MapCarrier{ParentHeader: parent}
	if state != "" && len(state) <= maxStateBytes {
		carrier[StateHeader] = state
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}
