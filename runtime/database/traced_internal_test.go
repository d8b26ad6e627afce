package database

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
	"rosey.dev/rosey/runtime/telemetry"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// tracedService returns a service with an open store that is not run. send sends the spans and returns them by name.
func tracedService(t *testing.T) (s *Service, send func() map[string]otlptest.Span) {
	t.Helper()
	receiver := otlptest.HTTP(t)
	provider, err := telemetry.Setup(telemetry.Options{
		Settings: telemetry.Settings{Endpoint: receiver.URL}, Log: natstest.Log(t), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { provider.Shutdown(context.Background()) })
	conn, err := bus.Connect(t.Context(), bus.Options{URL: natstest.Start(t).URL(), Log: natstest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	subjects, err := bus.NewSubjects("films")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rosey.db")
	s = NewService(ServiceOptions{
		EngineOptions: EngineOptions{
			Channel: store.Channel{Server: "https://cytu.be", Name: "movies"}, Log: natstest.Log(t),
			Open: func(ctx context.Context) (store.Store, error) { return sqlite.Open(ctx, path) },
		},
		Conn: conn, Subjects: subjects,
	})
	if err := s.engine.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.engine.Close() })
	return s, func() map[string]otlptest.Span {
		provider.Shutdown(context.Background())
		spans := map[string]otlptest.Span{}
		for _, span := range receiver.Spans() {
			spans[span.Name] = span
		}
		return spans
	}
}

// A reply that is not sent is a failure of the service, and a mistake of the client is not.
func TestSpanOfARequestHasWhatBecameOfIt(t *testing.T) {
	s, send := tracedService(t)
	sent := func([]byte, nats.Header) error { return nil }
	requests := map[bus.Suffix]struct {
		data    string
		respond func([]byte, nats.Header) error
		failure any
		code    traces.Status_StatusCode
	}{
		bus.StatsRecentChat: {`{}`, sent, nil, traces.Status_STATUS_CODE_UNSET},
		bus.OutboundPut:     {`{"message":" "}`, sent, "refused", traces.Status_STATUS_CODE_UNSET},
		bus.QueryChannelStats: {
			`{"channel":"other"}`, sent, "channel_not_served", traces.Status_STATUS_CODE_UNSET,
		},
		bus.DeadList: {
			`{}`, func([]byte, nats.Header) error { return errors.New("away") }, "reply_not_sent",
			traces.Status_STATUS_CODE_ERROR,
		},
	}
	for suffix, request := range requests {
		message := bus.Message{Suffix: suffix, Data: []byte(request.data), Time: time.Now()}
		if err := s.answer(t.Context(), arrival{message: message, respond: request.respond}); err != nil {
			t.Fatal(err)
		}
	}
	spans := send()
	for suffix, want := range requests {
		span := spans["process "+string(suffix)]
		if span.Span == nil || span.Attribute("error.type") != want.failure || span.Status.GetCode() != want.code ||
			span.Attribute("messaging.destination.name") != "films."+string(suffix) {
			t.Errorf("%s: %v, want %v", suffix, span, want)
		}
	}
}

// A batch can be followed from each of its messages, and is not said to be acknowledged if nobody waits for that.
func TestSpanOfABatchHasALinkToEachMessage(t *testing.T) {
	s, send := tracedService(t)
	events := make([]arrival, maxBatch)
	for i := range events {
		parent := telemetry.ParseParent(fmt.Sprintf("00-0af7651916cd43dd8448eb211c80319c-%016x-01", i+1))
		header := nats.Header{}
		telemetry.Inject(parent, header)
		events[i].message = bus.Message{
			Suffix: bus.MessageLog, ID: bus.MsgID(fmt.Sprint(i), bus.MessageLog), Data: []byte("{}"), Time: time.Now(),
			Span: publishersSpan(header),
		}
	}
	events[maxBatch-1].message.Data = []byte("{")
	var logged bytes.Buffer
	s.engine.log = slog.New(telemetry.NewLogHandler(slog.NewJSONHandler(&logged, nil)))
	if err := s.store(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	spans := send()
	batch, letter := spans["process db.message.log"], spans["dead letter"]
	if batch.Span == nil || letter.Span == nil {
		t.Fatalf("spans are %v, want a batch and a dead letter", spans)
	}
	if len(batch.Links) != maxBatch {
		t.Errorf("%d links, want %d", len(batch.Links), maxBatch)
	}
	if _, found := spans["ack"]; found {
		t.Error("a batch that no stream has delivered is acknowledged")
	}
	if system := batch.Attribute("messaging.system"); system != "nats" {
		t.Errorf("messaging.system is %v", system)
	}
	if got := batch.Attribute("messaging.destination.name"); got != "films.db.message.log" {
		t.Errorf("messaging.destination.name is %v, want that of the publisher", got)
	}
	last := events[maxBatch-1].message.Span.SpanContext().SpanID().String()
	if letter.Attribute("error.type") != "invalid" || letter.Parent() != last {
		t.Errorf("the dead letter is %v, want it in the trace of message %s", letter, last)
	}
	if text := logged.String(); !strings.Contains(text, "cannot decode") || !strings.Contains(text, `"span_id":"`+last) {
		t.Errorf("the log is %s, want the span of the message that cannot be decoded", text)
	}
}
