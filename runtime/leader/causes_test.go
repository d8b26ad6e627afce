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

// TestCausesThatPreventAnElection expects every cause to be named, and to be overcome once it is gone.
func TestCausesThatPreventAnElection(t *testing.T) {
	tests := map[string]struct {
		before   func(*server.Options)
		prepare  func(t *testing.T, s *natstest.Server)
		replicas int
		want     string
		repair   func(t *testing.T, s *natstest.Server)
	}{
		"no JetStream": {
			before: func(o *server.Options) { o.JetStream = false },
			want:   "no JetStream",
			repair: func(t *testing.T, s *natstest.Server) { s.Restart(withJetStream(t)) },
		},
		"another TTL": {
			prepare: func(t *testing.T, s *natstest.Server) {
				_, err := js(t, s).CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "movies_locks", TTL: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
			},
			want: "its keys expire after 1h0m0s, expected 1s",
			repair: func(t *testing.T, s *natstest.Server) {
				if err := js(t, s).DeleteKeyValue(t.Context(), "movies_locks"); err != nil {
					t.Fatal(err)
				}
			},
		},
		"no more streams in the account": {
			before: func(o *server.Options) {
				o.Accounts, o.Users = nil, nil
				err := o.ProcessConfigString(
					"accounts {a {users: [{user: a, password: a}], jetstream {max_streams: 1}}}, no_auth_user: a")
				if err != nil {
					panic(err)
				}
			},
			prepare: func(t *testing.T, s *natstest.Server) {
				_, err := js(t, s).CreateStream(t.Context(), jetstream.StreamConfig{Name: "other"})
				if err != nil {
					t.Fatal(err)
				}
			},
			want: "creating the bucket movies_locks of the leader key: maximum number of streams reached",
			repair: func(t *testing.T, s *natstest.Server) {
				if err := js(t, s).DeleteStream(t.Context(), "other"); err != nil {
					t.Fatal(err)
				}
			},
		},
		"too many replicas": {replicas: 3, want: "replicas"},
		"no permission to create it": {
			before: forbid("$JS.API.STREAM.CREATE.>"), want: "a permission is missing",
			repair: func(_ *testing.T, s *natstest.Server) { s.Restart(forbid("unused")) },
		},
		"no permission to write it": {
			before: forbid("$KV.>"), want: "a permission is missing",
			repair: func(_ *testing.T, s *natstest.Server) { s.Restart(forbid("unused")) },
		},
		"no NATS": {
			prepare: func(_ *testing.T, s *natstest.Server) { s.Stop() },
			want:    "not connected to NATS",
			repair:  func(_ *testing.T, s *natstest.Server) { s.Restart() },
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
			c := newCandidate(t, s, leader.Options{Pod: "pod", Replicas: test.replicas})
			acquired := c.acquire()
			natstest.Eventually(t, "the cause "+test.want, func() bool {
				observed := c.last()
				return observed.Err != nil && strings.Contains(observed.Err.Error(), test.want)
			})
			if test.repair != nil {
				test.repair(t, s)
				wait(t, acquired)
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

// forbid permits everybody to publish on every subject but one.
func forbid(subject string) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{{Username: "all", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{subject}},
		}}}
		o.NoAuthUser = "all"
	}
}

// A single server cannot store three replicas. Its refusal must not end an election that works.
func TestABucketWhoseReplicasAreRefusedIsUsed(t *testing.T) {
	s := natstest.Start(t, withJetStream(t))
	_, err := js(t, s).CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "movies_locks", TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	requests, err := s.Client().SubscribeSync("$JS.EVENT.ADVISORY.API")
	if err != nil {
		t.Fatal(err)
	}
	wait(t, newCandidate(t, s, leader.Options{Pod: "pod", Replicas: 3}).acquire())
	natstest.Eventually(t, "the server to refuse", func() bool {
		m, err := requests.NextMsg(time.Second)
		return err == nil && strings.Contains(string(m.Data), "$JS.API.STREAM.UPDATE.KV_movies_locks") &&
			strings.Contains(string(m.Data), "replicas")
	})
}
