// Package otlptest starts receivers of OTLP, as an OpenTelemetry Collector has them, over gRPC and HTTP.
package otlptest

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// Span is a received span.
type Span struct {
	*traces.Span

	// Service is service.name of the process that sent it.
	Service string
}

// ID returns the ID of the span in hexadecimal digits.
func (s Span) ID() string { return hex.EncodeToString(s.SpanId) }

// Parent returns the ID of the parent, which is empty for the first span of a trace.
func (s Span) Parent() string { return hex.EncodeToString(s.ParentSpanId) }

// Trace returns the ID of the trace.
func (s Span) Trace() string { return hex.EncodeToString(s.TraceId) }

// Attribute returns the value of an attribute, nil if there is none.
func (s Span) Attribute(key string) any { return attribute(s.Attributes, key) }

func attribute(attributes []*common.KeyValue, key string) any {
	for _, each := range attributes {
		if each.Key != key {
			continue
		}
		switch value := each.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			return value.StringValue
		case *common.AnyValue_IntValue:
			return value.IntValue
		case *common.AnyValue_BoolValue:
			return value.BoolValue
		case *common.AnyValue_DoubleValue:
			return value.DoubleValue
		}
	}
	return nil
}

// Receiver receives spans by one protocol.
type Receiver struct {
	collector.UnimplementedTraceServiceServer

	// URL is the endpoint, as in OTEL_EXPORTER_OTLP_ENDPOINT.
	URL string

	mu      sync.Mutex
	spans   []Span
	headers []map[string]string
	answer  func(ctx context.Context) error
	partial *collector.ExportTracePartialSuccess
	changed chan struct{} // closed and replaced when something arrives
	close   func()
}

// Close ends the receiver: nothing listens at its URL any more.
func (r *Receiver) Close() { r.close() }

func newReceiver() *Receiver {
	return &Receiver{changed: make(chan struct{}), answer: func(context.Context) error { return nil }}
}

// GRPC starts a receiver that ends with the test.
func GRPC(t testing.TB) *Receiver {
	t.Helper()
	return serveGRPC(t)
}

func serveGRPC(t testing.TB, options ...grpc.ServerOption) *Receiver {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newReceiver()
	r.URL = "http://" + listener.Addr().String()
	server := grpc.NewServer(options...)
	collector.RegisterTraceServiceServer(server, r)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	r.close = func() { server.Stop(); serving.Wait() }
	t.Cleanup(r.close)
	return r
}

// HTTP starts a receiver that ends with the test.
func HTTP(t testing.TB) *Receiver {
	t.Helper()
	r := newReceiver()
	server := httptest.NewServer(http.HandlerFunc(r.serveHTTP))
	r.URL = server.URL
	r.close = func() { server.CloseClientConnections(); server.Close() }
	t.Cleanup(r.close)
	return r
}

// Encrypted starts receivers over gRPC and HTTP, for 127.0.0.1, that end with the test. It returns their certificate
// authority in PEM.
func Encrypted(t testing.TB) (overGRPC, overHTTP *Receiver, authority []byte) {
	t.Helper()
	overHTTP = newReceiver()
	server := httptest.NewUnstartedServer(http.HandlerFunc(overHTTP.serveHTTP))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it has the errors of handshakes
	server.StartTLS()
	overHTTP.URL = server.URL
	overHTTP.close = func() { server.CloseClientConnections(); server.Close() }
	t.Cleanup(overHTTP.close)
	certificates := credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: server.TLS.Certificates, NextProtos: []string{"h2"},
	})
	overGRPC = serveGRPC(t, grpc.Creds(certificates))
	overGRPC.URL = strings.Replace(overGRPC.URL, "http://", "https://", 1)
	return overGRPC, overHTTP, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// AnswerWith sets what the receiver does with each further request before it takes the spans. With an error it does not
// take them.
func (r *Receiver) AnswerWith(answer func(ctx context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// RejectSome has the receiver say about each further request that it does not take some spans, which may be none, and
// why. It takes all.
func (r *Receiver) RejectSome(spans int64, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.partial = &collector.ExportTracePartialSuccess{RejectedSpans: spans, ErrorMessage: message}
}

// response returns what the receiver answers to a request whose spans it has taken.
func (r *Receiver) response() *collector.ExportTraceServiceResponse {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &collector.ExportTraceServiceResponse{PartialSuccess: r.partial}
}

// Export implements collector.TraceServiceServer.
func (r *Receiver) Export(
	ctx context.Context, request *collector.ExportTraceServiceRequest,
) (*collector.ExportTraceServiceResponse, error) {
	received, _ := metadata.FromIncomingContext(ctx)
	headers := map[string]string{}
	for name, values := range received {
		headers[name] = values[0]
	}
	if err := r.take(ctx, request, headers); err != nil {
		return nil, err
	}
	return r.response(), nil
}

func (r *Receiver) serveHTTP(w http.ResponseWriter, got *http.Request) {
	body, err := io.ReadAll(got.Body)
	request := &collector.ExportTraceServiceRequest{}
	if err == nil {
		err = proto.Unmarshal(body, request)
	}
	if err != nil || got.URL.Path != "/v1/traces" {
		http.Error(w, "not a request to /v1/traces", http.StatusBadRequest)
		return
	}
	headers := map[string]string{}
	for name, values := range got.Header {
		headers[http.CanonicalHeaderKey(name)] = values[0]
	}
	if err := r.take(got.Context(), request, headers); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if body, err = proto.Marshal(r.response()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(body)
}

func (r *Receiver) take(
	ctx context.Context, request *collector.ExportTraceServiceRequest, headers map[string]string,
) error {
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	err := answer(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.headers = append(r.headers, headers)
	defer func() { close(r.changed); r.changed = make(chan struct{}) }()
	if err != nil {
		return err
	}
	for _, resource := range request.ResourceSpans {
		service, _ := attribute(resource.Resource.Attributes, "service.name").(string)
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				r.spans = append(r.spans, Span{span, service})
			}
		}
	}
	return nil
}

// Spans returns the spans that have been received.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans)
}

// Headers returns the headers of each request, in their order.
func (r *Receiver) Headers() []map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.headers)
}

// receiveTimeout is far more than a process needs to send.
const receiveTimeout = 20 * time.Second

// Await waits until done is true for what was received.
func (r *Receiver) Await(t testing.TB, what string, done func([]Span) bool) []Span {
	t.Helper()
	timeout := time.After(receiveTimeout)
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		spans := r.Spans()
		if done(spans) {
			return spans
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%s: not received within %v; received %s", what, receiveTimeout, Describe(spans))
		}
	}
}

// Describe returns one line for each span.
func Describe(spans []Span) (text string) {
	for _, span := range spans {
		text += "\n  " + span.Service + ": " + span.Name + " " + span.Kind.String() + " trace " + span.Trace() +
			" span " + span.ID() + " parent " + span.Parent()
	}
	return text
}
