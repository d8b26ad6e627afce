package bus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/logtest"
)

// secret is a directory like a mounted Secret: its files are links through ..data, which the kubelet replaces
// atomically.
type secret struct {
	t     *testing.T
	dir   string
	count int
}

type files map[string]string

func newSecret(t *testing.T, content files) *secret {
	t.Helper()
	s := &secret{t: t, dir: t.TempDir()}
	s.replace(content)
	return s
}

func (s *secret) replace(content files) {
	s.t.Helper()
	s.count++
	version := fmt.Sprintf("..version%d", s.count)
	must(s.t, os.Mkdir(filepath.Join(s.dir, version), 0o700))
	for name, text := range content {
		must(s.t, os.WriteFile(filepath.Join(s.dir, version, name), []byte(text), 0o600))
	}
	must(s.t, os.Symlink(version, filepath.Join(s.dir, "..new")))
	must(s.t, os.Rename(filepath.Join(s.dir, "..new"), filepath.Join(s.dir, "..data")))
	for name := range content {
		if _, err := os.Lstat(filepath.Join(s.dir, name)); err != nil {
			must(s.t, os.Symlink(filepath.Join("..data", name), filepath.Join(s.dir, name)))
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// loginMethod is a way to log in: how the server is configured, and files with valid and invalid credentials.
type loginMethod struct {
	serve     func(*server.Options)
	good, bad files
}

func seedOf(t *testing.T, pair nkeys.KeyPair) string {
	t.Helper()
	seed, err := pair.Seed()
	must(t, err)
	return string(seed)
}

func publicOf(t *testing.T, pair nkeys.KeyPair) string {
	t.Helper()
	public, err := pair.PublicKey()
	must(t, err)
	return public
}

func newUserKey(t *testing.T) nkeys.KeyPair {
	t.Helper()
	pair, err := nkeys.CreateUser()
	must(t, err)
	return pair
}

func nkeyMethod(t *testing.T) loginMethod {
	t.Helper()
	known := newUserKey(t)
	return loginMethod{
		serve: func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: publicOf(t, known)}} },
		good:  files{"nkey": seedOf(t, known) + "\n"}, bad: files{"nkey": seedOf(t, newUserKey(t))},
	}
}

// credsMethod returns an operator, an account and users with JWTs.
func credsMethod(t *testing.T) loginMethod {
	t.Helper()
	operatorKey, err := nkeys.CreateOperator()
	must(t, err)
	accountKey, err := nkeys.CreateAccount()
	must(t, err)
	accountJWT, err := jwt.NewAccountClaims(publicOf(t, accountKey)).Encode(operatorKey)
	must(t, err)
	creds := func(signer nkeys.KeyPair) string {
		user := newUserKey(t)
		claims := jwt.NewUserClaims(publicOf(t, user))
		token, err := claims.Encode(signer)
		must(t, err)
		file, err := jwt.FormatUserConfig(token, []byte(seedOf(t, user)))
		must(t, err)
		return string(file)
	}
	other, err := nkeys.CreateAccount()
	must(t, err)
	return loginMethod{
		serve: func(o *server.Options) {
			o.TrustedKeys = []string{publicOf(t, operatorKey)}
			resolver := &server.MemAccResolver{}
			must(t, resolver.Store(publicOf(t, accountKey), accountJWT))
			o.AccountResolver = resolver
		},
		good: files{"nats.creds": creds(accountKey)}, bad: files{"nats.creds": creds(other)},
	}
}

func TestEveryLoginMethod(t *testing.T) {
	for name, method := range map[string]loginMethod{
		"password": {
			serve: func(o *server.Options) { o.Username, o.Password = "rosey", "hush-right" },
			good:  files{"username": "rosey", "password": "hush-right\n"},
			bad:   files{"username": "rosey", "password": "hush-wrong\n"},
		},
		"token": {
			serve: func(o *server.Options) { o.Authorization = "hush-right" },
			good:  files{"token": "hush-right"}, bad: files{"token": "hush-wrong"},
		},
		"nkey":  nkeyMethod(t),
		"creds": credsMethod(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logtest.Buffer
			nats := natstest.Start(t, method.serve)
			login := newSecret(t, nil)
			conn, err := bus.Connect(t.Context(), bus.Options{
				URL: nats.URL(), CredentialsDir: login.dir, Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			must(t, err)
			t.Cleanup(conn.Close)
			absent := waitForReason(t, conn.Check, status.ReasonNATSCredentialsAbsent)
			if absent.OK || !strings.Contains(absent.Message, login.dir) ||
				!strings.Contains(absent.Message, "expected nats.creds") {
				t.Errorf("without files: %+v", absent)
			}
			login.replace(method.bad)
			waitForReason(t, conn.Check, status.ReasonNATSRefused)
			login.replace(method.good)
			waitForReason(t, conn.Check, status.ReasonConnected)
			secrets := slices.AppendSeq(slices.Collect(maps.Values(method.good)), maps.Values(method.bad))
			for _, content := range secrets {
				for line := range strings.Lines(content) {
					if line = strings.TrimSpace(line); len(line) > 8 && strings.Contains(log.String(), line) {
						t.Errorf("the log shows %q", line)
					}
				}
			}
		})
	}
}

func TestUnusableCredentialFilesAreNamed(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	for _, test := range []struct {
		content files
		message string
	}{
		{files{"username": "a"}, "found username alone, expected username and password"},
		{files{"username": "a", "password": "\n"}, "found username alone"},
		{files{"token": "a", "username": "a", "password": "b"}, "found username, password, token, expected one of"},
		{files{"nkey": "hush"}, "nkey: expected the seed of a user's NKey, which begins with SU"},
		{files{"nats.creds": "hush"}, "nats.creds: expected a file as `nsc generate creds` writes it"},
	} {
		login := newSecret(t, test.content)
		conn, err := bus.Connect(t.Context(), bus.Options{URL: nats.URL(), CredentialsDir: login.dir, Log: natstest.Log(t)})
		must(t, err)
		check := waitForReason(t, conn.Check, status.ReasonNATSCredentialsAbsent)
		if !strings.Contains(check.Message, test.message) || strings.Contains(check.Message, "hush") {
			t.Errorf("%v: %q, want %q and no secret", test.content, check.Message, test.message)
		}
		conn.Close()
	}
}

// startService subscribes as a database service that stores UserJoined. names returns the users of all messages in the
// order of arrival, each message ID once.
func startService(t *testing.T, client *nats.Conn) (names func() []string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	ids := map[string]bool{}
	_, err := client.Subscribe("rosey.db.user.joined", func(m *nats.Msg) {
		var payload bus.UserPayload
		_ = json.Unmarshal(m.Data, &payload)
		mu.Lock()
		defer mu.Unlock()
		if id := m.Header.Get(bus.MsgIDHeader); !ids[id] {
			ids[id] = true
			seen = append(seen, payload.Username)
		}
	})
	must(t, err)
	_, err = client.Subscribe("rosey.db.messages.outbound.get", func(m *nats.Msg) {
		_ = m.RespondMsg(&nats.Msg{Data: []byte("[]"), Header: nats.Header{bus.IDsHeader: {"once"}}})
	})
	must(t, err)
	must(t, client.Flush())
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

func runPublisher(t *testing.T, conn *bus.Conn) *publisher.Publisher {
	t.Helper()
	pub := publisher.New(publisher.Options{Conn: conn, Subjects: roseySubjects(t), Log: natstest.Log(t)})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { pub.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return pub
}

// A rotated Secret is used without a restart, also if it has another kind of credentials, and what is published
// meanwhile arrives.
func TestRotatedCredentialsReconnectAndLoseNothing(t *testing.T) {
	t.Parallel()
	nkey := nkeyMethod(t)
	nats := natstest.Start(t, nkey.serve, func(o *server.Options) {
		for _, name := range []string{"old", "new", "service"} {
			o.Users = append(o.Users, &server.User{Username: name, Password: name})
		}
	})
	login := newSecret(t, files{"username": "old", "password": "old"})
	conn, err := bus.Connect(t.Context(), bus.Options{URL: nats.URL(), CredentialsDir: login.dir, Log: natstest.Log(t)})
	must(t, err)
	t.Cleanup(conn.Close)
	pub := runPublisher(t, conn)
	names := startService(t, nats.ClientAs("service", "service"))

	var want []string
	publish := func(until func() bool) {
		natstest.Eventually(t, "another login", func() bool {
			name := fmt.Sprintf("user%05d", len(want))
			want = append(want, name)
			pub.Publish(t.Context(), bus.UserJoined, name, bus.UserPayload{Username: name})
			return until()
		})
	}
	publish(func() bool { return slices.Contains(nats.Users(), "old") && len(names()) > 10 })
	login.replace(files{"username": "only half of a login"}) // which must not end the connection
	login.replace(files{"username": "new", "password": "new"})
	publish(func() bool { return slices.Contains(nats.Users(), "new") })
	login.replace(nkey.good)
	publish(func() bool { return !slices.Contains(nats.Users(), "new") && conn.Connected() })
	if slices.Contains(nats.Users(), "old") {
		t.Errorf("connected as %v", nats.Users())
	}
	natstest.Eventually(t, fmt.Sprintf("%d messages", len(want)), func() bool { return len(names()) >= len(want) })
	if got := names(); !slices.Equal(got, want) {
		t.Errorf("%d messages arrived, want %d in their order", len(got), len(want))
	}
}
