package database_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/status"
)

func (r *rig) withProvidedStream(o *database.ServiceOptions) {
	o.Binding = bind(r.t, o.Conn, func(j *config.JetStream) { j.Provisioning = config.ProvisioningManual })
}

// newProvidedRig returns a rig whose default user may not create or change anything in JetStream, and the JetStream of
// an administrator.
func newProvidedRig(t *testing.T, denied ...string) (*rig, jetstream.JetStream) {
	t.Helper()
	denied = append(denied, "$JS.API.STREAM.CREATE.>", "$JS.API.STREAM.UPDATE.>", "$JS.API.CONSUMER.CREATE.>",
		"$JS.API.CONSUMER.DURABLE.CREATE.>", "$JS.API.STREAM.DELETE.>")
	r := newRig(t, natstest.JetStream(t), func(o *server.Options) {
		o.Users = []*server.User{{Username: "admin", Password: "pw"}, {
			Username: "few", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: denied}},
		}}
		o.NoAuthUser = "few"
	})
	js, err := jetstream.New(r.server.ClientAs("admin", "pw"))
	if err != nil {
		t.Fatal(err)
	}
	return r, js
}

func subjects(t *testing.T) bus.Subjects {
	t.Helper()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	return subjects
}

// createStream creates the stream as `rosey nats create` does.
func createStream(t *testing.T, js jetstream.JetStream, limits config.JetStream) jetstream.Stream {
	t.Helper()
	stream, _, err := subjects(t).CreateStream(t.Context(), js, limits)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestServiceUsesWhatAnAdministratorProvides(t *testing.T) {
	r, js := newProvidedRig(t)
	s := r.start(r.withProvidedStream)
	reported := func(reason status.Reason, words string) {
		t.Helper()
		natstest.Eventually(t, "the check to say "+words, func() bool {
			check := s.EventsCheck()
			return check.Reason == reason && strings.Contains(check.Message, words)
		})
	}
	reported(status.ReasonJetStreamMissing, "the stream rosey_events does not exist")
	stream := createStream(t, js, config.JetStream{Replicas: 1, MaxBytes: 4 << 20})
	reported(status.ReasonJetStreamMissing, "the consumer rosey_db of the stream rosey_events does not exist")
	for _, want := range []bus.Change{bus.Created, bus.Unchanged} {
		if change, err := database.CreateConsumer(t.Context(), stream, subjects(t)); err != nil || change != want {
			t.Fatalf("%s, %v; want %s", change, err, want)
		}
	}
	reported(status.ReasonStreamBound, "the guard against a second database is off")
	if check := s.EventsCheck(); !check.OK {
		t.Errorf("%+v", check)
	}
	r.publishChat("hello")
	r.waitUntilStreamStored()
	same(t, "lines", []string{"hello"}, r.texts())
	r.stop(s)
	info, err := stream.Info(t.Context())
	if err != nil || len(info.Config.Metadata["rosey.dev/database"]) > 0 || info.Config.MaxBytes != 4<<20 {
		t.Errorf("the stream was changed: %+v, %v", info, err)
	}
}

// With the ID of a database in the metadata of the stream the guard is on, whoever has written it.
func TestProvidedStreamOfAnotherDatabaseIsRefused(t *testing.T) {
	r, js := newProvidedRig(t)
	stream := createStream(t, js, config.JetStream{Replicas: 1, MaxBytes: 4 << 20})
	owned := stream.CachedInfo().Config
	owned.Metadata = map[string]string{"rosey.dev/database": "another"}
	if _, err := js.UpdateStream(t.Context(), owned); err != nil {
		t.Fatal(err)
	}
	if _, err := database.CreateConsumer(t.Context(), stream, subjects(t)); err != nil {
		t.Fatal(err)
	}
	s := r.start(r.withProvidedStream)
	natstest.Eventually(t, "the conflict", func() bool {
		return s.EventsCheck().Reason == status.ReasonSubjectConflict
	})
}

func TestUnusableConsumerIsNamed(t *testing.T) {
	for name, test := range map[string]struct {
		consumer jetstream.ConsumerConfig
		denied   []string
		reason   status.Reason
		words    string
	}{
		"filtered": {
			jetstream.ConsumerConfig{
				Durable: "rosey_db", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "rosey.db.user.joined",
			},
			nil, status.ReasonStreamMismatch, "no filter",
		},
		"without acknowledgement": {
			jetstream.ConsumerConfig{Durable: "rosey_db", AckPolicy: jetstream.AckNonePolicy},
			nil, status.ReasonStreamMismatch, "explicit acknowledgement",
		},
		"denied": {
			jetstream.ConsumerConfig{Durable: "rosey_db", AckPolicy: jetstream.AckExplicitPolicy},
			[]string{"$JS.API.CONSUMER.INFO.>"}, status.ReasonNATSPermissionMissing,
			`may not publish to "$JS.API.CONSUMER.INFO.rosey_events.rosey_db"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, js := newProvidedRig(t, test.denied...)
			stream := createStream(t, js, config.JetStream{Replicas: 1, MaxBytes: 4 << 20})
			if _, err := stream.CreateConsumer(t.Context(), test.consumer); err != nil {
				t.Fatal(err)
			}
			s := r.start(r.withProvidedStream)
			natstest.Eventually(t, "the check to say "+test.words, func() bool {
				check := s.EventsCheck()
				return !check.OK && check.Reason == test.reason && strings.Contains(check.Message, test.words)
			})
		})
	}
}
