package bus_test

import (
	"errors"
	"slices"
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

// createEarlierStream creates the stream of an earlier version, without the events that were added later.
func createEarlierStream(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	stream, _, err := roseySubjects(t).CreateStream(t.Context(), js, config.JetStream{
		Replicas: 1, MaxAge: "72h", MaxBytes: 64 << 20,
	})
	must(t, err)
	earlier := stream.CachedInfo().Config
	earlier.Subjects = slices.DeleteFunc(earlier.Subjects, func(subject string) bool {
		return slices.ContainsFunc(bus.LaterEvents, func(s bus.Suffix) bool { return subject == "rosey."+string(s) })
	})
	_, err = js.UpdateStream(t.Context(), earlier)
	must(t, err)
}

// An upgrade must not take a stream out of use because it lacks a subject that earlier versions did not have: what is
// in it would not be stored, and what comes after it would not be durable.
func TestALaterSubjectThatIsRefusedKeepsNoEventsOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		denied []string
		words  string
	}{
		"permission": {[]string{"$JS.API.STREAM.UPDATE.>"}, `may not publish to "$JS.API.STREAM.UPDATE.`},
		"overlap":    {nil, "subjects overlap with an existing stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nats := natstest.Start(t, natstest.JetStream(t), func(o *server.Options) {
				o.Users = []*server.User{{Username: "admin"}, {Username: "few", Permissions: &server.Permissions{
					Publish: &server.SubjectPermission{Deny: test.denied},
				}}}
				o.NoAuthUser = "few"
			})
			js := jetStreamAs(t, nats, "admin")
			createEarlierStream(t, js)
			if test.denied == nil {
				_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
					Name: "other", Subjects: []string{"rosey." + string(bus.MediaPlayed)},
				})
				must(t, err)
			}
			for _, m := range []string{config.JetStreamAuto, config.JetStreamAlways} {
				b := bind(t, connect(t, nats.URL()), mode(m))
				b.SetRetry(time.Millisecond)
				bound, check := boundFor(t, b, status.ReasonStreamRefused)
				publishes(t, bound)
				if !check.OK || !strings.Contains(check.Message, "it lacks rosey.db.media.played, on which events are dropped: ") ||
					!strings.Contains(check.Message, test.words) {
					t.Errorf("mode %s: %+v", m, check)
				}
				if m == config.JetStreamAuto {
					continue
				}
				// Who removes the cause need not start anything again.
				if test.denied == nil {
					must(t, js.DeleteStream(t.Context(), "other"))
				} else {
					_, _, err := roseySubjects(t).CreateStream(t.Context(), js, config.JetStream{
						Replicas: 1, MaxAge: "72h", MaxBytes: 64 << 20,
					})
					must(t, err)
				}
				boundFor(t, b, status.ReasonStreamBound)
			}
		})
	}
}

// An administrator who adds the subject after the upgrade need not start anything again.
func TestASubjectThatAnAdministratorAddsIsFound(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	js := jetStream(t, nats)
	createEarlierStream(t, js)
	b := bind(t, connect(t, nats.URL()), manual)
	b.SetRetry(time.Millisecond)
	bound, check := boundFor(t, b, status.ReasonStreamBound)
	publishes(t, bound)
	const lacks = "except those on rosey.db.media.played"
	if !check.OK || !strings.Contains(check.Message, lacks) || !strings.Contains(check.Message, "rosey nats create") {
		t.Errorf("%+v", check)
	}
	_, _, err := roseySubjects(t).CreateStream(t.Context(), js, config.JetStream{
		Replicas: 1, MaxAge: "72h", MaxBytes: 64 << 20,
	})
	must(t, err)
	natstest.Eventually(t, "the subject", func() bool {
		bound, err := b.Bind(t.Context())
		return err == nil && slices.Contains(bound.Stream.CachedInfo().Config.Subjects, "rosey.db.media.played") &&
			!strings.Contains(b.Check().Message, lacks)
	})
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
