package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// tracing returns variables with which a process sends its traces to a receiver, soon.
func tracing(url, protocol string) []string {
	return []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + url, "OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol, "OTEL_BSP_SCHEDULE_DELAY=20",
	}
}

// tracedSpan is what a test expects of a span: its parent is the one before, in the order of a list. A batch may be a
// part of the trace of another one of its messages: then it has a link.
type tracedSpan struct {
	name string
	kind traces.Span_SpanKind
	// orName is another name: that of a batch of several kinds of messages.
	orName string
	// attributes are some that it has.
	attributes map[string]any
}

const (
	kindInternal = traces.Span_SPAN_KIND_INTERNAL
	kindServer   = traces.Span_SPAN_KIND_SERVER
	kindClient   = traces.Span_SPAN_KIND_CLIENT
	kindProducer = traces.Span_SPAN_KIND_PRODUCER
	kindConsumer = traces.Span_SPAN_KIND_CONSUMER
)

// branch returns the spans of a trace of which each is a child of the one before, the first one of parent, with the
// expected names and kinds. It is nil while one is missing.
func branch(all []otlptest.Span, trace, parent string, want []tracedSpan) (found []otlptest.Span) {
	if len(want) == 0 {
		return []otlptest.Span{}
	}
	for _, span := range all {
		of := func(link *traces.Span_Link) bool {
			return hex.EncodeToString(link.TraceId) == trace && hex.EncodeToString(link.SpanId) == parent
		}
		isChild := span.Trace() == trace && span.Parent() == parent
		if !isChild && !slices.ContainsFunc(span.Links, of) || span.Kind != want[0].kind ||
			span.Name != want[0].name && span.Name != want[0].orName {
			continue
		}
		if rest := branch(all, span.Trace(), span.ID(), want[1:]); rest != nil {
			return append([]otlptest.Span{span}, rest...)
		}
	}
	return nil
}

// TestTraces follows a chat line from the socket to the committed row, and a line to say from the request to the stored
// report, over a bot, a stream and a service with PostgreSQL, each in a process of its own.
func TestTraces(t *testing.T) {
	t.Parallel()
	grpc, http := otlptest.GRPC(t), otlptest.HTTP(t)
	r := newKillRig(t)
	r.store = nil
	r.botEnvironment = tracing(grpc.URL, config.OTLPGRPC)
	r.serviceEnvironment = append(tracing(http.URL, config.OTLPHTTP),
		"ROSEY_DATABASE_POSTGRES_URL_FILE="+pgtest.Use(t).URLFile(t))
	r.startService()
	r.startBot()
	r.bot.waitFor(status.ReasonReady)
	awaitBranch := func(trace, parent string, want ...tracedSpan) (found []otlptest.Span) {
		t.Helper()
		var all []otlptest.Span
		natstest.Within(t, waitTimeout, "the spans"+fmt.Sprint(want), func() bool {
			all = append(grpc.Spans(), http.Spans()...)
			found = branch(all, trace, parent, want)
			return found != nil || t.Failed()
		})
		for i, span := range found {
			for name, value := range want[i].attributes {
				if got := span.Attribute(name); got != value {
					t.Errorf("%s: %s is %v, want %v", span.Name, name, got, value)
				}
			}
		}
		return found
	}

	r.awaitStored() // then the line is alone in its batch
	if _, err := r.sim.Channel("movienight").Say("alice", "xyzzy"); err != nil {
		t.Fatal(err)
	}
	var line otlptest.Span
	grpc.Await(t, "the chat line", func(spans []otlptest.Span) bool {
		at := slices.IndexFunc(spans, func(s otlptest.Span) bool { return s.Name == "receive chatMsg" })
		if at >= 0 {
			line = spans[at]
		}
		return at >= 0
	})
	published := []tracedSpan{
		{name: "receive chatMsg", kind: kindConsumer, attributes: map[string]any{
			"messaging.system": "cytube", "messaging.operation.type": "receive", "messaging.destination.name": "movienight"}},
		{name: "send db.message.log", kind: kindProducer, attributes: map[string]any{
			"messaging.system": "nats", "messaging.operation.type": "send",
			"messaging.destination.name": "rosey.db.message.log"}},
		{name: "process db.message.log", kind: kindConsumer, attributes: map[string]any{
			"messaging.system": "nats", "messaging.operation.type": "process", "messaging.batch.message_count": int64(1),
			"messaging.destination.name": "rosey.db.message.log"}},
	}
	stored := awaitBranch(line.Trace(), "", append(published,
		tracedSpan{name: "transaction", kind: kindClient, attributes: map[string]any{"db.system.name": "postgresql"}},
		tracedSpan{name: "INSERT chat", kind: kindClient, attributes: map[string]any{
			"db.system.name": "postgresql", "db.operation.name": "INSERT", "db.collection.name": "chat"}})...)
	awaitBranch(line.Trace(), "", append(published,
		tracedSpan{name: "ack", kind: kindClient, attributes: map[string]any{"messaging.operation.type": "settle"}})...)
	if batch := stored[2]; batch.Service != "rosey-database" || len(batch.Links) != 1 ||
		string(batch.Links[0].SpanId) != string(stored[1].SpanId) {
		t.Errorf("the batch of %s has the links %v, want one to the message", batch.Service, batch.Links)
	}

	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	_, err := r.nats.Client().RequestMsgWithContext(t.Context(), &nats.Msg{
		Subject: "rosey.db.messages.outbound.put", Data: []byte(`{"message":"plugh"}`),
		Header: nats.Header{telemetry.ParentHeader: {"00-" + trace + "-" + parent + "-01"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	queued := tracedSpan{name: "process db.messages.outbound.put", kind: kindServer, attributes: map[string]any{
		"messaging.system": "nats", "messaging.destination.name": "rosey.db.messages.outbound.put"}}
	awaitBranch(trace, parent, queued, tracedSpan{name: "transaction", kind: kindClient},
		tracedSpan{name: "INSERT outbound", kind: kindClient})
	awaitBranch(trace, parent, queued, tracedSpan{name: "claim", kind: kindInternal})
	said := awaitBranch(trace, parent, queued,
		tracedSpan{name: "send chatMsg", kind: kindProducer, attributes: map[string]any{"messaging.system": "cytube"}},
		tracedSpan{name: "send db.messages.outbound.mark_sent", kind: kindProducer},
		tracedSpan{name: "process db.messages.outbound.mark_sent", kind: kindConsumer, orName: "process"},
		tracedSpan{name: "transaction", kind: kindClient},
		tracedSpan{name: "UPDATE outbound", kind: kindClient})
	var events []string
	for _, event := range said[1].Events {
		events = append(events, event.Name)
	}
	if !slices.Equal(events, []string{"sent", "completed"}) {
		t.Errorf("events of the line: %v", events)
	}
	if !slices.ContainsFunc(r.bot.log(), func(l map[string]any) bool { return l["trace_id"] == trace }) {
		t.Error("no line of the bot's log has the ID of the trace")
	}
	r.awaitStored()
	for _, process := range []*roseyProcess{r.bot, r.db} { // each sends what it has not sent yet
		if code := process.end(syscall.SIGTERM); code != exit.Clean {
			t.Errorf("exit code %d", code)
		}
	}
	all := append(grpc.Spans(), http.Spans()...)
	checkPrivate(t, all)
	checkTree(t, all, line.Trace(), "", `
receive chatMsg
  send db.message.log
    process db.message.log
      ack
      transaction
        INSERT chat
        INSERT chat_hours
        INSERT users
        SELECT channels
`)
	checkTree(t, all, trace, parent, outboundTree(all, trace, 1))
}

// checkPrivate checks that no span has a text or a name of a person, and no attribute that the documentation does not
// list.
func checkPrivate(t *testing.T, spans []otlptest.Span) {
	t.Helper()
	documented, err := os.ReadFile(filepath.Join("..", "..", "docs", "observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, span := range spans {
		for _, each := range span.Attributes {
			if !strings.Contains(string(documented), "`"+each.Key+"`") {
				t.Errorf("docs/observability.md does not list the attribute %s of %s", each.Key, span.Name)
			}
		}
		text := strings.ToLower(span.String())
		for _, private := range []string{"xyzzy", "plugh", "alice", "hush"} {
			if strings.Contains(text, private) {
				t.Errorf("the span %s has %q: %s", span.Name, private, text)
			}
		}
	}
}

// spansOf returns how many spans of a process had an outcome.
func spansOf(process *roseyProcess, outcome string) (count float64) {
	_, metrics := process.get(status.MetricsPath)
	_, rest, _ := strings.Cut(metrics, `rosey_telemetry_spans_total{outcome="`+outcome+`"} `)
	_, _ = fmt.Sscan(rest, &count)
	return count
}

// TestReceiversDelayNobody runs a bot whose receiver accepts requests and never answers, and a service whose receiver
// refuses them, and then is absent.
func TestReceiversDelayNobody(t *testing.T) {
	t.Parallel()
	hanging, refusing := otlptest.HTTP(t), otlptest.GRPC(t)
	hanging.AnswerWith(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	refusing.AnswerWith(func(context.Context) error { return errors.New("no\x1b[2J") })
	r := newKillRig(t)
	r.botEnvironment = append(tracing(hanging.URL, config.OTLPHTTP), "OTEL_BSP_MAX_QUEUE_SIZE=32")
	r.serviceEnvironment = append(tracing(refusing.URL, config.OTLPGRPC), "OTEL_EXPORTER_OTLP_TIMEOUT=100")
	r.startService()
	r.startBot()
	r.bot.waitFor(status.ReasonReady)
	r.say(300)
	r.compare()
	natstest.Eventually(t, "dropped spans of the bot", func() bool { return spansOf(r.bot, "dropped") > 0 })
	failures := func() (count int) {
		for _, line := range r.db.log() {
			if text := fmt.Sprint(line); strings.Contains(text, "traces cannot be sent") {
				count++
				if strings.ContainsRune(text, 0x1b) {
					t.Errorf("a control character of the receiver is in the log: %q", text)
				}
			}
		}
		return count
	}
	natstest.Eventually(t, "a failure in the log", func() bool { return failures() > 0 })
	natstest.Eventually(t, "several failures", func() bool {
		r.say(1)
		return spansOf(r.db, "failed") > 0 && len(refusing.Headers()) > 2
	})
	refusing.Close()
	for range 2 { // the first failure may be that of a request which the receiver still got
		before := spansOf(r.db, "failed")
		natstest.Eventually(t, "failures without a receiver", func() bool {
			r.say(1)
			return spansOf(r.db, "failed") > before
		})
	}
	r.compare()
	if got := failures(); got != 1 {
		t.Errorf("%d lines about failures in the log, want 1", got)
	}
	for _, process := range []*roseyProcess{r.bot, r.db} {
		if code := process.end(syscall.SIGTERM); code != exit.Clean {
			t.Errorf("exit code %d", code)
		}
	}
}
