package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"rosey.dev/rosey/runtime/status"
)

// logInterval is the shortest time between two lines about a receiver that fails and works in turn.
const logInterval = time.Minute

// outcomes count what becomes of spans.
type outcomes struct{ exported, failed, dropped prometheus.Counter }

// newOutcomes registers the counters. Whatever runs again in the same process counts on: the operator's registry is
// that of the process.
func newOutcomes(registerer prometheus.Registerer) outcomes {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rosey_telemetry_spans_total",
		Help: "Spans of traces, by outcome: exported (the receiver took them), failed (it did not), dropped " +
			"(too many were waiting for it).",
	}, []string{"outcome"})
	if registerer == nil {
		registerer = prometheus.NewRegistry()
	}
	err := registerer.Register(spans)
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		spans, _ = known.ExistingCollector.(*prometheus.CounterVec)
	} else if err != nil {
		panic(err) // the name or the label is invalid
	}
	return outcomes{
		spans.WithLabelValues("exported"), spans.WithLabelValues("failed"), spans.WithLabelValues("dropped"),
	}
}

// exporter counts what an exporter of the SDK sends, and logs when it begins to fail and when it works again. The SDK
// calls ExportSpans for one batch after another.
type exporter struct {
	inner    sdktrace.SpanExporter
	outcomes outcomes
	log      *slog.Logger
	exported func([]sdktrace.ReadOnlySpan) // called with each batch that is done

	stopping context.Context //nolint:containedctx // ends with stop, which aborts what is being sent
	stop     context.CancelFunc
	problem  atomic.Pointer[problem] // nil: the last export did not fail
	failing  bool
	loggedAt time.Time

	rejectedAt time.Time // of the last line about spans that were rejected
}

func newExporter(inner sdktrace.SpanExporter, o outcomes, log *slog.Logger) *exporter {
	e := &exporter{inner: inner, outcomes: o, log: log, exported: func([]sdktrace.ReadOnlySpan) {}}
	e.stopping, e.stop = context.WithCancel(context.Background())
	return e
}

// ExportSpans implements sdktrace.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	defer e.exported(spans)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.stopping, cancel)() //nolint:contextcheck // ctx is the parent of what cancel cancels
	err := e.inner.ExportSpans(ctx, spans)
	failed := 0
	if err != nil {
		failed = len(spans)
	}
	if rejected, partial := rejectedBy(err); partial {
		failed, err = min(rejected, len(spans)), nil // the receiver works
		e.reportRejected(failed)
	}
	e.outcomes.failed.Add(float64(failed))
	e.outcomes.exported.Add(float64(len(spans) - failed))
	e.report(err)
	return err
}

// partialSuccess matches an error whose type is internal to the SDK: the receiver has taken the request, but for some
// spans, which may be none. What it says about that may have something of the request.
var partialSuccess = regexp.MustCompile(`(?s)^traces export: OTLP partial success: .* \((\d+) spans rejected\)$`)

// rejectedBy returns how many spans a receiver has rejected if it has taken the others.
func rejectedBy(err error) (spans int, partial bool) {
	if err == nil {
		return 0, false
	}
	match := partialSuccess.FindStringSubmatch(err.Error())
	if match == nil {
		return 0, false
	}
	spans, err = strconv.Atoi(match[1])
	return spans, err == nil
}

// reportRejected logs that the receiver does not take some spans, once in a while.
func (e *exporter) reportRejected(spans int) {
	if spans == 0 || time.Since(e.rejectedAt) < logInterval {
		return
	}
	e.rejectedAt = time.Now()
	e.log.Warn("the receiver has rejected some spans; others are only counted for a minute", "spans", spans)
}

// report remembers what came of an export, and logs a change.
func (e *exporter) report(err error) {
	e.problem.Store(e.problem.Load().next(err, time.Now()))
	switch {
	case err == nil && e.failing:
		e.failing = false
		e.log.Info("traces are sent again")
	case err != nil && !e.failing && time.Since(e.loggedAt) >= logInterval:
		e.failing, e.loggedAt = true, time.Now()
		e.log.Warn("traces cannot be sent; further failures are only counted", "error", causeOf(err))
	}
}

// problemAfter is how long exports have to fail before that is a problem, and how long its text stays the same: each
// new text is a new status of a RoseyBot, and all of them have the same receiver, which may only have been restarted.
var problemAfter = time.Minute

// problem is why exports fail.
type problem struct {
	began, changed time.Time
	text           string
}

// next returns the problem after one more export. p may be nil.
func (p *problem) next(err error, now time.Time) *problem {
	switch {
	case err == nil:
		return nil
	case p == nil:
		return &problem{began: now, changed: now, text: causeOf(err)}
	case now.Sub(p.changed) < problemAfter:
		return p
	}
	return &problem{began: p.began, changed: now, text: causeOf(err)}
}

// current returns the text of a problem that lasts. p may be nil.
func (p *problem) current(now time.Time) string {
	if p == nil || now.Sub(p.began) < problemAfter {
		return ""
	}
	return p.text
}

// ownPort matches the address from which a connection was made, which is another one each time.
var ownPort = regexp.MustCompile(`\S+:\d+->`)

// causeOf returns one printable line about why an export failed. It has no text of the receiver: see withoutText.
func causeOf(err error) string {
	text := status.NetworkError(err)
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		if rpc, ok := grpcstatus.FromError(cause); ok && rpc.Code() != codes.OK {
			text = rpc.Code().String() + ": " + ownPort.ReplaceAllString(rpc.Message(), "")
			break
		}
	}
	return status.OneLine(text, maxErrorText)
}

// Shutdown implements sdktrace.SpanExporter.
func (e *exporter) Shutdown(ctx context.Context) error {
	defer e.stop()
	return e.inner.Shutdown(ctx) //nolint:wrapcheck // nobody reads it
}

// processor passes spans that have ended on to the SDK's queue, as long as there is room, so that those for which there
// is none are counted. A span with many links or events counts as several.
type processor struct {
	sdktrace.SpanProcessor

	waiting  atomic.Int64
	limit    int64
	outcomes outcomes
}

func newProcessor(e *exporter, limit int, o outcomes) *processor {
	p := &processor{limit: int64(limit), outcomes: o}
	e.exported = func(spans []sdktrace.ReadOnlySpan) {
		for _, span := range spans {
			p.waiting.Add(-weight(span))
		}
	}
	p.SpanProcessor = sdktrace.NewBatchSpanProcessor(e, sdktrace.WithMaxQueueSize(limit))
	return p
}

// weight returns the size of a span, about 1 KiB without links and events. Otherwise batches of 500 linked messages
// would take 50 times the memory that the limit of the queue allows, while the receiver is slow.
func weight(span sdktrace.ReadOnlySpan) int64 {
	const ofOneSpan = 8 // links or events, which take some 100 bytes each
	return 1 + int64(len(span.Links())+len(span.Events()))/ofOneSpan
}

// OnEnd implements sdktrace.SpanProcessor.
func (p *processor) OnEnd(span sdktrace.ReadOnlySpan) {
	if !span.SpanContext().IsSampled() {
		return
	}
	if size := weight(span); p.waiting.Add(size) > max(p.limit, size) {
		p.waiting.Add(-size)
		p.outcomes.dropped.Inc()
		return
	}
	p.SpanProcessor.OnEnd(span)
}
