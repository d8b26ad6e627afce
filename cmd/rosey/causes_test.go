package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

const (
	rightPassword = "correct-horse"
	wrongPassword = "battery-staple"
	doorPassword  = "open-sesame"
)

// stage is a bot as a process, with a CyTube server, a NATS server and a database service of its own.
type stage struct {
	*testing.T
	dir     string
	sim     *simulator.Server
	site    string
	nats    *natstest.Server
	bot     *roseyProcess
	service *roseyProcess

	// What the bot is configured with. An empty password file is none.
	channel, username              string
	account, door, natsCredentials string
}

func newStage(t *testing.T, limits simulator.Limits) *stage {
	t.Helper()
	s := &stage{T: t, dir: t.TempDir(), channel: "movienight", username: "Rosey"}
	s.sim, s.site = simulatortest.Start(t, simulator.Options{
		Limits: limits,
		Accounts: []simulator.Account{
			{Name: "Rosey", Password: rightPassword, Rank: 3}, {Name: "plain", Password: rightPassword},
		},
		Channels: []simulator.ChannelOptions{{Name: "private", Password: doorPassword}},
	})
	s.nats = natstest.Start(t)
	s.account = s.secret("account", rightPassword)
	return s
}

// secret writes a secret's file and answers its path.
func (s *stage) secret(name, content string) string {
	s.Helper()
	path := filepath.Join(s.dir, name)
	s.must(os.MkdirAll(filepath.Dir(path), 0o700))
	s.must(os.WriteFile(path, []byte(content+"\n"), 0o600))
	return path
}

func (s *stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// start starts the bot.
func (s *stage) start() {
	s.Helper()
	file := s.secret("bot.yaml", fmt.Sprintf(`channel: {server: %q, name: %s, passwordFile: %q}
account: {username: %s, passwordFile: %q}
nats: {url: %q, credentialsDir: %q}
http: {address: "127.0.0.1:0"}
`, s.site, s.channel, s.door, s.username, s.account, s.nats.URL(), s.natsCredentials))
	s.bot = start(s.T, "bot", "--config", file)
}

// startService starts a database service, with the same database as one before.
func (s *stage) startService() {
	s.Helper()
	file := s.secret("db.yaml", fmt.Sprintf(`channel: {server: %q, name: %s}
nats: {url: %q, credentialsDir: %q}
http: {address: "127.0.0.1:0"}
database: {sqlite: {path: %q}}
`, s.site, s.channel, s.nats.URL(), s.natsCredentials, filepath.Join(s.dir, "rosey.db")))
	s.service = start(s.T, "db", "--config", file)
}

// patience is for the waits that the bot keeps for the server's sake, on a busy machine.
const patience = 90 * time.Second

// await waits until the bot gives a reason for its state.
func (s *stage) await(reason status.Reason) {
	s.Helper()
	s.awaitMessage(reason, "")
}

// awaitMessage waits for a report of the reason whose message contains text. One reason can have several messages in
// turn: a request that was in flight when the service died times out before the next one finds no responders.
func (s *stage) awaitMessage(reason status.Reason, text string) status.Report {
	s.Helper()
	var report status.Report
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		_, body := s.bot.get(status.StatusPath)
		if json.Unmarshal([]byte(body), &report) == nil && report.Reason == reason &&
			strings.Contains(report.Message, text) {
			return report
		}
	}
	s.Fatalf("not within %s: reason %s with %q in its message; the last report is %+v\n%v",
		patience, reason, text, report, s.bot.log())
	return report
}

// asOther is somebody else's connection to the channel, from the bot's address.
func (s *stage) asOther(options cytube.Options) *cytube.Conn {
	s.Helper()
	options.Server, options.Channel = s.site, s.channel
	conn, err := cytube.Dial(s.Context(), options)
	s.must(err)
	s.Cleanup(conn.Close)
	return conn
}

// movies is the bot's channel at the server.
func (s *stage) movies() *simulator.Channel { return s.sim.Channel(s.channel) }

// cause is why a bot cannot do its job. It is there from the start, or comes when the bot works.
type cause struct {
	limits simulator.Limits
	// before the start; nil: the bot works first.
	before func(*stage)
	// strike is when the bot works.
	strike func(*stage)
	// says is part of the sentence.
	says string
	// mend takes the cause away. Nil: it goes away by itself.
	mend func(*stage)
}

var channelCauses = map[status.Reason]cause{
	status.ReasonServerUnreachable: {
		before: func(s *stage) { s.sim.Restart(time.Hour) },
		says:   "cannot reach http://127.0.0.1:",
		mend:   func(s *stage) { s.sim.Restart(0) },
	},
	status.ReasonChannelRefused: {
		strike: func(s *stage) { s.must(s.movies().Kick("Rosey", "Invalid channel name")) },
		says:   "the server refuses the channel: Invalid channel name",
	},
	status.ReasonChannelPasswordWrong: {
		before: func(s *stage) {
			s.channel, s.username, s.door = "private", "plain", s.secret("door", wrongPassword)
		},
		says: "channel private refuses the channel password",
		mend: func(s *stage) { s.secret("door", doorPassword) },
	},
	status.ReasonChannelPasswordAbsent: {
		before: func(s *stage) { s.channel, s.door = "private", filepath.Join(s.dir, "door") },
		says:   "door is absent or empty",
		mend:   func(s *stage) { s.secret("door", doorPassword) },
	},
	status.ReasonAccountPasswordAbsent: {
		before: func(s *stage) { s.must(os.Remove(s.account)) },
		says:   "account is absent or empty",
		mend:   func(s *stage) { s.secret("account", rightPassword) },
	},
	status.ReasonLoginRefused: {
		before: func(s *stage) { s.secret("account", wrongPassword) },
		says:   "login as Rosey refused: Invalid username/password combination",
		mend:   func(s *stage) { s.secret("account", rightPassword) },
	},
	status.ReasonNameTaken: {
		before: func(s *stage) { s.username, s.account = "visitor", ""; s.must(s.movies().Join("visitor")) },
		says:   "login as visitor refused: That name is already in use on this channel.",
		mend:   func(s *stage) { s.must(s.movies().Leave("visitor")) },
	},
	status.ReasonLoginLimited: {
		limits: simulator.Limits{GuestLoginDelay: 10 * time.Second},
		before: func(s *stage) {
			s.username, s.account = "visitor", ""
			s.asOther(cytube.Options{Username: "somebody"})
		},
		says: "Guest logins are restricted to one per IP address per 10 seconds.",
	},
	status.ReasonConnectionLimited: {
		limits: simulator.Limits{Connections: 1},
		before: func(s *stage) { other := s.asOther(cytube.Options{}); s.Cleanup(other.Close) },
		says:   "Too many connections from your IP address",
		mend:   func(s *stage) { s.sim.Restart(0) },
	},
	status.ReasonKicked: {
		strike: func(s *stage) { s.must(s.movies().Kick("Rosey", "be nice")) },
		says:   "kicked from the channel: be nice",
	},
	status.ReasonBanned: {
		strike: func(s *stage) { s.must(s.movies().Ban("Rosey", "spam")) },
		says:   "banned from the channel: ",
		mend: func(s *stage) { // who does not want to wait a quarter of an hour starts it anew
			s.must(s.movies().Unban("Rosey"))
			s.bot.end(syscall.SIGTERM)
			s.start()
		},
	},
	status.ReasonDisconnected: {
		strike: func(s *stage) { s.must(s.movies().Disconnect("Rosey")) },
		says:   "ended by the server",
	},
	status.ReasonDuplicateLogin: {
		strike: func(s *stage) { s.asOther(cytube.Options{Username: "Rosey", Password: rightPassword}) },
		says:   "somebody else logged in with the bot's account",
	},
}

var busCauses = map[status.Reason]cause{
	status.ReasonNATSUnreachable: {
		before: func(s *stage) { s.nats.Stop() },
		says:   "cannot reach NATS at nats://127.0.0.1:",
		mend:   func(s *stage) { s.nats.Restart() },
	},
	status.ReasonNATSRefused: {
		before: func(s *stage) { s.nats.Restart(asking("rosey", rightPassword)) },
		says:   "refuses the connection: authorization violation",
		mend:   func(s *stage) { s.nats.Restart(asking("", "")) },
	},
	status.ReasonNATSCredentialsAbsent: {
		before: func(s *stage) {
			s.natsCredentials = filepath.Join(s.dir, "nats")
			s.nats.Restart(asking("rosey", rightPassword))
		},
		says: "no usable credentials",
		mend: func(s *stage) { s.secret("nats/username", "rosey"); s.secret("nats/password", rightPassword) },
	},
	status.ReasonNATSPermissionMissing: {
		before: func(s *stage) {
			s.secret("nats/username", "rosey")
			s.secret("nats/password", rightPassword)
			s.natsCredentials = filepath.Join(s.dir, "nats")
			s.nats.Restart(forbidding("rosey.db.messages.outbound.get"))
		},
		says: "rosey.db.messages.outbound.get",
		mend: func(s *stage) { s.nats.Restart(forbidding()) },
	},
	status.ReasonServiceAbsent: {
		strike: func(s *stage) { s.service.end(syscall.SIGKILL) },
		says:   "no database service answers on rosey.db.…; events are kept until one answers",
		mend:   (*stage).startService,
	},
}

func asking(user, password string) func(*server.Options) {
	return func(o *server.Options) { o.Username, o.Password = user, password }
}

// forbidding lets the user rosey publish everything but some subjects.
func forbidding(subjects ...string) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{{
			Username: "rosey", Password: rightPassword,
			Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: subjects}},
		}}
	}
}

// TestEveryCauseIsToldAndOutlived starts the program itself for each reason why a bot cannot do its job, reads the
// reason and the sentence from its status, mends the cause, and sees it work again by itself.
func TestEveryCauseIsToldAndOutlived(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup
	for _, causes := range []map[status.Reason]cause{channelCauses, busCauses} {
		for reason, why := range causes {
			running.Go(func() {
				t.Run(string(reason), func(t *testing.T) { why.play(newStage(t, why.limits), reason) })
			})
		}
	}
	running.Wait() // all at once: they wait most of the time, and -parallel counts processors
}

func (why cause) play(s *stage, reason status.Reason) {
	s.Helper()
	if why.before != nil {
		why.before(s)
	}
	s.startService()
	s.start()
	if why.strike != nil {
		s.await(status.ReasonReady)
		why.strike(s)
	}
	report := s.awaitMessage(reason, why.says)
	if report.Ready {
		s.Errorf("ready with the reason %s and the message %q", reason, report.Message)
	}
	if why.mend != nil {
		why.mend(s)
	}
	s.await(status.ReasonReady)
	if code, body := s.bot.get(status.ReadyPath); code != 200 {
		s.Errorf("ready: %d %s", code, body)
	}
	for _, secret := range []string{rightPassword, wrongPassword, doorPassword} {
		if strings.Contains(fmt.Sprint(s.bot.log(), s.service.log(), report), secret) {
			s.Errorf("the secret %s is shown", secret)
		}
	}
}
