package natsauth_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/natsauth"
)

// world is a NATS server with the issued accounts of two RoseyBots, and their streams.
type world struct {
	*testing.T
	nats        *natstest.Server
	state       *natsauth.State
	manual      bool
	alpha, beta *side
}

// side is one RoseyBot's account.
type side struct {
	w        *world
	id       string
	prefix   string
	subjects bus.Subjects
	root     *client // may do everything in the account
	clients  map[bus.Role]*client
	plugins  map[string]*client  // by PluginUser.Role
	js       jetstream.JetStream // of root
}

// client is a connection that records what the server denies.
type client struct {
	*nats.Conn
	name string

	mu         sync.Mutex
	violations []string
}

func (c *client) denied() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.violations
}

func (c *client) flush(t *testing.T) {
	t.Helper()
	if err := c.FlushTimeout(5 * time.Second); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
}

// newWorld returns a world in which streams of an administrator may be removed, so that a test can show that it would
// notice.
func newWorld(t *testing.T, target natsauth.Target, manual bool) *world {
	t.Helper()
	return newWorldWith(t, target, manual, natsauth.IssueOptions{Now: time.Now(), AllowRemoval: true})
}

func newWorldWith(t *testing.T, target natsauth.Target, manual bool, o natsauth.IssueOptions) *world {
	t.Helper()
	w := &world{T: t, manual: manual}
	dir := t.TempDir()
	before, err := natsauth.ReadState(dir, target)
	if err != nil {
		t.Fatal(err)
	}
	var bots []natsauth.Bot
	for _, name := range []string{"alpha", "beta"} {
		bots = append(bots, natsauth.Bot{
			Namespace: "films", Name: name, Prefix: "rosey_films_" + name, JetStream: config.JetStreamAlways, Manual: manual,
			Replicas: 1, MaxBytes: 64 << 20, BotSecret: name + "-bot", ServiceSecret: name + "-db",
			Web: &natsauth.Web{Secret: name + "-web", Tokens: true}, Plugins: pluginUsers(t, "Movies"),
		})
	}
	w.state, _, err = natsauth.Issue(before, bots, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.state.Write(dir, before); err != nil {
		t.Fatal(err)
	}
	w.nats = w.start(dir)
	w.alpha, w.beta = w.newSide("alpha"), w.newSide("beta")
	return w
}

// start starts a server with what was issued, and in server.conf a user of each account who may do everything.
func (w *world) start(dir string) *natstest.Server {
	w.Helper()
	if w.state.Target == natsauth.ServerConfTarget {
		const include = natsauth.AccountsFile
		content, err := os.ReadFile(filepath.Join(dir, include))
		if err != nil {
			w.Fatal(err)
		}
		text := string(content)
		for _, name := range []string{"alpha", "beta"} {
			text = strings.Replace(text, "users: [\n      #", fmt.Sprintf("users: [\n{user: %s, password: hush}\n#", name), 1)
		}
		if err := os.WriteFile(filepath.Join(dir, include), []byte(text), 0o600); err != nil {
			w.Fatal(err)
		}
	}
	file := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(file, []byte(serverConf(w.state.Target)), 0o600); err != nil {
		w.Fatal(err)
	}
	configured, err := server.ProcessConfigFile(file)
	if err != nil {
		w.Fatal(err)
	}
	return natstest.Start(w.T, func(o *server.Options) {
		configured.Host, configured.Port, configured.NoLog, configured.NoSigs = o.Host, o.Port, true, true
		configured.StoreDir = w.TempDir()
		*o = *configured
	})
}

// serverConf returns the configuration of a server that includes what was issued.
func serverConf(target natsauth.Target) string {
	if target == natsauth.JWTTarget {
		return "jetstream {}\ninclude operator.conf\n"
	}
	return "jetstream {}\nsystem_account: SYS\naccounts {\n  include accounts.conf\n" +
		"  SYS: {\n    include system.conf\n  }\n}\n"
}

func (w *world) newSide(name string) *side {
	w.Helper()
	s := &side{w: w, id: "films/" + name, prefix: "rosey_films_" + name, clients: map[bus.Role]*client{}}
	var err error
	if s.subjects, err = bus.NewSubjects(s.prefix); err != nil {
		w.Fatal(err)
	}
	account := w.state.Accounts[s.id]
	login := nats.UserInfo(name, "hush")
	if account.Signed != nil {
		login = w.anybody(account)
	}
	s.root = w.connect(name+"'s root", login)
	roles := natsauth.Roles()
	if w.manual {
		roles = append(roles, bus.AdminRole)
	}
	for _, role := range roles {
		userName := s.prefix + "_" + string(role)
		s.clients[role] = w.connect(name+"'s "+string(role), loginOf(account, userName),
			nats.CustomInboxPrefix(s.subjects.InboxPrefix(role)))
	}
	s.connectPlugins(account)
	if s.js, err = jetstream.New(s.root.Conn); err != nil {
		w.Fatal(err)
	}
	s.createObjects()
	return s
}

// loginOf returns the login of a user of an account.
func loginOf(account *natsauth.Account, name string) nats.Option {
	user := account.Users[name]
	if user.Signed != nil {
		return nats.UserJWTAndSeed(user.JWT, user.Seed)
	}
	return nats.UserInfo(name, user.Password)
}

// anybody returns the login of a new user of an account, who may do everything in it.
func (w *world) anybody(account *natsauth.Account) nats.Option {
	w.Helper()
	signer, err := nkeys.FromSeed([]byte(account.Seed))
	if err != nil {
		w.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		w.Fatal(err)
	}
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	token, err := jwt.NewUserClaims(public).Encode(signer)
	if err != nil {
		w.Fatal(err)
	}
	return nats.UserJWTAndSeed(token, string(seed))
}

func (w *world) connect(name string, options ...nats.Option) *client {
	w.Helper()
	c := &client{name: name}
	options = append(options, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.violations = append(c.violations, err.Error())
		}
	}))
	c.Conn = w.nats.Client(options...)
	return c
}

// createObjects creates stream, consumer and bucket again, with one event and a leader.
func (s *side) createObjects() {
	s.w.Helper()
	ctx := s.w.Context()
	for name := range s.js.StreamNames(ctx).Name() {
		if err := s.js.DeleteStream(ctx, name); err != nil {
			s.w.Fatal(err)
		}
	}
	var stream jetstream.Stream
	var err error
	natstest.Eventually(s.w.T, "the stream", func() bool { // the server may still be removing the files of the last one
		stream, _, err = s.subjects.CreateStream(ctx, s.js, config.JetStream{Replicas: 1, MaxBytes: 1 << 20, MaxAge: "1h"})
		return err == nil
	})
	if err == nil {
		_, err = database.CreateConsumer(ctx, stream, s.subjects)
	}
	if err == nil {
		_, err = leader.CreateBucket(ctx, s.js, s.subjects, 1)
	}
	if err == nil {
		err = s.keepLeader()
	}
	if err == nil {
		_, err = s.js.Publish(ctx, s.subjects.Subject(bus.MessageLog), []byte("secret"))
	}
	if err == nil {
		_, err = s.js.Publish(ctx, "$KV."+s.subjects.LockBucket()+".leader", []byte("the leader"))
	}
	if err != nil {
		s.w.Fatal(err)
	}
}

// keepLeader makes the bucket keep its key: one that expires looks like one that somebody has removed.
func (s *side) keepLeader() error {
	bucket, err := s.js.Stream(s.w.Context(), s.of("KV_P_locks"))
	if err != nil {
		return err
	}
	kept := bucket.CachedInfo().Config
	kept.MaxAge = 0
	_, err = s.js.UpdateStream(s.w.Context(), kept)
	return err
}

// of replaces P in a subject by the prefix of the side.
func (s *side) of(subject string) string {
	for _, each := range []struct{ old, new string }{
		{"P.", s.prefix + "."}, {"P_", s.prefix + "_"},
	} {
		tokens := strings.Split(subject, ".")
		for i, token := range tokens {
			switch {
			case token == "P":
				tokens[i] = s.prefix
			case strings.HasPrefix(token, "P_"), strings.HasPrefix(token, "KV_P_"), strings.HasPrefix(token, "_INBOX_P_"):
				tokens[i] = strings.Replace(token, each.old, each.new, 1)
			}
		}
		subject = strings.Join(tokens, ".")
	}
	return subject
}

// eventuallyDenied waits until the server has denied something that it had not denied before.
func (c *client) eventuallyDenied(t *testing.T, what string, before int) {
	t.Helper()
	natstest.Eventually(t, what+": the denial for "+c.name, func() bool { return len(c.denied()) > before })
}

// bodyReplacer replaces P in names and subjects of a request.
func bodyReplacer(prefix string) *strings.Replacer {
	return strings.NewReplacer(`"P_`, `"`+prefix+"_", `"P.`, `"`+prefix+".", "KV_P_", "KV_"+prefix+"_",
		"$KV.P_", "$KV."+prefix+"_")
}
