package database_test

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// A subscription that the server refuses leaves its subject to nobody. Whatever refuses it, the service says so, also
// if the server only does so when the service connects again.
func TestRefusedSubscriptionsAreReported(t *testing.T) {
	allowed := func(deny string) func(*server.Options) {
		return func(o *server.Options) {
			o.NoAuthUser = "anyone"
			o.Users = []*server.User{{Username: "anyone", Password: "x", Permissions: &server.Permissions{
				Subscribe: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{deny}},
			}}}
		}
	}
	for name, refuse := range map[string]func(*server.Options){
		"limit of subscriptions": func(o *server.Options) { o.MaxSubs = 10 },
		"limit of tokens":        func(o *server.Options) { o.MaxSubTokens = 3 },
		"event":                  allowed("rosey.db.message.log"),
		"request":                allowed("rosey.db.messages.outbound.get"),
		"all in queue groups":    allowed("> *"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused := newRig(t, refuse)
			wantRefused(t, refused.start())
			later := newRig(t)
			service := later.ready(later.start())
			later.server.Restart(refuse)
			wantRefused(t, service)
		})
	}
}

func wantRefused(t *testing.T, service *running) {
	t.Helper()
	natstest.Eventually(t, "the refusal in the check", func() bool {
		check := service.NATSCheck()
		return !check.OK && check.Reason != status.ReasonStarting && check.Reason != status.ReasonNATSUnreachable
	})
}
