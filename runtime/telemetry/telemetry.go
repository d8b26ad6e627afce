// Package telemetry sends traces by OpenTelemetry.
//
// Tracing is off until Setup has found an endpoint, in the configuration or in the environment variables of
// OpenTelemetry (OTEL_EXPORTER_OTLP_ENDPOINT). Then there is one tracer for the whole process, as everywhere in
// OpenTelemetry, and Start begins spans. While tracing is off, Start, Enabled, Inject and Extract neither allocate nor
// do anything, but what a caller passes to them may: build the options of a span once, or ask Enabled before.
//
// Spans are sent in the background. A receiver that is slow, refuses or is absent delays nobody: a bounded number of
// spans waits, further ones are dropped, and what becomes of them is counted (rosey_telemetry_spans_total).
//
// A span never has the text of a line, the name of a person or a secret. docs/observability.md lists the attributes.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// Scope is the name of the instrumentation in what is sent.
const Scope = "rosey.dev/rosey"

// shutdownTimeout bounds how long a process that ends waits for the receiver. A pod has 30 s to end, most of which a
// bot may need for its last events.
const shutdownTimeout = 2 * time.Second

// Options configure Setup. Service and Log are required.
type Options struct {
	Settings

	// Service, Version and Instance are service.name, service.version and service.instance.id of the process.
	// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
	Service, Version, Instance string
	// Log gets one line when spans cannot be sent, and one when they can again.
	Log *slog.Logger
	// Registerer gets the metric of what becomes of spans. Nil: a process without metrics.
	Registerer prometheus.Registerer
}

// Provider is the tracing of a process. A nil Provider is one that is off.
type Provider struct {
	provider *sdktrace.TracerProvider
	exporter *exporter
	tracer   trace.Tracer
}

// active is the tracing of this process. Nil: it is off.
var active atomic.Pointer[Provider]

// Setup turns tracing on for the process if an endpoint is configured. It does not wait for the network. An error names
// the configuration key or the environment variable that is invalid.
func Setup(o Options) (*Provider, error) {
	outcomes := newOutcomes(o.Registerer) // counters exist from the start, also while nothing is counted
	settings, on, err := o.resolve()
	if err != nil || !on {
		return nil, err
	}
	// The SDK reports what it cannot do here, for example an unknown value in one of its variables, and not on stderr as
	// text between the lines of the log. It quotes such a value: resolve has refused those that may have a secret.
	otel.SetLogger(logr.FromSlogHandler(o.Log.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {})) // exporter has counted and logged it
	described, err := o.resource()
	if err != nil {
		return nil, err
	}
	inner, err := settings.exporter()
	if err != nil {
		return nil, err
	}
	exporting := newExporter(inner, outcomes, o.Log)
	waiting := newProcessor(exporting, settings.queueSize, outcomes)
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(described), sdktrace.WithSampler(settings.sampler),
		sdktrace.WithRawSpanLimits(spanLimits()), sdktrace.WithSpanProcessor(waiting))
	p := &Provider{provider: provider, exporter: exporting, tracer: provider.Tracer(Scope)}
	active.Store(p)
	o.Log.Info("traces are sent", "endpoint", settings.endpoint.Redacted(), "protocol", settings.protocol)
	return p, nil
}

// resource describes the process.
func (o Options) resource() (*resource.Resource, error) {
	var own []attribute.KeyValue
	for _, each := range []attribute.KeyValue{
		semconv.ServiceName(o.Service), semconv.ServiceVersion(o.Version), semconv.ServiceInstanceID(o.Instance),
		semconv.K8SPodName(os.Getenv(config.PodNameVariable)), semconv.K8SPodUID(os.Getenv(config.PodUIDVariable)),
	} {
		if each.Value.AsString() != "" {
			own = append(own, each)
		}
	}
	var configured []attribute.KeyValue
	for name, value := range o.ResourceAttributes {
		configured = append(configured, attribute.String(name, value))
	}
	described, err := resource.New(context.Background(), resource.WithTelemetrySDK(), resource.WithAttributes(own...),
		resource.WithFromEnv(), resource.WithAttributes(configured...))
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: expected name=value pairs, separated by commas: %s",
			status.OneLine(err.Error(), maxErrorText))
	}
	return described, nil
}

// Shutdown turns tracing off and sends the spans that wait, until ctx ends, and for at most two seconds.
func (p *Provider) Shutdown(ctx context.Context) {
	if p == nil {
		return
	}
	active.CompareAndSwap(p, nil)
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	// Shutdown gets no deadline of its own: with one it returns while its goroutine is still exporting.
	defer context.AfterFunc(ctx, p.exporter.stop)()
	_ = p.provider.Shutdown(context.WithoutCancel(ctx)) // exporter has counted and logged what could not be sent
}

// Problem returns why spans cannot be sent, in one printable line, once that has been so for a minute. It is empty if
// they are sent, and while tracing is off.
func (p *Provider) Problem() string {
	if p == nil {
		return ""
	}
	return p.exporter.problem.Load().current(time.Now())
}

// Enabled reports whether the tracing of p is on.
func (p *Provider) Enabled() bool { return p != nil }

// Enabled reports whether tracing is on in this process.
func Enabled() bool { return active.Load() != nil }

// Start begins a span, which the caller ends. While tracing is off, it returns ctx and a span that does nothing.
func Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	p := active.Load()
	if p == nil {
		return ctx, noop.Span{}
	}
	return p.tracer.Start(ctx, name, options...)
}

// Recording reports whether ctx has a span whose content is sent.
func Recording(ctx context.Context) bool {
	return Enabled() && trace.SpanFromContext(ctx).IsRecording()
}
