package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/natsauth"
	"rosey.dev/rosey/runtime/status"
)

// issuedRig is a NATS server with accounts and users that `rosey nats issue` has issued, and what two bots and a
// database service need beside it.
type issuedRig struct {
	*testing.T
	nats   *natstest.Server
	dir    string // of `rosey nats issue`
	data   string // of the database service
	prefix string
	site   string
	sim    *simulator.Server
	common []string // flags of all processes
	used   func() []natstest.Use
	denied func() []string
}

const issuedBots = `apiVersion: rosey.dev/v1alpha1
kind: RoseyBot
metadata: {namespace: films, name: movienight}
spec:
  nats:
    credentialsSecretRef: {name: bot-login}
    jetStream: {mode: %s, provisioning: %s}
  database: {natsCredentialsSecretRef: {name: db-login}}
  channel: {name: Movie_Night}
  plugins: [{name: sums, natsCredentialsSecretRef: {name: sums-login}}]
`

// newIssuedRig issues for a target, and starts a server with what was issued.
func newIssuedRig(t *testing.T, target, mode, provisioning string) *issuedRig {
	t.Helper()
	return newIssuedRigOf(t, target, fmt.Sprintf(issuedBots, mode, provisioning), strings.ToLower(mode))
}

// newIssuedRigOf is newIssuedRig for the RoseyBot in a text.
func newIssuedRigOf(t *testing.T, target, bots, mode string) *issuedRig {
	t.Helper()
	r := &issuedRig{T: t, dir: t.TempDir(), data: t.TempDir(), prefix: "rosey_films_movienight"}
	file := r.write("roseybots.yaml", bots)
	code, out, stderr := call(t, "nats", "issue", "-f", file, "--for", target, "--dir", r.dir, "--commands")
	if code != exit.Clean {
		t.Fatalf("exit code %d: %s%s", code, out, stderr)
	}
	include := "system_account: SYS\naccounts {\n  include accounts.conf\n  SYS: {\n    include system.conf\n  }\n}\n"
	if target == string(natsauth.JWTTarget) {
		include = "include operator.conf\n"
	}
	configuration := filepath.Join(r.dir, "server.conf") // a path after include is relative to the file
	if err := os.WriteFile(configuration, []byte("jetstream {}\n"+include), 0o600); err != nil {
		t.Fatal(err)
	}
	r.nats = configuredServer(t, configuration)
	r.used, r.denied = r.nats.Trace()
	r.sim, r.site = simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{{Name: "Rosey", Password: "hush-hush", Rank: 2}, {Name: "mod", Rank: 2}}})
	r.common = []string{"--channel", "movienight", "--server", r.site, "--nats", r.nats.URL(), "--prefix", r.prefix,
		"--http", "127.0.0.1:0", "--nats-jet-stream-mode", mode}
	return r
}

// configuredServer runs NATS with a configuration file, except that its address and directory are the test's.
func configuredServer(t *testing.T, file string) *natstest.Server {
	t.Helper()
	configured, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return natstest.Start(t, func(o *server.Options) {
		configured.Host, configured.Port, configured.NoLog, configured.NoSigs = o.Host, o.Port, true, true
		configured.StoreDir = t.TempDir()
		*o = *configured
	})
}

func (r *issuedRig) write(name, content string) string {
	r.Helper()
	path := filepath.Join(r.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		r.Fatal(err)
	}
	return path
}

// secret returns a directory with the content of an issued Secret, as a pod mounts it.
func (r *issuedRig) secret(name string) string {
	r.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, natsauth.SecretsDir, "films", name+".yaml"))
	if err != nil {
		r.Fatal(err)
	}
	var secret struct {
		StringData map[string]string `json:"stringData"`
	}
	if err := yaml.Unmarshal(data, &secret); err != nil {
		r.Fatal(err)
	}
	return filesDir(r.T, secret.StringData)
}

// credentialsDir returns a directory with a user's name and its password, which is the name and "-hush".
func credentialsDir(t *testing.T, user string) string {
	t.Helper()
	return filesDir(t, map[string]string{"username": user, "password": user + "-hush"})
}

// filesDir returns a directory with files for their owner alone.
func filesDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// start starts a process with the credentials of a directory.
func (r *issuedRig) start(credentials string, arguments ...string) *roseyProcess {
	r.Helper()
	return start(r.T, slices.Concat(arguments, r.common, []string{"--nats-credentials-dir", credentials})...)
}

// startService starts the database service, each time with the same database.
func (r *issuedRig) startService() *roseyProcess {
	return r.start(r.secret("db-login"), "db", "--database", filepath.Join(r.data, "rosey.db"))
}

// startBot starts a bot. Standby bots wait for each other.
func (r *issuedRig) startBot(standby bool, flags ...string) *roseyProcess {
	password := r.write("password", "hush-hush\n")
	return r.start(r.secret("bot-login"), append([]string{"bot", "--username", "Rosey", "--password-file", password,
		fmt.Sprintf("--standby=%t", standby)}, flags...)...)
}

// stored waits until the database service has stored a number of chat lines.
func (r *issuedRig) stored(db *roseyProcess, lines int) {
	r.Helper()
	want := fmt.Sprintf(`rosey_database_messages_total{outcome="stored",subject="db.message.log"} %d`, lines)
	natstest.Eventually(r.T, want, func() bool {
		_, metrics := db.get(status.MetricsPath)
		return strings.Contains(metrics, want+"\n")
	})
}

// exercise lets people use the bot, and the commands of the CLI.
func (r *issuedRig) exercise(db *roseyProcess) {
	r.Helper()
	movies := r.sim.Channel("movienight")
	for i, said := range []struct{ user, line string }{{"alice", "!stats"}, {"bob", "!top"}} {
		if err := movies.Join(said.user); err != nil {
			r.Fatal(err)
		}
		if _, err := movies.Say(said.user, said.line); err != nil {
			r.Fatal(err)
		}
		r.stored(db, 2*i+2) // with the bot's answer
	}
	cli := []string{"--nats", r.nats.URL(), "--prefix", r.prefix,
		"--nats-credentials-dir", filepath.Join(r.dir, natsauth.UsersDir, "films", "movienight", "cli")}
	for _, test := range []struct{ command, want string }{
		{"top", "alice"}, {"user alice", "alice"}, {"say hi", ""}, {"say /clear", ""},
	} {
		code, out, stderr := call(r.T, append(strings.Fields(test.command), cli...)...)
		if code != exit.Clean || !strings.Contains(out, test.want) {
			r.Errorf("%s: exit code %d, %s%s", test.command, code, out, stderr)
		}
	}
	r.stored(db, 5)
	// In a pod of the bot there is the bot's user alone.
	asBot := append(slices.Clone(r.common[4:8]), "--role", "bot", "--nats-credentials-dir", r.secret("bot-login"))
	for _, command := range []string{"top", "user alice"} {
		if code, out, stderr := call(r.T, append(strings.Fields(command), asBot...)...); code != exit.Clean {
			r.Errorf("%s as the bot: exit code %d, %s%s", command, code, out, stderr)
		}
	}
	dead := slices.Concat(r.common, []string{"--database", "none", "--nats-credentials-dir", r.secret("db-login")})
	for verb, want := range map[string]string{
		"list": "no dead letters", "retry 1": "1: not found", "drop 1": "1: not found",
	} {
		_, out, stderr := call(r.T, append(strings.Fields("db dead "+verb), dead...)...)
		if !strings.Contains(out+stderr, want) {
			r.Errorf("db dead %s: %s%s, want %q", verb, out, stderr, want)
		}
	}
	tail := start(r.T, append([]string{"tail"}, cli...)...)
	natstest.Eventually(r.T, "the subscriptions of rosey tail", func() bool {
		return slices.ContainsFunc(r.used(), func(use natstest.Use) bool {
			return !use.Publish && use.Subject == r.prefix+".events.>"
		})
	})
	tail.end(os.Interrupt)
}

// allowedUses returns what the processes have used, and checks that the server denied nothing.
func (r *issuedRig) allowedUses() []natstest.Use {
	r.Helper()
	for _, violation := range r.denied() {
		r.Errorf("the server denied: %s", violation)
	}
	return r.used()
}

// checkUsed checks that no permission is unused, except those in rare.
func checkUsed(t *testing.T, o natsauth.Options, uses []natstest.Use, rare []string) {
	t.Helper()
	clients := map[bus.Role]string{
		bus.BotRole: "rosey bot", bus.ServiceRole: "rosey database", bus.CLIRole: "rosey cli"}
	for role, client := range clients {
		p := o.For(role)
		for _, publish := range []bool{true, false} {
			for _, entry := range map[bool][]string{true: p.Publish.Allow, false: p.Subscribe.Allow}[publish] {
				isUse := func(use natstest.Use) bool {
					return strings.HasPrefix(use.Client, client) && use.Publish == publish && covers(entry, use)
				}
				if !slices.ContainsFunc(uses, isUse) && !slices.Contains(rare, entry) {
					t.Errorf("%s does not use %s (publish: %t)", role, entry, publish)
				}
			}
		}
	}
}

// covers reports whether an entry of a permission list is for a use.
func covers(entry string, use natstest.Use) bool {
	subject, queue, _ := strings.Cut(entry, " ")
	return server.SubjectsCollide(subject, use.Subject) && (queue == "" || queue == use.Queue)
}

func TestPermissionsAreEnoughAndUsed(t *testing.T) {
	subjects, err := bus.NewSubjects("rosey_films_movienight")
	if err != nil {
		t.Fatal(err)
	}
	// Some events are published every few minutes or after failures: bus.Events lists them for the publisher too.
	var rare []string
	for _, suffix := range bus.Events {
		rare = append(rare, subjects.Subject(suffix))
	}
	// Whoever has no plugins uses none of the permissions for them.
	for _, suffix := range []bus.Suffix{bus.AnyPluginCall, bus.AnyPluginCancel, bus.OutboundPut} {
		rare = append(rare, subjects.Subject(suffix))
	}
	rare = append(rare, "$SRV.INFO.*", "$SRV.PING.*", subjects.Subject(bus.AllPlugins),
		"$JS.API.STREAM.NAMES",                            // a foreign stream with Rosey's subjects
		"$JS.API.STREAM.UPDATE.KV_"+subjects.LockBucket(), // another number of replicas
		"$JS.FC.KV_"+subjects.LockBucket()+".>")           // after 1 MB of renewals, in about an hour
	var mu sync.Mutex
	uses := map[string][]natstest.Use{}
	t.Run("with", func(t *testing.T) { // returns when all of them have ended
		for i, target := range []natsauth.Target{natsauth.ServerConfTarget, natsauth.JWTTarget} {
			for name, run := range map[string]func(t *testing.T) *issuedRig{
				"a standby": func(t *testing.T) *issuedRig {
					r := newIssuedRig(t, string(target), "Always", "Automatic")
					r.runStandby(i == 0)
					return r
				},
				"an administrator's stream": func(t *testing.T) *issuedRig {
					r := newIssuedRig(t, string(target), "Always", "Manual")
					r.createObjects()
					r.common = append(r.common, "--nats-jet-stream-provisioning", "manual")
					r.runStandby(true)
					return r
				},
				"core NATS": func(t *testing.T) *issuedRig {
					r := newIssuedRig(t, string(target), "Never", "Automatic")
					db := r.startService()
					db.waitFor(status.ReasonReady)
					r.startBot(false).waitFor(status.ReasonReady)
					r.exercise(db)
					return r
				},
			} {
				t.Run(string(target)+", "+name, func(t *testing.T) {
					t.Parallel()
					allowed := run(t).allowedUses()
					mu.Lock()
					defer mu.Unlock()
					uses[name] = append(uses[name], allowed...)
				})
			}
		}
	})
	o := natsauth.Options{Subjects: subjects, JetStream: config.JetStreamAlways, Standby: true, Commands: true}
	checkUsed(t, o, uses["a standby"], rare)
	o.Manual = true
	checkUsed(t, o, uses["an administrator's stream"], rare)
	o = natsauth.Options{Subjects: subjects, JetStream: config.JetStreamNever, Commands: true}
	checkUsed(t, o, uses["core NATS"], rare)
}

// createObjects creates stream, consumer and bucket as the administrator.
func (r *issuedRig) createObjects() {
	r.Helper()
	code, out, stderr := call(r.T, "nats", "create", "--nats", r.nats.URL(), "--prefix", r.prefix,
		"--nats-credentials-dir", filepath.Join(r.dir, natsauth.UsersDir, "films", "movienight", "admin"))
	if code != exit.Clean {
		r.Fatalf("rosey nats create: exit code %d, %s%s", code, out, stderr)
	}
}

// runStandby runs two bots and a service, each of which creates the stream or updates its limits.
func (r *issuedRig) runStandby(botFirst bool) {
	r.Helper()
	var db, first *roseyProcess
	startService := func() { db = r.startService(); db.waitFor(status.ReasonReady) }
	startBot := func() *roseyProcess { return r.startBot(true, "--nats-jet-stream-max-bytes", "2097152") }
	if botFirst {
		first = startBot()
		natstest.Eventually(r.T, "the stream", func() bool {
			return hasReason(first.report(), status.ReasonStreamBound)
		})
		startService()
	} else {
		startService()
		first = startBot()
	}
	first.waitFor(status.ReasonReady)
	second := startBot()
	natstest.Eventually(r.T, "a standby", func() bool {
		report := second.report()
		return report.Ready && hasReason(report, status.ReasonStandby)
	})
	r.exercise(db)
	first.end(os.Interrupt)
	second.waitFor(status.ReasonReady)
	db.end(os.Kill)
	startService() // reads again what may not be stored
}

// TestMissingPermissionIsReported runs a service as a user with too few permissions.
func TestMissingPermissionIsReported(t *testing.T) {
	r := newIssuedRig(t, "server.conf", "Never", "Automatic")
	cli := filepath.Join(r.dir, natsauth.UsersDir, "films", "movienight", "cli")
	p := r.start(cli, "db", "--database", filepath.Join(t.TempDir(), "rosey.db"))
	if report := p.waitFor(status.ReasonNATSPermissionMissing); !strings.Contains(report.Message, "may not subscribe") {
		t.Errorf("%+v", report)
	}
}

// TestClientCannotMakeTheServiceLookForbidden: the server refuses a reply if a client has used its reply subject for
// two requests at a time, or to a subject that is no inbox. Neither says anything about the service's permissions.
func TestClientCannotMakeTheServiceLookForbidden(t *testing.T) {
	r := newIssuedRig(t, "server.conf", "Never", "Automatic")
	db := r.startService()
	db.waitFor(status.ReasonReady)
	user := map[string]string{}
	for _, file := range []string{"username", "password"} {
		content, err := os.ReadFile(filepath.Join(r.dir, natsauth.UsersDir, "films", "movienight", "cli", file))
		if err != nil {
			t.Fatal(err)
		}
		user[file] = string(content)
	}
	client := r.nats.ClientAs(user["username"], user["password"])
	subject := r.prefix + ".db.query.channel_stats"
	for _, reply := range []string{"_INBOX_x.same", "_INBOX.same", r.prefix + ".db.message.log"} {
		for range 200 {
			if err := client.PublishRequest(subject, reply, []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := client.Flush(); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the requests to be handled", func() bool {
		_, metrics := db.get(status.MetricsPath)
		return strings.Contains(metrics, `subject="db.query.channel_stats"} 400`)
	})
	natstest.Eventually(t, "a denial, or the test shows nothing", func() bool { return len(r.denied()) > 0 })
	if report := db.report(); !report.Ready {
		t.Errorf("%+v", report)
	}
}
