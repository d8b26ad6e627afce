package plugin_test

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/plugin"
)

// A server with users, but without permissions for them, lets plugins do everything. The bot cannot see that.
func TestPermissionsThatAreMissingOrTooWideAreFoundOut(t *testing.T) {
	t.Parallel()
	everything := func(o *server.Options) {
		o.Users = []*server.User{{Username: "bot", Password: "pw"}, {Username: "plugin", Password: "pw"}}
	}
	for name, test := range map[string]struct {
		users  func(*server.Options)
		inside bool
		want   string
	}{
		"as printed":         {permitted(ownCalls, ownCancel, ownInbox, ownInfo), false, ""},
		"none":               {everything, false, bus.PermissionsOpen},
		"those of all":       {permitted("rosey.plugin.*.*.in.>", ownInbox, ownInfo), false, bus.PermissionsOpen},
		"inside of the bot":  {everything, true, ""},
		"nobody can log in":  {func(*server.Options) {}, false, ""},
		"without a response": {permitted("rosey.plugin.>", ownInbox, ownInfo), false, bus.PermissionsOpen},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plugin.New("test", "1")
			p.Command(command("echo"), echo)
			r := newRig(t, p, test.users)
			r.run(plugin.Options{Inside: test.inside})
			r.next()
			if test.want != "" {
				r.next() // the bot looks again
			}
			if got := r.info().Metadata[bus.PermissionsMetadata]; got != test.want {
				t.Errorf("the metadata say %q, want %q", got, test.want)
			}
			if check := r.conn.Check(); !check.OK {
				t.Errorf("the attempt makes the connection look broken: %+v", check)
			}
		})
	}
}
