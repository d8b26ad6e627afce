package natsauth_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/natsauth"
)

// issuer issues into a directory, again and again.
type issuer struct {
	*testing.T
	dir     string
	target  natsauth.Target
	options natsauth.IssueOptions
}

func newIssuer(t *testing.T, target natsauth.Target) *issuer {
	return &issuer{
		T: t, dir: filepath.Join(t.TempDir(), "issued"), target: target, options: natsauth.IssueOptions{Now: time.Now()},
	}
}

// issue issues for bots and returns what has changed, and the state.
func (i *issuer) issue(bots ...natsauth.Bot) ([]string, *natsauth.State) {
	i.Helper()
	before, err := natsauth.ReadState(i.dir, i.target)
	if err != nil {
		i.Fatal(err)
	}
	state, issued, err := natsauth.Issue(before, bots, i.options)
	if err != nil {
		i.Fatal(err)
	}
	if err := state.Write(i.dir, before); err != nil {
		i.Fatal(err)
	}
	return issued.Changes, state
}

// files returns the content of all files, with their times, and checks that they are for their owner alone.
func (i *issuer) files() map[string]string {
	i.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(i.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			i.Errorf("%s has mode %s", path, info.Mode())
		}
		if entry.IsDir() {
			return nil
		}
		content, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, i.dir+"/")] = info.ModTime().String() + "\n" + string(content)
		return err
	})
	if err != nil {
		i.Fatal(err)
	}
	return files
}

func film(name string) natsauth.Bot {
	return natsauth.Bot{
		Namespace: "films", Name: name, Prefix: "rosey_films_" + name, JetStream: "auto", Replicas: 1, MaxBytes: 64 << 20,
		BotSecret: name + "-bot", ServiceSecret: name + "-db",
	}
}

func eachTarget(t *testing.T, test func(i *issuer)) {
	for _, target := range []natsauth.Target{natsauth.ServerConfTarget, natsauth.JWTTarget} {
		t.Run(string(target), func(t *testing.T) { test(newIssuer(t, target)) })
	}
}

func TestIssueAgainTouchesNothingElse(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		i.options.Expires, i.options.RenewBefore = 0, 0
		i.issue(film("alpha"))
		first := i.files()
		if changes, _ := i.issue(film("alpha")); len(changes) > 0 || cmp.Diff(first, i.files()) != "" {
			t.Errorf("the second time: %v, %s", changes, cmp.Diff(first, i.files()))
		}
		changes, _ := i.issue(film("beta")) // alpha is not in the file
		for _, change := range changes {
			if !strings.Contains(change, "rosey_films_beta") {
				t.Errorf("beyond beta: %s", change)
			}
		}
		now := i.files()
		for name, content := range first {
			if strings.Contains(name, "alpha") && now[name] != content {
				t.Errorf("%s has changed", name)
			}
		}
		for _, name := range []string{"secrets/films/beta-bot.yaml", "secrets/films/beta-db.yaml"} {
			if now[name] == "" {
				t.Errorf("%s is missing among %v", name, slices.Sorted(maps.Keys(now)))
			}
		}
	})
}

// The name of a Secret is free again once the RoseyBot that had it is removed.
func TestRemovedRoseyBotTakesNothing(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		i.issue(film("alpha"), film("beta"))
		taken := film("gamma")
		taken.BotSecret = film("alpha").BotSecret
		i.options.Remove = []string{"films/alpha"}
		_, state := i.issue(film("beta"), taken)
		if diff := cmp.Diff([]string{"films/beta", "films/gamma"}, slices.Sorted(maps.Keys(state.Accounts))); diff != "" {
			t.Errorf("accounts, -want +got:\n%s", diff)
		}
		for name := range i.files() {
			if strings.Contains(name, "alpha") && !strings.HasSuffix(name, taken.BotSecret+".yaml") {
				t.Errorf("%s is left", name)
			}
		}
	})
}

func TestIssueForOneSecretAndForSharers(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		owner, sharer := film("alpha"), film("lounge")
		owner.ServiceSecret = ""
		sharer.SharedFrom, sharer.BotSecret, sharer.ServiceSecret = "alpha", "", ""
		_, state := i.issue(owner, sharer)
		if len(state.Accounts) != 1 {
			t.Fatalf("accounts: %v", state.Accounts)
		}
		users := slices.Sorted(maps.Keys(state.Accounts["films/alpha"].Users))
		want := []string{"rosey_films_alpha_bot_db", "rosey_films_alpha_cli", "rosey_films_lounge_cli"}
		if diff := cmp.Diff(want, users); diff != "" {
			t.Errorf("users, -want +got:\n%s", diff)
		}
		// With a Secret for each, the user of both is gone, and its file with it.
		i.issue(film("alpha"), sharer)
		before := i.files()
		owner.ServiceSecret = "alpha-db"
		changes, _ := i.issue(owner, sharer)
		if len(changes) > 0 || cmp.Diff(before, i.files()) != "" {
			t.Errorf("%v", changes)
		}
	})
}

// A RoseyBot that starts to share a service, or no longer does, has users in one account only: a server refuses two
// users of one name.
// A Secret has the credentials of one user. Pods of a second RoseyBot that mount it would be in the account of the
// first.
func TestOneSecretIsNotOfTwoAccounts(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		before, _ := natsauth.ReadState(i.dir, i.target)
		first := natsauth.Bot{Namespace: "films", Name: "a", Prefix: "a", JetStream: "auto", Replicas: 1, MaxBytes: 1 << 20}
		for _, second := range []natsauth.Bot{
			{Name: "b", BotSecret: "a-nats-bot"},
			{Name: "b", ServiceSecret: "a-nats-db"},
			{Name: "b", BotSecret: "b", ServiceSecret: "a-nats-bot"},
		} {
			second.Namespace, second.Prefix, second.JetStream, second.Replicas = "films", "b", "auto", 1
			_, _, err := natsauth.Issue(before, []natsauth.Bot{first, second}, i.options)
			if err == nil || !strings.Contains(err.Error(), "RoseyBots films/a and films/b: both use the Secret a-nats-") {
				i.Errorf("%+v: %v, want an error that names both RoseyBots and the Secret", second, err)
			}
			second.Namespace = "music"
			if _, _, err := natsauth.Issue(before, []natsauth.Bot{first, second}, i.options); err != nil {
				i.Errorf("a Secret of the same name in another namespace: %v", err)
			}
		}
	})
}

func TestUsersMoveToAnotherAccount(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		sharer := film("lounge")
		sharer.SharedFrom, sharer.BotSecret, sharer.ServiceSecret = "alpha", "", ""
		i.issue(film("alpha"), film("lounge"))
		_, state := i.issue(film("alpha"), sharer)
		if len(state.Accounts) != 1 || state.Accounts["films/alpha"].Users["rosey_films_lounge_cli"] == nil {
			t.Errorf("it shares: %+v", state.Accounts)
		}
		i.serve()
		changes, state := i.issue(film("lounge"))
		if len(state.Accounts) != 2 || state.Accounts["films/alpha"].Users["rosey_films_lounge_cli"] != nil {
			t.Errorf("it no longer shares: %v, %+v", changes, state.Accounts)
		}
		i.serve()
	})
}

func TestSecretThatIsNoLongerNamedIsRemoved(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		i.issue(film("alpha"))
		moved := film("alpha")
		moved.BotSecret = "elsewhere"
		i.issue(moved)
		files := i.files()
		if _, old := files["secrets/films/alpha-bot.yaml"]; old || files["secrets/films/elsewhere.yaml"] == "" {
			t.Errorf("files: %v", slices.Sorted(maps.Keys(files)))
		}
	})
}

func TestJWTsAreRenewedWhenTheyAreDue(t *testing.T) {
	i := newIssuer(t, natsauth.JWTTarget)
	i.options.Expires, i.options.RenewBefore = 90*time.Hour, 30*time.Hour
	_, first := i.issue(film("alpha"))
	i.options.Now = i.options.Now.Add(59 * time.Hour)
	if changes, _ := i.issue(film("alpha")); len(changes) > 0 {
		t.Errorf("too early: %v", changes)
	}
	i.options.Now = i.options.Now.Add(2 * time.Hour)
	changes, second := i.issue(film("alpha"))
	if len(changes) != 3 || !strings.HasSuffix(changes[0], ": renewed") {
		t.Errorf("changes: %v", changes)
	}
	for name, user := range second.Accounts["films/alpha"].Users {
		before := first.Accounts["films/alpha"].Users[name]
		if user.Seed != before.Seed || user.JWT == before.JWT || !user.Expires.After(before.Expires) {
			t.Errorf("%s: a new key, or not renewed", name)
		}
	}
	if first.Accounts["films/alpha"].JWT != second.Accounts["films/alpha"].JWT {
		t.Error("the account has changed, so the server needs a reload")
	}
}

func TestRotatedCredentialsReplaceTheOldOnes(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		_, before := i.issue(film("alpha"), film("beta"))
		i.options.Rotate = "films/alpha"
		changes, after := i.issue(film("alpha"), film("beta"))
		if !slices.Contains(changes, "user rosey_films_alpha_bot: rotated") {
			t.Errorf("changes: %v", changes)
		}
		s := i.serve()
		for _, test := range []struct {
			state *natsauth.State
			name  string
			valid bool
		}{{before, "alpha", false}, {after, "alpha", true}, {before, "beta", true}, {after, "beta", true}} {
			client, err := nats.Connect(s.URL(), botLogin(test.state, test.name))
			if (err == nil) != test.valid {
				t.Errorf("%s, rotated %t: %v", test.name, test.state == after, err)
			}
			if err == nil {
				client.Close()
			}
		}
		i.options.Rotate = "films/absent"
		if _, _, err := natsauth.Issue(after, []natsauth.Bot{film("alpha")}, i.options); err == nil {
			t.Error("a RoseyBot that is not in the file is rotated")
		}
	})
}

// TestReloadTakesOverWhatIsNew: a new account can be used, and users of others do not even notice. Rotated users must
// log in again.
func TestReloadTakesOverWhatIsNew(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		_, before := i.issue(film("alpha"), film("beta"))
		s := i.serve()
		rotated, kept := s.Client(botLogin(before, "alpha")), s.Client(botLogin(before, "beta"))
		lost := make(chan struct{}, 100)
		kept.SetDisconnectErrHandler(func(*nats.Conn, error) { lost <- struct{}{} })
		i.options.Rotate = "films/alpha"
		_, state := i.issue(film("alpha"), film("beta"), film("gamma"))
		s.Reload(i.configure)
		s.Client(botLogin(state, "gamma"))
		s.Client(botLogin(state, "alpha"))
		natstest.Eventually(t, "the old login to end", func() bool { return !rotated.IsConnected() })
		if _, err := nats.Connect(s.URL(), botLogin(before, "alpha")); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("the old login: %v, want that it is refused", err)
		}
		if err := kept.Flush(); err != nil || len(lost) > 0 {
			t.Errorf("a connection of an account that has not changed was lost: %v", err)
		}
	})
}

// botLogin returns the login of the bot of a RoseyBot.
func botLogin(state *natsauth.State, name string) nats.Option {
	userName := "rosey_films_" + name + "_bot"
	user := state.Accounts["films/"+name].Users[userName]
	if user.Signed != nil {
		return nats.UserJWTAndSeed(user.JWT, user.Seed)
	}
	return nats.UserInfo(userName, user.Password)
}

// serve starts a server with what was issued.
func (i *issuer) serve() *natstest.Server {
	i.Helper()
	return natstest.Start(i.T, i.configure)
}

// configure configures a server with what was issued, except for its address and directory.
func (i *issuer) configure(o *server.Options) {
	i.Helper()
	file := filepath.Join(i.dir, "server.conf")
	if err := os.WriteFile(file, []byte(serverConf(i.target)), 0o600); err != nil {
		i.Fatal(err)
	}
	configured, err := server.ProcessConfigFile(file)
	if err != nil {
		i.Fatal(err)
	}
	configured.Host, configured.Port, configured.NoLog, configured.NoSigs = o.Host, o.Port, true, true
	if configured.StoreDir = o.StoreDir; o.StoreDir == "" {
		configured.StoreDir = i.TempDir()
	}
	*o = *configured
}

func TestStateOfAnotherKindIsRefused(t *testing.T) {
	i := newIssuer(t, natsauth.JWTTarget)
	i.issue(film("alpha"))
	if _, err := natsauth.ReadState(i.dir, natsauth.ServerConfTarget); err == nil ||
		!strings.Contains(err.Error(), "was issued for jwt, expected server.conf") {
		t.Errorf("error: %v", err)
	}
	for _, content := range []string{
		`{"version":`, `{"version":1,"for":"jwt","accounts":{"films/alpha":null}}`,
		`{"version":1,"for":"jwt","accounts":{"films/alpha":{}}}`,
		`{"version":1,"for":"jwt","accounts":{"films/alpha":{"users":{"a":null}}}}`,
	} {
		if err := os.WriteFile(filepath.Join(i.dir, "state.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := natsauth.ReadState(i.dir, i.target); err == nil || !strings.Contains(err.Error(), "state.json") {
			t.Errorf("%s: error: %v", content, err)
		}
	}
}

// TestAWebPageGetsItsOwnUser checks that a web page with a Secret of its own is a user with the permissions of the page
// alone, and that one that logs in as the bot may do what the page needs.
func TestAWebPageGetsItsOwnUser(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		own, as, sharer := film("own"), film("as"), film("sharer")
		own.Web = &natsauth.Web{Secret: "own-web", Tokens: true}
		as.Web = &natsauth.Web{}
		sharer.SharedFrom, sharer.BotSecret, sharer.ServiceSecret = "own", "", ""
		sharer.Web = &natsauth.Web{}
		changes, _ := i.issue(own, as, film("none"), sharer)
		for _, want := range []string{
			"user rosey_films_own_web: created", "user rosey_films_own_bot_web: created", // for the sharer's page
			"user rosey_films_as_bot_web: created", "user rosey_films_none_bot: created",
		} {
			if !slices.Contains(changes, want) {
				t.Errorf("not %q: %v", want, changes)
			}
		}
		if again, _ := i.issue(own, as, film("none"), sharer); len(again) > 0 {
			t.Errorf("the second time: %v", again)
		}
	})
}

// TestWebPagesMayHaveOneSecret checks that the pages of two RoseyBots in one account with the same Secret are one user.
func TestWebPagesMayHaveOneSecret(t *testing.T) {
	eachTarget(t, func(i *issuer) {
		own, sharer := film("own"), film("sharer")
		sharer.SharedFrom, sharer.BotSecret, sharer.ServiceSecret = "own", "", ""
		own.Web, sharer.Web = &natsauth.Web{Secret: "pages"}, &natsauth.Web{Secret: "pages"}
		changes, _ := i.issue(own, sharer)
		if !slices.Contains(changes, "user rosey_films_own_web: created") ||
			slices.Contains(changes, "user rosey_films_sharer_web: created") {
			t.Errorf("issued %v", changes)
		}
		if again, _ := i.issue(own, sharer); len(again) > 0 {
			t.Errorf("the second time: %v", again)
		}
	})
}

// maxCredential is the size of the longest JWT with which one can log in: by default a server accepts lines of the
// protocol of 4096 bytes, and CONNECT has the signature, the name and options beside it.
const maxCredential = 4096 - 400

// TestACredentialFitsIntoALine checks that a user's JWT, also where the web page logs in as the bot, with a prefix of
// usual length, is not longer than the line of the protocol that a server accepts by default.
func TestACredentialFitsIntoALine(t *testing.T) {
	i := newIssuer(t, natsauth.JWTTarget)
	i.options.Commands, i.options.People = true, true
	bot := film("movienight")
	bot.Web = &natsauth.Web{Tokens: true}
	_, state := i.issue(bot) // which fails otherwise
	for name, user := range state.Accounts[bot.ID()].Users {
		t.Logf("%s: %d bytes", name, len(user.JWT))
		if len(user.JWT) > maxCredential {
			t.Errorf("%s: %d bytes", name, len(user.JWT))
		}
	}
}

// A user with which nobody could log in is not issued, and the error says what to do. With a longer line it is, for a
// server that accepts it; one that does not would indeed refuse it. What is issued just below the limit can log in.
func TestUsersThatCouldNotLogInAreNotIssued(t *testing.T) {
	t.Parallel()
	bot := film("movienight")
	bot.ServiceSecret, bot.Web = "", &natsauth.Web{Tokens: true}
	i := newIssuer(t, natsauth.JWTTarget)
	err := i.tryIssue(bot)
	for _, want := range []string{"user rosey_films_movienight_bot_db_web: ", "a Secret each", "max_control_line"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
	i.options.MaxControlLine = 8192
	_, state := i.issue(bot)
	user := state.Accounts[bot.ID()].Users["rosey_films_movienight_bot_db_web"]
	if err := i.logIn(user, 8192); err != nil {
		t.Errorf("a server that accepts the line: %v", err)
	}
	if err := i.logIn(user, natsauth.DefaultMaxControlLine); err == nil {
		t.Error("a server with the default accepts it too")
	}

	i = newIssuer(t, natsauth.JWTTarget)
	length := sort.Search(200, func(length int) bool {
		return i.tryIssue(withPrefix(length+1)) != nil
	})
	if length < 10 || length == 200 {
		t.Fatalf("the longest prefix has %d characters", length)
	}
	_, state = i.issue(withPrefix(length))
	for name, user := range state.Accounts[withPrefix(0).ID()].Users {
		if err := i.logIn(user, natsauth.DefaultMaxControlLine); err != nil {
			t.Errorf("%s, with a JWT of %d bytes: %v", name, len(user.JWT), err)
		}
	}
}

// withPrefix returns a RoseyBot with a prefix of a length.
func withPrefix(length int) natsauth.Bot {
	bot := film("movienight")
	bot.Prefix, bot.Web = strings.Repeat("p", length), &natsauth.Web{Tokens: true}
	return bot
}

// tryIssue is issue without writing anything.
func (i *issuer) tryIssue(bots ...natsauth.Bot) error {
	i.Helper()
	before, err := natsauth.ReadState(i.dir, i.target)
	if err != nil {
		i.Fatal(err)
	}
	_, _, err = natsauth.Issue(before, bots, i.options)
	return err
}

// logIn logs in to a server with what was issued, as a client whose name is as long as that of any of ours.
func (i *issuer) logIn(user *natsauth.User, maxControlLine int32) error {
	i.Helper()
	file := filepath.Join(i.dir, "server.conf")
	if err := os.WriteFile(file, []byte("jetstream {}\ninclude operator.conf\n"), 0o600); err != nil {
		i.Fatal(err)
	}
	configured, err := server.ProcessConfigFile(file)
	if err != nil {
		i.Fatal(err)
	}
	running := natstest.Start(i.T, func(o *server.Options) {
		configured.Host, configured.Port, configured.NoLog, configured.NoSigs = o.Host, o.Port, true, true
		configured.StoreDir, configured.MaxControlLine = i.TempDir(), maxControlLine
		*o = *configured
	})
	conn, err := nats.Connect(running.URL(), nats.UserJWTAndSeed(user.JWT, user.Seed),
		nats.Name("rosey database "+strings.Repeat("c", 30)))
	if err == nil {
		conn.Close()
	}
	return err
}
