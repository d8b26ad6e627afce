package web

import (
	"net/http"
	"strconv"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/telemetry"
)

// isTraced reports whether requests of a pattern have a span. Those for files ask nobody, and the events of an open
// page last as long as it is open.
func isTraced(pattern string) bool {
	return !strings.HasPrefix(pattern, "GET /"+assetDir) && pattern != livePattern
}

// traced begins a span for each request, of which the requests to the database are children. It has the pattern, which
// has placeholders for names. Headers about traces are not read: anybody could have everything recorded.
func traced(pattern string, next http.Handler) http.Handler {
	method, route, _ := strings.Cut(pattern, " ")
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(method), semconv.HTTPRoute(route))}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !telemetry.Enabled() {
			next.ServeHTTP(w, r)
			return
		}
		ctx, span := telemetry.Start(r.Context(), pattern, options...)
		defer span.End()
		coded := &codeWriter{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(coded, r.WithContext(ctx))
		span.SetAttributes(semconv.HTTPResponseStatusCode(coded.code))
		if coded.code >= http.StatusInternalServerError {
			telemetry.Fail(span, strconv.Itoa(coded.code), "")
		}
	})
}
