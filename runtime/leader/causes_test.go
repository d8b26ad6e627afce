package leader_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/leader"
)

// TestWhyTheLockCannotBeHad has every cause named, and mended while the lock is waited for.
func TestWhyTheLockCannotBeHad(t *testing.T) {
	tests := map[string]struct {
		before   func(*server.Options)
		prepare  func(t *testing.T, s *natstest.Server)
		replicas int
		want     string
		mend     func(t *testing.T, s *natstest.Server)
	}{
		"no JetStream": {
			before: func(o *server.Options) { o.JetStream = false },
			want:   "no JetStream",
			mend:   func(t *testing.T, s *natstest.Server) { s.Restart(withJetStream(t)) },
		},
		"another shape": {
			prepare: func(t *testing.T, s *natstest.Server) {
				_, err := js(t, s).CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "movies_locks", TTL: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
			},
			want: "its keys expire after 1h0m0s, expected 1s",
			mend: func(t *testing.T, s *natstest.Server) {
				if err := js(t, s).DeleteKeyValue(t.Context(), "movies_locks"); err != nil {
					t.Fatal(err)
				}
			},
		},
		"too many replicas": {replicas: 3, want: "replicas"},
		"no permission to make it": {
			before: forbid("$JS.API.STREAM.CREATE.>"), want: "a permission is missing",
			mend: func(_ *testing.T, s *natstest.Server) { s.Restart(forbid("unused")) },
		},
		"no permission to write it": {
			before: forbid("$KV.>"), want: "a permission is missing",
			mend: func(_ *testing.T, s *natstest.Server) { s.Restart(forbid("unused")) },
		},
		"no NATS": {
			prepare: func(_ *testing.T, s *natstest.Server) { s.Stop() },
			want:    "not connected to NATS",
			mend:    func(_ *testing.T, s *natstest.Server) { s.Restart() },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := []func(*server.Options){withJetStream(t)}
			if test.before != nil {
				change = append(change, test.before)
			}
			s := natstest.Start(t, change...)
			if test.prepare != nil {
				test.prepare(t, s)
			}
			c := newContestant(t, s, leader.Options{Pod: "pod", Replicas: test.replicas})
			won := c.acquire()
			natstest.Eventually(t, "the cause "+test.want, func() bool {
				sight := c.seen()
				return sight.Err != nil && strings.Contains(sight.Err.Error(), test.want)
			})
			if test.mend != nil {
				test.mend(t, s)
				wait(t, won)
			}
		})
	}
}

func js(t *testing.T, s *natstest.Server) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(s.Client())
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// forbid lets everybody publish everything but one subject.
func forbid(subject string) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{{Username: "all", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{subject}},
		}}}
		o.NoAuthUser = "all"
	}
}

func TestTheNumberOfReplicasIsBroughtUpToDate(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	_, err := js(t, s).CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "movies_locks", TTL: lockTTL})
	if err != nil {
		t.Fatal(err)
	}
	// A server alone cannot have three, and says so: it was asked.
	c := newContestant(t, s, leader.Options{Pod: "pod", Replicas: 3})
	c.acquire()
	natstest.Eventually(t, "the server to refuse", func() bool {
		sight := c.seen()
		return sight.Err != nil && strings.Contains(sight.Err.Error(), "replicas")
	})
}
