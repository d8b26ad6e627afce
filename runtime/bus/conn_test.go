package bus_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/logtest"
)

func connect(t *testing.T, url string) *bus.Conn {
	t.Helper()
	conn, err := bus.Connect(t.Context(), bus.Options{URL: url, Name: t.Name(), Log: natstest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func roseySubjects(t *testing.T) bus.Subjects {
	t.Helper()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	return subjects
}

func waitForReason(t *testing.T, check func() status.Check, want status.Reason) status.Check {
	t.Helper()
	natstest.Eventually(t, "reason "+string(want), func() bool { return check().Reason == want })
	return check()
}

func TestConnSurvivesARestartOfTheServer(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	registry := prometheus.NewPedanticRegistry()
	conn, err := bus.Connect(t.Context(), bus.Options{
		URL: nats.URL(), Log: natstest.Log(t), Registerer: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	up := waitForReason(t, conn.Check, status.ReasonConnected)
	if !up.OK || !strings.Contains(up.Message, nats.URL()) || up.Name != status.NATSCheck {
		t.Errorf("connected: %+v", up)
	}

	nats.Stop()
	down := waitForReason(t, conn.Check, status.ReasonNATSUnreachable)
	if down.OK || conn.Connected() || !down.Since.After(up.Since) {
		t.Errorf("server stopped: connected = %v, %+v", conn.Connected(), down)
	}
	natstest.Eventually(t, "the dialer's cause", func() bool {
		return strings.Contains(conn.Check().Message, "connection refused; trying again")
	})
	if since := conn.Check().Since; !since.Equal(down.Since) {
		t.Errorf("Since moved from %v to %v without a new reason", down.Since, since)
	}

	nats.Restart()
	waitForReason(t, conn.Check, status.ReasonConnected)
	want := "# HELP rosey_bus_reconnects_total How often the connection to NATS was established again after it broke.\n" +
		"# TYPE rosey_bus_reconnects_total counter\nrosey_bus_reconnects_total 1\n"
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "rosey_bus_reconnects_total"); err != nil {
		t.Error(err)
	}
}

func TestConnWaitsForAServerThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	nats.Stop()
	conn := connect(t, nats.URL())
	check := waitForReason(t, conn.Check, status.ReasonNATSUnreachable)
	if want := "cannot reach NATS at " + nats.URL() + ": connection refused; trying again"; check.Message != want {
		t.Errorf("message %q, want %q", check.Message, want)
	}
	nats.Restart()
	waitForReason(t, conn.Check, status.ReasonConnected)
}

func TestConnNamesTheCause(t *testing.T) {
	closing := listen(t, func(connection net.Conn) { _ = connection.Close() })
	for name, test := range map[string]struct {
		url, message string
		reason       status.Reason
	}{
		"unknown host": {
			"nats://no..host:4222", "nats://no..host:4222: no such host: no..host; trying again",
			status.ReasonNATSUnreachable,
		},
		"not a NATS server": {
			"nats://" + closing, "cannot reach NATS at nats://" + closing, status.ReasonNATSUnreachable,
		},
		"two servers": {
			"nats://127.0.0.1:1,nats://127.0.0.1:2", "nats://127.0.0.1:1,nats://127.0.0.1:2: connection refused",
			status.ReasonNATSUnreachable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			check := waitForReason(t, connect(t, test.url).Check, test.reason)
			if check.OK || !strings.Contains(check.Message, test.message) {
				t.Errorf("%+v, want a message with %q", check, test.message)
			}
		})
	}
}

// listen accepts connections on loopback and calls serve for each, until the test ends.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			serve(connection)
		}
	}()
	return listener.Addr().String()
}

func TestRefusedCredentialsAreNamedAndNeverShown(t *testing.T) {
	t.Parallel()
	withPassword := func(o *server.Options) { o.Username, o.Password = "rosey", "right" }
	for name, start := range map[string]func(t *testing.T, nats *natstest.Server, connect func() *bus.Conn) *bus.Conn{
		"from the start": func(_ *testing.T, nats *natstest.Server, connect func() *bus.Conn) *bus.Conn {
			nats.Restart(withPassword)
			return connect()
		},
		"later": func(t *testing.T, nats *natstest.Server, connect func() *bus.Conn) *bus.Conn {
			t.Helper()
			conn := connect()
			waitForReason(t, conn.Check, status.ReasonConnected)
			nats.Restart(withPassword)
			return conn
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logtest.Buffer
			nats := natstest.Start(t)
			conn := start(t, nats, func() *bus.Conn {
				conn, err := bus.Connect(t.Context(), bus.Options{
					URL: strings.Replace(nats.URL(), "nats://", "nats://rosey:hush-wrong@", 1),
					Log: slog.New(slog.NewTextHandler(&log, nil)),
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(conn.Close)
				return conn
			})
			refusedAndQuiet(t, nats, conn)
			text := log.String()
			if strings.Contains(text, "hush") {
				t.Errorf("the log has the password:\n%s", text)
			}
			if refusals := strings.Count(text, "refuses the connection"); refusals != 1 {
				t.Errorf("the refusal is logged %d times, expected once:\n%s", refusals, text)
			}
		})
	}
}

// refusedAndQuiet waits for the refusal and then for more attempts, which must not change the check.
func refusedAndQuiet(t *testing.T, nats *natstest.Server, conn *bus.Conn) {
	t.Helper()
	check := waitForReason(t, conn.Check, status.ReasonNATSRefused)
	if want := "refuses the connection: authorization violation"; check.OK || !strings.Contains(check.Message, want) {
		t.Errorf("%+v, want a message with %q", check, want)
	}
	attempts := nats.Connections()
	natstest.Eventually(t, "three more attempts", func() bool { return nats.Connections() >= attempts+3 })
	if got := conn.Check(); got != check {
		t.Errorf("changed to %+v while nothing changed", got)
	}
	if strings.Contains(check.Message, "hush") {
		t.Errorf("the password is shown: %s", check.Message)
	}
}

func TestForbiddenSubjectIsNamed(t *testing.T) {
	nats := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "rosey", Password: "pw", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"rosey.>"}},
		}}}
	})
	conn := connect(t, strings.Replace(nats.URL(), "nats://", "nats://rosey:pw@", 1))
	waitForReason(t, conn.Check, status.ReasonConnected)
	if err := conn.NATS().Publish("rosey.db.user.joined", nil); err != nil {
		t.Fatal(err)
	}
	check := waitForReason(t, conn.Check, status.ReasonNATSPermissionMissing)
	if check.OK || !strings.Contains(check.Message, `the account may not publish to "rosey.db.user.joined"`) {
		t.Errorf("%+v, want the forbidden subject named", check)
	}
}

func TestConnectFailsOnlyForGood(t *testing.T) {
	if _, err := bus.Connect(t.Context(), bus.Options{URL: "nats://u:hush@[::1:4222", Log: natstest.Log(t)}); err == nil {
		t.Error("an unusable URL gave no error")
	} else if strings.Contains(err.Error(), "hush") {
		t.Errorf("the error shows the password: %v", err)
	}
	for url, want := range map[string]string{
		"nats://::1:4222": "nats://[::1]:4222", "nats://a:99999": "expected nats://",
		"nats://a,,nats://b": "expected nats://", "a:4222": "expected nats://",
	} {
		if _, err := bus.Connect(t.Context(), bus.Options{URL: url, Log: natstest.Log(t)}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := bus.Connect(ended, bus.Options{URL: "nats://127.0.0.1:1", Log: natstest.Log(t)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestCloseEndsTheConnection(t *testing.T) {
	t.Parallel()
	hanging := listen(t, func(connection net.Conn) { t.Cleanup(func() { _ = connection.Close() }) })
	for _, url := range []string{natstest.Start(t).URL(), "nats://127.0.0.1:1", "nats://" + hanging} {
		conn := connect(t, url)
		before := time.Now()
		conn.Close()
		select {
		case <-conn.Closed():
		default:
			t.Errorf("%s: Close returned before the end", url)
		}
		if took := time.Since(before); took > 4*time.Second {
			t.Errorf("%s: Close took %v", url, took)
		}
		if check := conn.Check(); check.OK || check.Reason != status.ReasonStopping {
			t.Errorf("%s: closed: %+v", url, check)
		}
	}
}

// blockingLog is a slog.Handler that takes no more lines from a moment on, like a full pipe.
type blockingLog struct {
	slog.Handler

	full    atomic.Bool
	blocked chan struct{} // receives for each line that is not taken
	release chan struct{}
}

func (l *blockingLog) Handle(context.Context, slog.Record) error {
	if l.full.Load() {
		l.blocked <- struct{}{}
		<-l.release
	}
	return nil
}

// A log that takes no lines must block neither those who ask whether there is a connection, nor Publish.
func TestASlowLogBlocksNobody(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	log := &blockingLog{
		Handler: slog.NewTextHandler(&logtest.Buffer{}, nil),
		blocked: make(chan struct{}, 1000), release: make(chan struct{}),
	}
	conn, err := bus.Connect(t.Context(), bus.Options{URL: server.URL(), Log: slog.New(log)})
	must(t, err)
	t.Cleanup(conn.Close)
	pub := publisher.New(publisher.Options{Conn: conn, Subjects: roseySubjects(t), Log: slog.New(log), Buffer: 10})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { pub.Run(ctx) })
	t.Cleanup(func() { close(log.release); stop(); running.Wait() })
	waitForReason(t, pub.Check, status.ReasonServiceAbsent)

	log.full.Store(true)
	server.Stop()
	<-log.blocked
	done := make(chan struct{})
	go func() {
		defer close(done)
		for conn.Connected() {
			time.Sleep(time.Millisecond)
		}
		for range 100 {
			pub.Publish(t.Context(), bus.UserJoined, "1", bus.UserPayload{Username: "alice"})
			conn.Check()
			pub.Check()
		}
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("blocked by the log")
	}
}
