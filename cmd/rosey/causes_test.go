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
	rightPassword   = "correct-horse"
	wrongPassword   = "battery-staple"
	channelPassword = "open-sesame"
)

// botRig is a bot process with its own CyTube server, NATS server and database service.
type botRig struct {
	*testing.T
	dir     string
	sim     *simulator.Server
	site    string
	nats    *natstest.Server
	bot     *roseyProcess
	service *roseyProcess

	// The bot's configuration. The last three are paths; empty: none.
	channel, username                       string
	account, channelSecret, natsCredentials string
}

func newBotRig(t *testing.T, limits simulator.Limits) *botRig {
	t.Helper()
	s := &botRig{T: t, dir: t.TempDir(), channel: "movienight", username: "Rosey"}
	s.sim, s.site = simulatortest.Start(t, simulator.Options{
		Limits: limits,
		Accounts: []simulator.Account{
			{Name: "Rosey", Password: rightPassword, Rank: 3}, {Name: "plain", Password: rightPassword},
		},
		Channels: []simulator.ChannelOptions{{Name: "private", Password: channelPassword}},
	})
	s.nats = natstest.Start(t)
	s.account = s.secret("account", rightPassword)
	return s
}

// secret writes the file of a secret and returns its path.
func (s *botRig) secret(name, content string) string {
	s.Helper()
	path := filepath.Join(s.dir, name)
	s.must(os.MkdirAll(filepath.Dir(path), 0o700))
	s.must(os.WriteFile(path, []byte(content+"\n"), 0o600))
	return path
}

func (s *botRig) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// startBot starts the bot, with additional environment variables.
func (s *botRig) startBot(environment ...string) {
	s.Helper()
	file := s.secret("bot.yaml", fmt.Sprintf(`channel: {server: %q, name: %s, passwordFile: %q}
account: {username: %s, passwordFile: %q}
nats: {url: %q, credentialsDir: %q}
http: {address: "127.0.0.1:0"}
`, s.site, s.channel, s.channelSecret, s.username, s.account, s.nats.URL(), s.natsCredentials))
	s.bot = startWithEnv(s.T, environment, "bot", "--config", file)
}

// startService starts a database service with the rig's database.
func (s *botRig) startService() {
	s.Helper()
	file := s.secret("db.yaml", fmt.Sprintf(`channel: {server: %q, name: %s}
nats: {url: %q, credentialsDir: %q}
http: {address: "127.0.0.1:0"}
database: {sqlite: {path: %q}}
`, s.site, s.channel, s.nats.URL(), s.natsCredentials, filepath.Join(s.dir, "rosey.db")))
	s.service = start(s.T, "db", "--config", file)
}

// waitTimeout is long enough for the pauses that the bot makes to spare the server, on a busy machine.
const waitTimeout = 90 * time.Second

// await waits until the bot's report has a reason.
func (s *botRig) await(reason status.Reason) {
	s.Helper()
	s.awaitMessage(reason, "")
}

// awaitMessage waits for a report of the reason whose message contains text. One reason can have several messages in
// turn: a request that was in flight when the service died times out before the next one finds no responders.
func (s *botRig) awaitMessage(reason status.Reason, text string) status.Report {
	s.Helper()
	var report status.Report
	for deadline := time.Now().Add(waitTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		_, body := s.bot.get(status.StatusPath)
		if json.Unmarshal([]byte(body), &report) == nil && report.Reason == reason &&
			strings.Contains(report.Message, text) {
			return report
		}
	}
	s.Fatalf("waited %s for reason %s with %q in its message; the last report is %+v\n%v",
		waitTimeout, reason, text, report, s.bot.log())
	return report
}

// dialOther returns another connection to the channel from the bot's address.
func (s *botRig) dialOther(options cytube.Options) *cytube.Conn {
	s.Helper()
	options.Server, options.Channel = s.site, s.channel
	conn, err := cytube.Dial(s.Context(), options)
	s.must(err)
	s.Cleanup(conn.Close)
	return conn
}

// simChannel is the bot's channel on the CyTube server.
func (s *botRig) simChannel() *simulator.Channel { return s.sim.Channel(s.channel) }

// cause is a reason why a bot is not ready. It exists from the start, or occurs once the bot is ready.
type cause struct {
	limits simulator.Limits
	// setup creates the cause before the bot starts. Nil: the bot becomes ready first.
	setup func(*botRig)
	// trigger creates the cause once the bot is ready.
	trigger func(*botRig)
	// message is a part of the expected message.
	message string
	// repair removes the cause. Nil: it goes away on its own.
	repair func(*botRig)
}

var channelCauses = map[status.Reason]cause{
	status.ReasonServerUnreachable: {
		setup:   func(s *botRig) { s.sim.Restart(time.Hour) },
		message: "cannot reach http://127.0.0.1:",
		repair:  func(s *botRig) { s.sim.Restart(0) },
	},
	status.ReasonChannelRefused: {
		trigger: func(s *botRig) { s.must(s.simChannel().Kick("Rosey", "Invalid channel name")) },
		message: "the server refuses the channel: Invalid channel name",
	},
	status.ReasonChannelPasswordWrong: {
		setup: func(s *botRig) {
			s.channel, s.username, s.channelSecret = "private", "plain", s.secret("channel", wrongPassword)
		},
		message: "channel private refuses the channel password",
		repair:  func(s *botRig) { s.secret("channel", channelPassword) },
	},
	status.ReasonChannelPasswordAbsent: {
		setup:   func(s *botRig) { s.channel, s.channelSecret = "private", filepath.Join(s.dir, "channel") },
		message: "channel is absent or empty",
		repair:  func(s *botRig) { s.secret("channel", channelPassword) },
	},
	status.ReasonAccountPasswordAbsent: {
		setup:   func(s *botRig) { s.must(os.Remove(s.account)) },
		message: "account is absent or empty",
		repair:  func(s *botRig) { s.secret("account", rightPassword) },
	},
	status.ReasonLoginRefused: {
		setup:   func(s *botRig) { s.secret("account", wrongPassword) },
		message: "login as Rosey refused: Invalid username/password combination",
		repair:  func(s *botRig) { s.secret("account", rightPassword) },
	},
	status.ReasonNameTaken: {
		setup:   func(s *botRig) { s.username, s.account = "visitor", ""; s.must(s.simChannel().Join("visitor")) },
		message: "login as visitor refused: That name is already in use on this channel.",
		repair:  func(s *botRig) { s.must(s.simChannel().Leave("visitor")) },
	},
	status.ReasonLoginLimited: {
		limits: simulator.Limits{GuestLoginDelay: 10 * time.Second},
		setup: func(s *botRig) {
			s.username, s.account = "visitor", ""
			s.dialOther(cytube.Options{Username: "somebody"})
		},
		message: "Guest logins are restricted to one per IP address per 10 seconds.",
	},
	status.ReasonConnectionLimited: {
		limits:  simulator.Limits{Connections: 1},
		setup:   func(s *botRig) { other := s.dialOther(cytube.Options{}); s.Cleanup(other.Close) },
		message: "Too many connections from your IP address",
		repair:  func(s *botRig) { s.sim.Restart(0) },
	},
	status.ReasonKicked: {
		trigger: func(s *botRig) { s.must(s.simChannel().Kick("Rosey", "be nice")) },
		message: "kicked from the channel: be nice",
	},
	status.ReasonBanned: {
		trigger: func(s *botRig) { s.must(s.simChannel().Ban("Rosey", "spam")) },
		message: "banned from the channel: ",
		repair: func(s *botRig) { // a restart saves waiting a quarter of an hour
			s.must(s.simChannel().Unban("Rosey"))
			s.bot.end(syscall.SIGTERM)
			s.startBot()
		},
	},
	status.ReasonDisconnected: {
		trigger: func(s *botRig) { s.must(s.simChannel().Disconnect("Rosey")) },
		message: "ended by the server",
	},
	status.ReasonDuplicateLogin: {
		trigger: func(s *botRig) { s.dialOther(cytube.Options{Username: "Rosey", Password: rightPassword}) },
		message: "somebody else logged in with the bot's account",
	},
}

var busCauses = map[status.Reason]cause{
	status.ReasonNATSUnreachable: {
		setup:   func(s *botRig) { s.nats.Stop() },
		message: "cannot reach NATS at nats://127.0.0.1:",
		repair:  func(s *botRig) { s.nats.Restart() },
	},
	status.ReasonNATSRefused: {
		setup:   func(s *botRig) { s.nats.Restart(requireLogin("rosey", rightPassword)) },
		message: "refuses the connection: authorization violation",
		repair:  func(s *botRig) { s.nats.Restart(requireLogin("", "")) },
	},
	status.ReasonNATSCredentialsAbsent: {
		setup: func(s *botRig) {
			s.natsCredentials = filepath.Join(s.dir, "nats")
			s.nats.Restart(requireLogin("rosey", rightPassword))
		},
		message: "no usable credentials",
		repair:  func(s *botRig) { s.secret("nats/username", "rosey"); s.secret("nats/password", rightPassword) },
	},
	status.ReasonNATSPermissionMissing: {
		setup: func(s *botRig) {
			s.secret("nats/username", "rosey")
			s.secret("nats/password", rightPassword)
			s.natsCredentials = filepath.Join(s.dir, "nats")
			s.nats.Restart(denyPublish("rosey.db.messages.outbound.get"))
		},
		message: "rosey.db.messages.outbound.get",
		repair:  func(s *botRig) { s.nats.Restart(denyPublish()) },
	},
	status.ReasonServiceAbsent: {
		trigger: func(s *botRig) { s.service.end(syscall.SIGKILL) },
		message: "no database service answers on rosey.db.…; events are kept until one answers",
		repair:  (*botRig).startService,
	},
}

func requireLogin(user, password string) func(*server.Options) {
	return func(o *server.Options) { o.Username, o.Password = user, password }
}

// denyPublish permits the user rosey to publish to all subjects but the given ones.
func denyPublish(subjects ...string) func(*server.Options) {
	return func(o *server.Options) {
		o.Users = []*server.User{{
			Username: "rosey", Password: rightPassword,
			Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: subjects}},
		}}
	}
}

// TestEveryCauseIsReportedAndSurvived starts the program for each reason why a bot can be not ready, reads the reason
// and the message from its status, removes the cause, and waits until the bot is ready again on its own.
func TestEveryCauseIsReportedAndSurvived(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup
	for _, causes := range []map[status.Reason]cause{channelCauses, busCauses} {
		for reason, why := range causes {
			running.Go(func() {
				t.Run(string(reason), func(t *testing.T) { why.run(newBotRig(t, why.limits), reason) })
			})
		}
	}
	running.Wait() // all at once: they mostly wait, and -parallel depends on the number of processors
}

func (why cause) run(s *botRig, reason status.Reason) {
	s.Helper()
	if why.setup != nil {
		why.setup(s)
	}
	s.startService()
	s.startBot()
	if why.trigger != nil {
		s.await(status.ReasonReady)
		why.trigger(s)
	}
	report := s.awaitMessage(reason, why.message)
	if report.Ready {
		s.Errorf("ready with the reason %s and the message %q", reason, report.Message)
	}
	if why.repair != nil {
		why.repair(s)
	}
	s.await(status.ReasonReady)
	if code, body := s.bot.get(status.ReadyPath); code != 200 {
		s.Errorf("ready: %d %s", code, body)
	}
	for _, secret := range []string{rightPassword, wrongPassword, channelPassword} {
		if strings.Contains(fmt.Sprint(s.bot.log(), s.service.log(), report), secret) {
			s.Errorf("the secret %s is shown", secret)
		}
	}
}
