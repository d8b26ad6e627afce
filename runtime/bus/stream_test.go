package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

func bind(t *testing.T, conn *bus.Conn, change ...func(*config.JetStream)) *bus.Binding {
	t.Helper()
	j := config.JetStream{Mode: config.JetStreamAuto, Replicas: 1, MaxAge: "72h", MaxBytes: 64 << 20}
	for _, one := range change {
		one(&j)
	}
	return bus.NewBinding(bus.BindingOptions{Conn: conn, Subjects: roseySubjects(t), JetStream: j, Log: natstest.Log(t)})
}

func mode(mode string) func(*config.JetStream) {
	return func(j *config.JetStream) { j.Mode = mode }
}

// boundFor calls Bind until the check has the reason.
func boundFor(t *testing.T, b *bus.Binding, reason status.Reason) (bound bus.Bound, check status.Check) {
	t.Helper()
	natstest.Eventually(t, "reason "+string(reason), func() bool {
		bound, _ = b.Bind(t.Context())
		return b.Check().Reason == reason
	})
	return bound, b.Check()
}

func jetStream(t *testing.T, server *natstest.Server) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(server.Client())
	must(t, err)
	return js
}

func TestManyCreateTheStreamAtOnce(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	var bindings []*bus.Binding
	for range 20 {
		bindings = append(bindings, bind(t, connect(t, nats.URL())))
	}
	var all sync.WaitGroup
	for _, b := range bindings {
		all.Go(func() {
			if bound, err := b.Bind(t.Context()); err != nil || !bound.Durable() {
				t.Errorf("not bound: %v, %+v", err, b.Check())
			}
		})
	}
	all.Wait()
	stream, err := jetStream(t, nats).Stream(t.Context(), "rosey_events")
	must(t, err)
	has := stream.CachedInfo().Config
	if len(has.Subjects) != len(bus.Events) || strings.ContainsAny(strings.Join(has.Subjects, ""), "*>") ||
		!slices.Contains(has.Subjects, "rosey.db.action.pm_command") || has.Retention != jetstream.LimitsPolicy ||
		has.Discard != jetstream.DiscardOld || has.MaxBytes != 64<<20 || has.MaxAge != 72*time.Hour || has.Replicas != 1 {
		t.Errorf("stream: %+v", has)
	}
}

func TestLimitsOfTheStreamAreUpdated(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	boundFor(t, bind(t, connect(t, nats.URL())), status.ReasonStreamBound)
	js := jetStream(t, nats)
	stream, err := js.Stream(t.Context(), "rosey_events")
	must(t, err)
	changed := stream.CachedInfo().Config
	changed.Metadata = map[string]string{"somebody's": "note"}
	changed.Subjects = changed.Subjects[:5] // as an older version made it
	_, err = js.UpdateStream(t.Context(), changed)
	must(t, err)
	boundFor(t, bind(t, connect(t, nats.URL()), func(j *config.JetStream) {
		j.MaxAge, j.MaxBytes = "10s", 2<<20
	}), status.ReasonStreamBound)
	stream, err = js.Stream(t.Context(), "rosey_events")
	must(t, err)
	has := stream.CachedInfo().Config
	if has.MaxAge != 10*time.Second || has.MaxBytes != 2<<20 || has.Duplicates > has.MaxAge ||
		has.Metadata["somebody's"] != "note" || len(has.Subjects) != len(bus.Events) {
		t.Errorf("stream: %+v", has)
	}
}

func TestAForeignStreamIsNamedAndNotChanged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		theirs jetstream.StreamConfig
		reason status.Reason
		words  []string
	}{
		"same name": {
			jetstream.StreamConfig{
				Name: "rosey_events", Subjects: []string{"rosey.db.message.*"}, Retention: jetstream.WorkQueuePolicy,
			},
			status.ReasonStreamMismatch,
			[]string{
				"rosey_events is not configured as Rosey's", "unexpected subject rosey.db.message.*", "retention", "WorkQueue",
			},
		},
		"our subjects": {
			jetstream.StreamConfig{Name: "THEIRS", Subjects: []string{"rosey.db.message.*"}},
			status.ReasonStreamMismatch, []string{"the stream THEIRS has the subject rosey.db.message.log"},
		},
		"requests": {
			jetstream.StreamConfig{Name: "ALL", Subjects: []string{"rosey.>"}},
			status.ReasonStreamCapturesRequests, []string{"the stream ALL takes requests on rosey.db.messages.outbound.get"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nats := natstest.Start(t, natstest.JetStream(t))
			js := jetStream(t, nats)
			created, err := js.CreateStream(t.Context(), test.theirs)
			must(t, err)
			for _, m := range []string{config.JetStreamAuto, config.JetStreamAlways} {
				b := bind(t, connect(t, nats.URL()), mode(m))
				bound, check := boundFor(t, b, test.reason)
				for _, words := range test.words {
					if check.OK || !strings.Contains(check.Message, words) {
						t.Errorf("%+v, want %q", check, words)
					}
				}
				if _, err := b.Bind(t.Context()); bound.Durable() || (err == nil) != (m == config.JetStreamAuto) {
					t.Errorf("mode %s: bound %+v, %v; want core NATS only in mode auto", m, bound, err)
				}
			}
			stream, err := js.Stream(t.Context(), test.theirs.Name)
			must(t, err)
			if has, had := stream.CachedInfo().Config, created.CachedInfo().Config; fmt.Sprint(has) != fmt.Sprint(had) {
				t.Errorf("it was changed from %+v to %+v", had, has)
			}
		})
	}
}

func TestModesWithoutJetStream(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	auto, always := bind(t, connect(t, nats.URL())), bind(t, connect(t, nats.URL()), mode(config.JetStreamAlways))
	never := bind(t, connect(t, nats.URL()), mode(config.JetStreamNever))
	if bound, check := boundFor(t, auto, status.ReasonCoreOnly); bound.Durable() || !check.OK ||
		!strings.Contains(check.Message, "the NATS server has no JetStream") {
		t.Errorf("auto: %+v", check)
	}
	if _, check := boundFor(t, always, status.ReasonJetStreamMissing); check.OK {
		t.Errorf("always: %+v", check)
	}
	nats.Restart(natstest.JetStream(t))
	for _, b := range []*bus.Binding{auto, always} {
		if bound, check := boundFor(t, b, status.ReasonStreamBound); !bound.Durable() || !check.OK {
			t.Errorf("with JetStream: %+v", check)
		}
	}
	if bound, check := boundFor(t, never, status.ReasonCoreOnly); bound.Durable() || !check.OK {
		t.Errorf("never: %+v", check)
	}
	// What is durable does not silently cease to be.
	nats.Restart(func(o *server.Options) { o.JetStream = false })
	if _, check := boundFor(t, auto, status.ReasonJetStreamMissing); check.OK {
		t.Errorf("auto, after it had the stream: %+v", check)
	}
}

func TestWithoutRoomForTheStream(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t), func(o *server.Options) { o.JetStreamMaxStore = 1 << 20 })
	bound, check := boundFor(t, bind(t, connect(t, nats.URL())), status.ReasonStreamRefused)
	if bound.Durable() || !check.OK ||
		!strings.Contains(check.Message, "does not create the stream rosey_events: insufficient storage") {
		t.Errorf("auto: %+v", check)
	}
	always := bind(t, connect(t, nats.URL()), mode(config.JetStreamAlways))
	if _, check := boundFor(t, always, status.ReasonStreamRefused); check.OK {
		t.Errorf("always: %+v", check)
	}
	nats.Restart(func(o *server.Options) { o.JetStreamMaxStore = 1 << 30 })
	boundFor(t, always, status.ReasonStreamBound)
}

// Somebody removes a stream that nobody uses. Its room is used without a new connection.
func TestRoomForTheStreamIsFoundLater(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t), func(o *server.Options) { o.JetStreamMaxStore = 100 << 20 })
	js := jetStream(t, nats)
	old := jetstream.StreamConfig{Name: "old", Subjects: []string{"old"}, MaxBytes: 64 << 20}
	_, err := js.CreateStream(t.Context(), old)
	must(t, err)
	b := bind(t, connect(t, nats.URL()))
	b.SetRetry(time.Millisecond)
	boundFor(t, b, status.ReasonStreamRefused)
	must(t, js.DeleteStream(t.Context(), "old"))
	if bound, check := boundFor(t, b, status.ReasonStreamBound); !bound.Durable() || !check.OK {
		t.Errorf("with room: %+v", check)
	}
}

func TestAnAccountThatMayNotUseJetStream(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t), func(o *server.Options) {
		o.Users = []*server.User{{Username: "rosey", Password: "pw", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.>"}},
		}}}
	})
	login := newSecret(t, files{"username": "rosey", "password": "pw"})
	conn, err := bus.Connect(t.Context(), bus.Options{URL: nats.URL(), CredentialsDir: login.dir, Log: natstest.Log(t)})
	must(t, err)
	t.Cleanup(conn.Close)
	bound, check := boundFor(t, bind(t, conn), status.ReasonStreamRefused)
	if bound.Durable() || !check.OK ||
		!strings.Contains(check.Message, `may not publish to "$JS.API.STREAM.INFO.rosey_events"`) {
		t.Errorf("%+v", check)
	}
	if check := conn.Check(); !check.OK {
		t.Errorf("the connection is blamed for what is not needed: %+v", check)
	}
}

// answer replies to requests of JetStream's API in place of a server.
func answer(t *testing.T, client *nats.Conn, subject string, reply func() string) {
	t.Helper()
	_, err := client.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond([]byte(reply())) })
	must(t, err)
	must(t, client.Flush())
}

// A cluster whose servers have not all started refuses a stream with as many replicas. That is no reason to publish by
// core NATS from then on.
func TestAStartingClusterIsWaitedFor(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	client := server.Client()
	answer(t, client, "$JS.API.STREAM.INFO.rosey_events", func() string {
		return `{"error":{"code":404,"err_code":10059,"description":"stream not found"}}`
	})
	var cause atomic.Value
	cause.Store("peer offline")
	answer(t, client, "$JS.API.STREAM.CREATE.rosey_events", func() string {
		return fmt.Sprintf(`{"error":{"code":400,"err_code":10005,"description":"no suitable peers for placement, %s"}}`,
			cause.Load())
	})
	b := bind(t, connect(t, server.URL()))
	_, check := boundFor(t, b, status.ReasonStreamUnavailable)
	if _, err := b.Bind(t.Context()); err == nil || check.OK || !strings.Contains(check.Message, "peer offline") {
		t.Errorf("starting: %v, %+v", err, check)
	}
	cause.Store("insufficient storage")
	boundFor(t, b, status.ReasonStreamRefused)
}

// A caller of Bind does not wait for another one's requests longer than its own context lasts, and the other methods
// do not wait for them at all.
func TestBindHoldsNoLockOverTheNetwork(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	requested := make(chan struct{}, 10)
	client := server.Client()
	_, err := client.Subscribe("$JS.API.STREAM.INFO.rosey_events", func(*nats.Msg) { requested <- struct{}{} })
	must(t, err)
	must(t, client.Flush())
	b := bind(t, connect(t, server.URL()))
	first, stop := context.WithCancel(t.Context())
	var binding sync.WaitGroup
	defer binding.Wait()
	defer stop()
	binding.Go(func() { _, _ = b.Bind(first) })
	<-requested // and gets no reply

	before := time.Now()
	second, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.Bind(second); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second caller: %v", err)
	}
	b.ReportFailure(errors.New("broken"))
	b.ReportSuccess()
	if took := time.Since(before); took > time.Second {
		t.Errorf("waited %v for another caller's request", took)
	}
}

// A NATS server whose disk is full sends no error, and does not write again before it is restarted.
func TestAStreamThatCannotBeWrittenDoesNotOnlyTimeOut(t *testing.T) {
	t.Parallel()
	b := bind(t, connect(t, natstest.Start(t, natstest.JetStream(t)).URL()))
	boundFor(t, b, status.ReasonStreamBound)
	b.ReportFailure(fmt.Errorf("publishing to the stream: %w", jetstream.ErrAsyncPublishTimeout))
	if check := b.Check(); check.OK || check.Reason != status.ReasonStreamUnavailable ||
		!strings.Contains(check.Message, "if its disk was full, restart it when there is room") {
		t.Errorf("%+v", check)
	}
}
