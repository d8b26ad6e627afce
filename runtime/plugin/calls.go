package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/telemetry"
)

// calls are those whose handlers run.
type calls struct {
	running sync.WaitGroup

	mu   sync.Mutex
	byID map[string]*runningCall
}

type runningCall struct {
	user     string // in lower case
	cancel   context.CancelCauseFunc
	deadline time.Time
}

func newCalls() *calls { return &calls{byID: map[string]*runningCall{}} }

// begin adds a call, and reports whether the plugin may take it: it has fewer than it may, none with this ID and none
// of this person.
func (c *calls) begin(id string, call *runningCall) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, exists := c.byID[id]; exists || len(c.byID) >= bus.MaxPluginCalls {
		return false
	}
	for _, other := range c.byID {
		if other.user == call.user {
			return false
		}
	}
	c.byID[id] = call
	c.running.Add(1)
	return true
}

// end removes a call whose handler has ended, before the reply is sent: whoever has the reply may call again at once.
func (c *calls) end(id string, call *runningCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[id] == call {
		delete(c.byID, id)
	}
}

// errCancelled is the cause of the end of a call's context.
type errCancelled struct{ why string }

func (e errCancelled) Error() string { return "nobody waits for the answer any more: " + e.why }

// cancel ends the context of a call.
func (c *calls) cancel(id, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call, exists := c.byID[id]; exists {
		call.cancel(errCancelled{why})
	}
}

// stuck returns how many handlers run although their time is over.
func (c *calls) stuck(now time.Time) (count int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.byID {
		if now.After(call.deadline) {
			count++
		}
	}
	return count
}

// take takes a call or a cancel. Handlers run in goroutines of their own.
func (r *runner) take(ctx context.Context, m *nats.Msg) {
	arrived := time.Now()
	if m.Subject == r.subjects.Cancel() {
		var body bus.PluginCancel
		if json.Unmarshal(m.Data, &body) == nil {
			r.calls.cancel(body.ID, body.Why)
		}
		return
	}
	// To reply elsewhere would be to publish for somebody who may not.
	if !bus.IsInbox(m.Reply) {
		r.metrics.called(r.subjects.Name, outcomeNoInbox, arrived)
		return
	}
	one, body, err := r.parse(m)
	if err != nil {
		r.metrics.called(r.subjects.Name, outcomeMalformed, arrived)
		r.refuse(ctx, m, failure{bus.CodeInternal, err.Error()})
		return
	}
	deadline := arrived.Add(timeLeft(m.Header, one.Timeout))
	cancelled, cancel := context.WithCancelCause(ctx)
	call := &runningCall{user: strings.ToLower(body.User.Name), cancel: cancel, deadline: deadline}
	if !r.calls.begin(body.ID, call) {
		cancel(nil)
		r.metrics.called(r.subjects.Name, outcomeBusy, arrived)
		r.refuse(ctx, m, failureOf(errBusy))
		return
	}
	running := r.metrics.running.WithLabelValues(r.subjects.Name)
	running.Inc()
	go func() {
		defer r.calls.running.Done()
		defer running.Dec()
		defer cancel(nil)
		limited, stop := context.WithDeadline(cancelled, deadline)
		defer stop()
		outcome := r.answer(limited, m, one, body, func() { r.calls.end(body.ID, call) })
		r.metrics.called(r.subjects.Name, outcome, arrived)
		r.discovery.Count(m.Subject, arrived, failureText(outcome))
	}()
}

// failureText returns what everybody may know of a failed call. Empty: it has not failed.
func failureText(outcome string) string {
	switch outcome {
	case outcomeAnswered, outcomeUsage, outcomeCancelled:
		return ""
	}
	return outcome
}

// parse returns the command and the body of a call.
func (r *runner) parse(m *nats.Msg) (command, bus.PluginCall, error) {
	var body bus.PluginCall
	if len(m.Data) > bus.MaxPluginBytes {
		return command{}, body, fmt.Errorf("a call of %d bytes, expected at most %d", len(m.Data), bus.MaxPluginBytes)
	}
	if err := json.Unmarshal(m.Data, &body); err != nil || body.ID == "" || body.User.Name == "" {
		return command{}, body, errors.New("a malformed call: expected JSON with call and user")
	}
	for _, one := range r.plugin.declared() {
		if m.Subject == r.subjects.Call(one.Name) {
			return one, body, nil
		}
	}
	return command{}, body, errors.New("no such command")
}

// timeLeft returns how long the answer to a call is waited for.
func timeLeft(header nats.Header, declared time.Duration) time.Duration {
	if ms, err := strconv.Atoi(header.Get(bus.DeadlineHeader)); err == nil && ms > 0 {
		return min(time.Duration(min(ms, int(bus.MaxPluginTimeout.Milliseconds())))*time.Millisecond, bus.MaxPluginTimeout)
	}
	if declared > 0 {
		return declared
	}
	return bus.PluginTimeout
}

// answer calls the handler of a command, then ended, replies, and returns what became of the call.
func (r *runner) answer(
	ctx context.Context, m *nats.Msg, one command, body bus.PluginCall, ended func(),
) (outcome string) {
	ctx = trace.ContextWithRemoteSpanContext(ctx, telemetry.Extract(m.Header))
	ctx, span := telemetry.Start(ctx, "call "+one.Name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationTypeProcess,
		semconv.MessagingOperationName("process"), semconv.MessagingDestinationName(m.Subject)))
	defer span.End()
	call := &Call{
		Channel: &Channel{runner: r, call: body.ID, log: r.options.Log.With("call", body.ID)},
		ID:      body.ID, User: User(body.User), Via: Via(body.Via), Command: one.Name, Args: body.Args, Text: body.Text,
	}
	data, err := r.handle(ctx, one, call)
	ended()
	switch cause := context.Cause(ctx); {
	case cause == nil:
	case errors.Is(cause, context.DeadlineExceeded):
		telemetry.Fail(span, outcomeLate, "")
		call.Log().WarnContext(ctx, "the answer to a call is late: nobody waits for it any more", "command", one.Name)
		return outcomeLate
	default:
		return outcomeCancelled
	}
	if err == nil {
		if err = m.Respond(data); err != nil {
			call.Log().WarnContext(ctx, "an answer could not be sent", "command", one.Name, "error", err)
			return outcomeNotSent
		}
		return outcomeAnswered
	}
	told := failureOf(err)
	r.refuse(ctx, m, told)
	if told.code == bus.CodeUsage {
		return outcomeUsage
	}
	outcome = outcomeOf(err, outcomeFailed)
	telemetry.Fail(span, outcome, "")
	call.Log().ErrorContext(ctx, "a call failed", "command", one.Name, "error", safeText(err))
	return outcome
}

// unconfirmed is the answer to a call of which it is not known whether it was done. It is no error: whoever tries again
// at once may have it done twice.
const unconfirmed = "The channel has not shown yet that it was done: it may come later."

// handle calls the handler and returns its reply as JSON.
func (r *runner) handle(ctx context.Context, one command, call *Call) (data []byte, err error) {
	var reply Reply
	err = protect(func() (err error) {
		reply, err = one.handle(ctx, call)
		return err
	})
	if _, isUsage := errors.AsType[usageError](err); errors.Is(err, ErrUnconfirmed) && !isUsage {
		call.Log().InfoContext(ctx, "the channel has not shown in time what a call did", "command", one.Name, "error",
			safeText(err))
		reply, err = Text(unconfirmed), nil
	}
	if err != nil {
		return nil, err
	}
	if err := checkLines(reply.Lines); err != nil {
		return nil, fmt.Errorf("the reply: %w", err)
	}
	body := bus.PluginReply{Lines: reply.Lines, To: string(reply.To)}
	if reply.NoCooldown {
		body.Cooldown = new(false)
	}
	if data, err = bus.Encode(body); err == nil && len(data) > bus.MaxPluginBytes {
		err = fmt.Errorf("the reply: %d bytes, expected at most %d", len(data), bus.MaxPluginBytes)
	}
	return data, err
}

// refuse replies with an error of the NATS services protocol.
func (r *runner) refuse(ctx context.Context, m *nats.Msg, why failure) {
	reply := &nats.Msg{Subject: m.Reply, Header: nats.Header{
		micro.ErrorHeader: {why.description}, micro.ErrorCodeHeader: {why.code},
	}}
	if err := m.RespondMsg(reply); err != nil {
		r.options.Log.WarnContext(ctx, "an error could not be sent", "error", err)
	}
}
