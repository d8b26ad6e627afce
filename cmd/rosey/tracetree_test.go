package main

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// outboundTree returns the spans of an outbound line that was claimed some times and is reported, in the trace of the
// request that has queued it.
func outboundTree(all []otlptest.Span, trace string, claims int) string {
	tree := `
process db.messages.outbound.put
` + strings.Repeat("  claim\n", claims) + `  send chatMsg
    send db.messages.outbound.mark_sent
`
	// Other events may be in a batch with the report, above all the line's echo, which is stored too.
	if slices.ContainsFunc(all, func(s otlptest.Span) bool {
		return s.Trace() == trace && s.Name == "process db.messages.outbound.mark_sent" && !isShared(s)
	}) {
		tree += `      process db.messages.outbound.mark_sent
        ack
        transaction
          UPDATE outbound
`
	}
	return tree + `  transaction
    INSERT outbound
    SELECT channels
    SELECT outbound
`
}

// isShared reports whether a span is that of a batch of several messages. It is in the trace of one of them.
func isShared(span otlptest.Span) bool {
	count, _ := span.Attribute("messaging.batch.message_count").(int64)
	return count > 1 && strings.HasPrefix(span.Name, "process")
}

// checkTree checks that a trace has exactly these spans below a parent, without shared batches and what is below them.
// Each is on a line of its own, below its parent and indented by two more spaces, in the order of the names.
func checkTree(t *testing.T, all []otlptest.Span, trace, parent, want string) {
	t.Helper()
	count := 0
	var below func(parent, indent string) string
	below = func(parent, indent string) string {
		var children []string
		for _, span := range all {
			if span.Trace() != trace || span.Parent() != parent {
				continue
			}
			count++
			if rest := below(span.ID(), indent+"  "); !isShared(span) {
				children = append(children, indent+span.Name+"\n"+rest)
			}
		}
		slices.Sort(children)
		return strings.Join(children, "")
	}
	if diff := cmp.Diff(want, "\n"+below(parent, "")); diff != "" {
		t.Errorf("the tree of a trace (-want +got):\n%s", diff)
	}
	for _, span := range all {
		if span.Trace() == trace {
			count--
		}
	}
	if count != 0 {
		t.Errorf("%d spans of the trace are not below %q", -count, parent)
	}
}

// TestATraceGoesOnWithTheNextLeader kills the leader when it has said a line and does not know yet that the line is in
// the channel. The standby finds the line there and reports it. The whole is one trace, which begins with the command
// that has queued the line.
func TestATraceGoesOnWithTheNextLeader(t *testing.T) {
	t.Parallel()
	grpc, http := otlptest.GRPC(t), otlptest.HTTP(t)
	postgres := pgtest.Use(t)
	database := postgres.Database(t)
	c := newStandbyServers(t)
	c.service = startWithEnv(t, append(tracing(http.URL, config.OTLPHTTP),
		"ROSEY_DATABASE_POSTGRES_URL_FILE="+pgtest.WriteURL(t, database)),
		"db", "--channel", c.channel, "--server", c.site, "--nats", c.nats.URL(), "--http", "127.0.0.1:0")
	c.environment = tracing(grpc.URL, config.OTLPGRPC)
	c.startPods()

	// The leader knows only after this time that a line is in the channel.
	c.sim.Slow(simulator.Target{User: c.username}, 1500*time.Millisecond)
	say := startWithEnv(t, tracing(http.URL, config.OTLPHTTP), "say", "--nats", c.nats.URL(), "plugh")
	c.awaitLine("plugh")
	c.pods["a"].end(syscall.SIGKILL)
	c.sim.Slow(simulator.Target{}, 0)
	// The claim, of a minute, has expired.
	postgres.ExecuteIn(t, databaseOf(t, database), "UPDATE outbound SET claimed_until = 0")
	c.waitLeads("b")
	var all []otlptest.Span
	sent := func(span otlptest.Span) bool { return span.Name == "send db.messages.outbound.mark_sent" }
	natstest.Within(t, waitTimeout, "the report of the line", func() bool {
		all = grpc.Spans()
		return slices.ContainsFunc(all, sent)
	})
	codes := []int{say.wait(), c.pods["b"].end(syscall.SIGTERM), c.service.end(syscall.SIGTERM)}
	if !slices.Equal(codes, []int{exit.Clean, exit.Clean, exit.Clean}) {
		t.Errorf("exit codes %d", codes)
	}
	all = append(grpc.Spans(), http.Spans()...)
	checkPrivate(t, all)
	trace := all[slices.IndexFunc(all, sent)].Trace()
	checkTree(t, all, trace, "", "\nrequest db.messages.outbound.put"+
		strings.ReplaceAll(strings.TrimSuffix(outboundTree(all, trace, 2), "\n"), "\n", "\n  ")+"\n")
	root := all[slices.IndexFunc(all, func(s otlptest.Span) bool {
		return s.Trace() == trace && s.Name == "process db.messages.outbound.put"
	})]
	reported := branch(all, trace, root.ID(), []tracedSpan{
		{name: "send chatMsg", kind: kindProducer}, {name: "send db.messages.outbound.mark_sent", kind: kindProducer},
		{name: "process db.messages.outbound.mark_sent", orName: "process", kind: kindConsumer},
		{name: "transaction", kind: kindClient}, {name: "UPDATE outbound", kind: kindClient},
	})
	if reported == nil {
		t.Fatalf("the report is not stored in the trace: %s", otlptest.Describe(all))
	}
	var events []string
	for _, event := range reported[0].Events {
		events = append(events, event.Name)
	}
	if !slices.Equal(events, []string{"said before"}) {
		t.Errorf("events of the line: %v", events)
	}
	if lines := c.countLines("plugh"); lines != 1 {
		t.Errorf("the line was said %d times", lines)
	}
}

// A request of a person's command is traced from the command to the statements of the service.
func TestCommandsAreTraced(t *testing.T) {
	t.Parallel()
	http := otlptest.HTTP(t)
	r := newKillRig(t)
	r.serviceEnvironment = tracing(http.URL, config.OTLPHTTP)
	r.startService()
	r.db.waitFor(status.ReasonReady)
	nats := []string{"--nats", r.nats.URL()}
	for _, test := range []struct{ subject, statement, command string }{
		{"db.query.channel_stats", "SELECT high_water", "top"}, {"db.query.user_stats", "transaction", "user nobody"},
		{"db.dead.list", "SELECT dead_letters", "db dead list --channel movienight --server " + r.site},
	} {
		subject, command := test.subject, append(strings.Fields(test.command), nats...)
		startWithEnv(t, tracing(http.URL, config.OTLPHTTP), command...).wait()
		http.Await(t, "the trace of "+subject, func(all []otlptest.Span) bool {
			return slices.ContainsFunc(all, func(root otlptest.Span) bool {
				return root.Name == "request "+subject && root.Service == "rosey-cli" && root.Parent() == "" &&
					slices.ContainsFunc(branch(all, root.Trace(), root.ID(), []tracedSpan{
						{name: "process " + subject, kind: kindServer}, {name: test.statement, kind: kindClient},
					}), func(s otlptest.Span) bool { return s.Service == "rosey-database" })
			})
		})
	}
}

// TestCommandsDoNotWaitForReceivers runs commands whose receiver accepts requests and never answers, or is absent.
func TestCommandsDoNotWaitForReceivers(t *testing.T) {
	t.Parallel()
	hanging, absent := otlptest.HTTP(t), otlptest.GRPC(t)
	absent.Close()
	asked := make(chan struct{}, 100)
	hanging.AnswerWith(func(ctx context.Context) error { asked <- struct{}{}; <-ctx.Done(); return ctx.Err() })
	r := newKillRig(t)
	r.startService()
	r.db.waitFor(status.ReasonReady)
	for _, environment := range [][]string{
		tracing(hanging.URL, config.OTLPHTTP), tracing(absent.URL, config.OTLPGRPC),
	} {
		say := startWithEnv(t, environment, "say", "--nats", r.nats.URL(), "plugh")
		if code := say.wait(); code != exit.Clean {
			t.Errorf("exit code %d", code)
		}
		if !strings.Contains(say.output(), "is queued for the bot") || len(say.log()) != 1 {
			t.Errorf("output %q, log %v, want one line about the traces", say.output(), say.log())
		}
	}
	if len(asked) == 0 {
		t.Error("the command has sent no traces")
	}
}
