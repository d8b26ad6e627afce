package telemetry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// transport traces HTTP requests.
type transport struct {
	inner    http.RoundTripper
	template func(path string) string
}

// NewTransport returns a RoundTripper that begins a span for each request whose context has a sampled span, and sends
// the traceparent with it. A request without one, such as a watch, begins no trace. template returns the path with
// placeholders for what differs from request to request: it is a part of the span's name.
func NewTransport(inner http.RoundTripper, template func(path string) string) http.RoundTripper {
	return transport{inner, template}
}

// WrappedRoundTripper returns what sends the requests, whose connections client-go closes.
func (t transport) WrappedRoundTripper() http.RoundTripper { return t.inner }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	parent := Begin(request.Context())
	if !parent.IsSampled() {
		return t.inner.RoundTrip(request) //nolint:wrapcheck // it is the error of inner
	}
	template := t.template(request.URL.Path)
	ctx, span := Start(trace.ContextWithSpanContext(request.Context(), parent), request.Method+" "+template,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(describe(request, template)...))
	defer span.End()
	request = request.Clone(ctx)
	Inject(span.SpanContext(), request.Header)
	response, err := t.inner.RoundTrip(request)
	switch {
	case err != nil:
		Fail(span, networkErrorKind(err), "")
	case response.StatusCode >= http.StatusBadRequest:
		Fail(span, strconv.Itoa(response.StatusCode), "")
		fallthrough
	default:
		span.SetAttributes(semconv.HTTPResponseStatusCode(response.StatusCode))
	}
	return response, err //nolint:wrapcheck // it is the error of inner
}

// describe returns the attributes of a request. They have no query, which may have a secret.
func describe(request *http.Request, template string) []attribute.KeyValue {
	plain := url.URL{Scheme: request.URL.Scheme, Host: request.URL.Host, Path: request.URL.Path}
	attributes := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(request.Method), semconv.URLTemplate(template),
		semconv.URLFull(plain.String()), semconv.ServerAddress(request.URL.Hostname()),
	}
	if port, err := strconv.Atoi(request.URL.Port()); err == nil {
		attributes = append(attributes, semconv.ServerPort(port))
	}
	return attributes
}

// networkErrorKind returns the kind of an error of a request, which is one of a few.
func networkErrorKind(err error) string {
	network, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), ok && network.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	}
	return semconv.ErrorTypeOther.Value.AsString()
}

// KubernetesTemplate returns the path of a request to a Kubernetes API server with placeholders for the namespace and
// the name of the object.
func KubernetesTemplate(path string) string {
	const core, groups = 3, 4 // what comes before the resource: /api/v1 or /apis/group/version
	parts := strings.Split(path, "/")
	begin := core
	if len(parts) > 1 && parts[1] == "apis" {
		begin = groups
	}
	rest := parts[min(len(parts), begin):]
	if len(rest) > 2 && rest[0] == "namespaces" {
		rest[1], rest = "{namespace}", rest[2:]
	}
	if len(rest) > 1 {
		rest[1] = "{name}"
	}
	return strings.Join(parts, "/")
}
