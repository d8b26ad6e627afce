package bus_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// configured returns an option with what a configuration file says.
func configured(t *testing.T, text string) func(*server.Options) {
	t.Helper()
	return func(o *server.Options) {
		o.Accounts, o.Users = nil, nil
		must(t, o.ProcessConfigString(text))
	}
}

// A server that is at a limit is not out of reach.
func TestAServerWithTooManyConnectionsRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ configuration, words string }{
		"server": {
			"max_connections: 1", "refuses the connection: maximum connections exceeded",
		},
		"account": {
			"accounts {a {users: [{user: a, password: a}], limits {max_connections: 1}}}, no_auth_user: a",
			"refuses the connection: maximum account active connections exceeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nats := natstest.Start(t, configured(t, test.configuration))
			other := nats.Client()
			conn := connect(t, nats.URL())
			check := waitForReason(t, conn.Check, status.ReasonNATSRefused)
			if check.OK || !strings.Contains(check.Message, test.words) {
				t.Errorf("%+v, want %q", check, test.words)
			}
			other.Close()
			waitForReason(t, conn.Check, status.ReasonConnected)
		})
	}
}

// Where messages are dropped because they are too large for the server, not everything works.
func TestAServerForShortMessagesIsNotEnough(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, configured(t, "max_payload: 300"))
	conn := connect(t, nats.URL())
	check := waitForReason(t, conn.Check, status.ReasonNATSRefused)
	if want := "accepts messages of up to 300 bytes"; check.OK || !strings.Contains(check.Message, want) {
		t.Errorf("%+v, want %q", check, want)
	}
	nats.Restart(configured(t, "max_payload: 8192"))
	waitForReason(t, conn.Check, status.ReasonConnected)
}

// A limit that is lowered below the number of connections ends some of them.
func TestALoweredLimitOfConnectionsIsNamed(t *testing.T) {
	t.Parallel()
	account := func(limit string) func(*server.Options) {
		return configured(t, "accounts {a {users: [{user: a, password: a}], limits {max_connections: "+limit+
			"}}}, no_auth_user: a")
	}
	nats := natstest.Start(t, account("10"))
	conns := []*bus.Conn{connect(t, nats.URL()), connect(t, nats.URL())}
	for _, conn := range conns {
		waitForReason(t, conn.Check, status.ReasonConnected)
	}
	nats.Restart(account("1"))
	natstest.Eventually(t, "one of two to be refused", func() bool {
		first, second := conns[0].Check().Reason, conns[1].Check().Reason
		return first == status.ReasonNATSRefused && second == status.ReasonConnected ||
			second == status.ReasonNATSRefused && first == status.ReasonConnected
	})
}

// Such a server says so before TLS begins.
func TestAServerWithTLSAndTooManyConnectionsRefuses(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	nats := natstest.Start(t, a.serve(tls.NoClientCert), func(o *server.Options) { o.MaxConn = 1 })
	trusted := newSecret(t, files{"ca.crt": a.pem})
	var conns []*bus.Conn
	for range 2 {
		conn, err := bus.Connect(t.Context(), bus.Options{URL: nats.URL(), TLSDir: trusted.dir, Log: natstest.Log(t)})
		must(t, err)
		t.Cleanup(conn.Close)
		conns = append(conns, conn)
	}
	waitForReason(t, conns[0].Check, status.ReasonConnected)
	check := waitForReason(t, conns[1].Check, status.ReasonNATSRefused)
	if want := "refuses the connection: maximum connections exceeded"; !strings.Contains(check.Message, want) {
		t.Errorf("%+v, want %q", check, want)
	}
	conns[0].Close()
	waitForReason(t, conns[1].Check, status.ReasonConnected)
}
