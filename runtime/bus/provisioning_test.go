package bus_test

import (
	"context"
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

// manual has an administrator create the stream.
func manual(j *config.JetStream) { j.Provisioning = config.ProvisioningManual }

func TestManualProvisioningCreatesNothingAndWaits(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	js := jetStream(t, nats)
	for _, m := range []string{config.JetStreamAuto, config.JetStreamAlways} {
		b := bind(t, connect(t, nats.URL()), mode(m), manual)
		_, check := boundFor(t, b, status.ReasonJetStreamMissing)
		if check.OK || !strings.Contains(check.Message, "the stream rosey_events does not exist") ||
			!strings.Contains(check.Message, "rosey nats create") {
			t.Errorf("mode %s: %+v", m, check)
		}
		if _, err := js.Stream(t.Context(), "rosey_events"); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Fatalf("mode %s: the stream: %v", m, err)
		}
	}
	waiting := bind(t, connect(t, nats.URL()), manual)
	boundFor(t, waiting, status.ReasonJetStreamMissing)
	_, change, err := roseySubjects(t).CreateStream(t.Context(), js, config.JetStream{
		Replicas: 1, MaxAge: "1h", MaxBytes: 2 << 20, MaxMessageBytes: 1 << 14,
	})
	if err != nil || change != bus.Created {
		t.Fatalf("%s, %v", change, err)
	}
	if bound, check := boundFor(t, waiting, status.ReasonStreamBound); !bound.Durable() || !check.OK {
		t.Errorf("%+v", check)
	}
	stream, err := js.Stream(t.Context(), "rosey_events")
	must(t, err)
	if has := stream.CachedInfo().Config; has.MaxAge != time.Hour || has.MaxBytes != 2<<20 || has.MaxMsgSize != 1<<14 {
		t.Errorf("the administrator's limits were changed: %+v", has)
	}
}

// Limits of any kind are the administrator's decision.
func TestManualProvisioningTakesAnyLimits(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	js := jetStream(t, nats)
	stream, _, err := roseySubjects(t).CreateStream(t.Context(), js, config.JetStream{Replicas: 1, MaxBytes: 2 << 20})
	must(t, err)
	wanted := stream.CachedInfo().Config
	must(t, js.DeleteStream(t.Context(), wanted.Name))
	wanted.Storage, wanted.MaxMsgs, wanted.MaxMsgsPerSubject = jetstream.MemoryStorage, 1000, 500
	_, err = js.CreateStream(t.Context(), wanted)
	must(t, err)
	boundFor(t, bind(t, connect(t, nats.URL()), manual), status.ReasonStreamBound)
	boundFor(t, bind(t, connect(t, nats.URL()), mode(config.JetStreamAlways)), status.ReasonStreamMismatch)
}

func TestManualProvisioningNamesAStreamThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*jetstream.StreamConfig)
		reason status.Reason
		words  string
	}{
		"subject missing": {
			func(c *jetstream.StreamConfig) { c.Subjects = c.Subjects[1:] }, status.ReasonStreamMismatch,
			"no subject rosey.db.user.joined",
		},
		"another purpose": {
			func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, status.ReasonStreamMismatch,
			"WorkQueue",
		},
		"requests too": {
			func(c *jetstream.StreamConfig) { c.Subjects = []string{"rosey.>"} }, status.ReasonStreamCapturesRequests,
			"takes requests on rosey.db.messages.outbound.get",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nats := natstest.Start(t, natstest.JetStream(t))
			js := jetStream(t, nats)
			stream, _, err := roseySubjects(t).CreateStream(t.Context(), js, config.JetStream{Replicas: 1, MaxBytes: 2 << 20})
			must(t, err)
			wanted := stream.CachedInfo().Config
			must(t, js.DeleteStream(t.Context(), wanted.Name))
			test.change(&wanted)
			_, err = js.CreateStream(t.Context(), wanted)
			must(t, err)
			_, check := boundFor(t, bind(t, connect(t, nats.URL()), manual), test.reason)
			if check.OK || !strings.Contains(check.Message, test.words) {
				t.Errorf("%+v", check)
			}
		})
	}
}

// The server leaves a request that it denies without a reply. Bind does not wait for one.
func TestDeniedRequestsEndAtOnce(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t), func(o *server.Options) {
		o.Users = []*server.User{{Username: "few", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.INFO.rosey_events"}},
		}}}
		o.NoAuthUser = "few"
	})
	conn := connect(t, nats.URL())
	waiting, stop := conn.UntilDenied(t.Context(), "rosey_events")
	defer stop()
	other, stopOther := conn.UntilDenied(t.Context(), "movies_events")
	defer stopOther()
	b := bind(t, conn, manual)
	_, check := boundFor(t, b, status.ReasonStreamRefused)
	if check.OK || !strings.Contains(check.Message, `may not publish to "$JS.API.STREAM.INFO.rosey_events"`) {
		t.Errorf("%+v", check)
	}
	denied, ok := errors.AsType[*bus.DeniedError](context.Cause(waiting))
	if !ok || denied.Subject != "$JS.API.STREAM.INFO.rosey_events" {
		t.Errorf("the cause is %v", context.Cause(waiting))
	}
	if other.Err() != nil {
		t.Errorf("a denial of another stream's subject ended it: %v", context.Cause(other))
	}
}

func TestSizeOfMessagesIsUpdated(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, natstest.JetStream(t))
	js := jetStream(t, nats)
	for _, size := range []int{0, 1 << 20, 128 << 10} {
		stream, _, err := roseySubjects(t).CreateStream(t.Context(), js, config.JetStream{
			Replicas: 1, MaxBytes: 2 << 20, MaxMessageBytes: size,
		})
		must(t, err)
		want := int32(size)
		if size == 0 {
			want = -1
		}
		if got := stream.CachedInfo().Config.MaxMsgSize; got != want {
			t.Errorf("max_msg_size is %d, want %d", got, want)
		}
	}
}
