package bus_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// publishes reports whether the stream takes an event.
func publishes(t *testing.T, bound bus.Bound) {
	t.Helper()
	if !bound.Durable() {
		t.Fatal("not bound to a stream")
	}
	if _, err := bound.JetStream.Publish(t.Context(), "rosey.db.message.log", []byte("{}")); err != nil {
		t.Errorf("the stream does not take an event: %v", err)
	}
}

// A server that refuses other limits must not keep events out of a stream that works.
func TestAStreamWhoseLimitsAreRefusedStaysInUse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*config.JetStream)
		words  []string
	}{
		"storage": {
			func(j *config.JetStream) { j.MaxBytes = 1 << 30 },
			[]string{"nats.jetStream.maxBytes stays 67108864 instead of 1073741824: insufficient storage resources"},
		},
		"replicas": {
			func(j *config.JetStream) { j.Replicas = 3 },
			[]string{"nats.jetStream.replicas stays 1 instead of 3: replicas > 1 not supported in non-clustered mode"},
		},
		"two of three": {
			func(j *config.JetStream) { j.Replicas, j.MaxBytes, j.MaxAge = 3, 1<<30, "1h" },
			[]string{"nats.jetStream.maxBytes stays", "nats.jetStream.replicas stays"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nats := natstest.Start(t, natstest.JetStream(t), func(o *server.Options) { o.JetStreamMaxStore = 100 << 20 })
			boundFor(t, bind(t, connect(t, nats.URL())), status.ReasonStreamBound)
			for _, m := range []string{config.JetStreamAuto, config.JetStreamAlways} {
				bound, check := boundFor(t, bind(t, connect(t, nats.URL()), mode(m), test.change), status.ReasonStreamRefused)
				publishes(t, bound)
				for _, words := range test.words {
					if !check.OK || !strings.Contains(check.Message, words) {
						t.Errorf("%+v, want %q", check, words)
					}
				}
			}
			stream, err := jetStream(t, nats).Stream(t.Context(), "rosey_events")
			must(t, err)
			has := stream.CachedInfo().Config
			if has.MaxBytes != 64<<20 || has.Replicas != 1 || has.MaxAge != 72*time.Hour && name != "two of three" ||
				has.MaxAge != time.Hour && name == "two of three" {
				t.Errorf("the stream has %d bytes, %d replicas, %s", has.MaxBytes, has.Replicas, has.MaxAge)
			}
		})
	}
}

// The limits are tried again, without a new connection, and a failure in between hides the refusal only until it ends.
func TestRefusedLimitsAreTriedAgain(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t), func(o *server.Options) { o.JetStreamMaxStore = 100 << 20 })
	boundFor(t, bind(t, connect(t, nats.URL())), status.ReasonStreamBound)
	js := jetStream(t, nats)
	stream, err := js.Stream(t.Context(), "rosey_events")
	must(t, err)
	other := stream.CachedInfo().Config
	other.Name, other.Subjects, other.MaxBytes = "other", []string{"other"}, 20<<20
	_, err = js.CreateStream(t.Context(), other)
	must(t, err)

	b := bind(t, connect(t, nats.URL()), func(j *config.JetStream) { j.MaxBytes = 90 << 20 })
	b.SetRetry(time.Millisecond)
	boundFor(t, b, status.ReasonStreamRefused)
	b.ReportFailure(errTest)
	if check := b.Check(); check.OK || check.Reason != status.ReasonStreamUnavailable {
		t.Errorf("after a failure: %+v", check)
	}
	_, err = b.Bind(t.Context())
	must(t, err)
	b.ReportSuccess()
	if check := b.Check(); check.Reason != status.ReasonStreamRefused {
		t.Errorf("after the failure: %+v", check)
	}
	must(t, js.DeleteStream(t.Context(), "other"))
	bound, check := boundFor(t, b, status.ReasonStreamBound)
	publishes(t, bound)
	if !check.OK {
		t.Errorf("with room: %+v", check)
	}
}

// A user that may not update the stream uses it as it is.
func TestLimitsThatMayNotBeChangedKeepNoEventsOut(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t), func(o *server.Options) {
		o.Users = []*server.User{{Username: "admin"}, {Username: "few", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.UPDATE.>"}},
		}}}
		o.NoAuthUser = "few"
	})
	boundFor(t, bind(t, connect(t, nats.URL())), status.ReasonStreamBound)
	b := bind(t, connect(t, nats.URL()), func(j *config.JetStream) { j.MaxBytes = 2 << 20 })
	b.SetRetry(time.Millisecond)
	bound, check := boundFor(t, b, status.ReasonStreamRefused)
	publishes(t, bound)
	if !check.OK || !strings.Contains(check.Message, `events are kept until they are stored, but`) ||
		!strings.Contains(check.Message, `instead of 2097152: the account may not publish to "$JS.API.STREAM.UPDATE.`) {
		t.Errorf("%+v", check)
	}
	// An administrator changes it; then nothing is missing any more.
	_, _, err := roseySubjects(t).CreateStream(t.Context(), jetStreamAs(t, nats, "admin"), config.JetStream{
		Replicas: 1, MaxAge: "72h", MaxBytes: 2 << 20,
	})
	must(t, err)
	if _, check := boundFor(t, b, status.ReasonStreamBound); !check.OK {
		t.Errorf("%+v", check)
	}
}

// The storage of the server is used up by somebody else after the stream was bound.
func TestStorageThatIsUsedUpLaterIsNamed(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t), func(o *server.Options) { o.JetStreamMaxStore = 4 << 20 })
	b := bind(t, connect(t, nats.URL()), func(j *config.JetStream) { j.MaxBytes = 2 << 20 })
	bound, _ := boundFor(t, b, status.ReasonStreamBound)
	fillStorage(t, nats)
	_, err := bound.JetStream.Publish(t.Context(), "rosey.db.message.log", []byte("{}"))
	if err == nil {
		t.Fatal("the stream takes an event")
	}
	b.ReportFailure(err)
	check := b.Check()
	if check.OK || check.Reason != status.ReasonStreamRefused || !strings.Contains(check.Message, "insufficient") ||
		strings.Contains(check.Message, "does not answer") {
		t.Errorf("%+v", check)
	}
}

var errTest = errors.New("broken")

func jetStreamAs(t *testing.T, server *natstest.Server, user string) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(server.ClientAs(user, ""))
	must(t, err)
	return js
}

// fillStorage fills what the server has with a stream of somebody else, which has no limit.
func fillStorage(t *testing.T, server *natstest.Server) {
	t.Helper()
	js := jetStream(t, server)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "other", Subjects: []string{"other"}})
	must(t, err)
	data := make([]byte, 512<<10)
	for range 100 {
		if _, err := js.Publish(t.Context(), "other", data); err != nil {
			return
		}
	}
	t.Fatal("the storage has no limit")
}
