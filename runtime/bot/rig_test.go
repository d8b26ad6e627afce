package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/cable"
	"rosey.dev/rosey/test/logtest"
)

const (
	accountPassword = "correct-horse"
	channelPassword = "open-sesame"
	wrongPassword   = "battery-staple"
	prefix          = "rosey_test"
)

// rig is a bot with its surroundings: a CyTube server behind a connection that can be cut, a NATS server, a fake
// database service that records what it receives, and the bot's log.
type rig struct {
	t        *testing.T
	sim      *simulator.Server
	channel  *simulator.Channel
	cable    *cable.Cable
	nats     *natstest.Server
	service  *service
	log      *logBuffer
	metrics  *prometheus.Registry
	instance string
	// elector configures the bot's elector. Nil: the bot is the only one.
	elector *leader.Options

	config  config.Config
	timings timings
	bot     *Bot
	bus     *bus.Conn
	pub     *publisher.Publisher
	stop    func() error
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, simulator.Options{})
}

// newRigWith returns a rig whose CyTube server has the given channels and limits.
func newRigWith(t *testing.T, options simulator.Options) *rig {
	t.Helper()
	options.Accounts = []simulator.Account{
		{Name: "Rosey", Password: accountPassword, Rank: 3}, {Name: "plain", Password: "p"},
		{Name: "owner", Rank: 5}, {Name: "mod", Rank: 2},
	}
	options.Channels = append(options.Channels, simulator.ChannelOptions{Name: "private", Password: channelPassword})
	options.UsercountInterval = -1
	log := &logBuffer{}
	t.Cleanup(func() { log.checkForPasswords(t) })
	sim, url := simulatortest.Start(t, options)
	natsServer := natstest.Start(t)
	line := cable.New(t, strings.TrimPrefix(url, "http://"))
	r := &rig{
		t: t, sim: sim, channel: sim.Channel("movienight"), cable: line,
		nats: natsServer, service: startService(t, natsServer.Client()), log: log,
		metrics: prometheus.NewRegistry(), instance: "pod-1",
		config: config.Config{
			Channel:  config.Channel{Server: "http://" + line.Address(), Name: "movienight"},
			Account:  &config.Account{Username: "rosey", PasswordFile: secret(t, accountPassword)},
			NATS:     config.NATS{URL: natsServer.URL(), SubjectPrefix: prefix},
			Commands: config.Commands{Chat: new(true), PM: new(true), Prefix: "!", CooldownSeconds: new(5)},
		},
		timings: testTimings(),
	}
	return r
}

// testTimings returns the defaults, shorter where most tests would have to wait.
func testTimings() timings {
	t := defaultTimings()
	t.RetryMin, t.RetryMax = 20*time.Millisecond, 200*time.Millisecond
	t.MinPauses = map[status.Reason]time.Duration{status.ReasonBanned: 100 * time.Millisecond}
	t.Limits[status.ReasonConnectionLimited] = serverLimit{Interval: 50 * time.Millisecond, Burst: 1}
	t.Secrets, t.Outbound = 10*time.Millisecond, 20*time.Millisecond
	return t
}

// secret returns the name of a file with a password.
func secret(t *testing.T, password string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	writeSecret(t, file, password)
	return file
}

func writeSecret(t *testing.T, file, password string) {
	t.Helper()
	must(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
}

// make creates the bot, its connection to NATS and its publisher.
func (r *rig) make() (connection *bus.Conn, pub *publisher.Publisher) {
	r.t.Helper()
	log := slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	subjects, err := bus.NewSubjects(r.config.NATS.SubjectPrefix)
	must(r.t, err)
	connection, err = bus.Connect(r.t.Context(), bus.Options{URL: r.config.NATS.URL, Name: "bot", Log: log})
	must(r.t, err)
	pub = publisher.New(publisher.Options{Conn: connection, Subjects: subjects, Log: log})
	r.bus, r.pub = connection, pub
	var elector *leader.Elector
	if r.elector != nil {
		r.elector.Conn, r.elector.Subjects, r.elector.Log = connection, subjects, log
		r.elector.Server, r.elector.Channel = r.config.Channel.Server, r.config.Channel.Name
		elector = leader.New(*r.elector)
	}
	lineWaits, err := bus.SubscribeWaiting(connection, subjects, r.config.Channel.Name)
	must(r.t, err)
	r.bot = New(r.config, Options{
		Elector:    elector,
		Publisher:  pub,
		Requester:  bus.NewRequester(connection, subjects),
		Log:        log,
		Conn:       connection,
		Subjects:   subjects,
		Waiting:    lineWaits,
		Instance:   r.instance,
		Registerer: r.registerer(),
	})
	r.bot.timings = r.timings
	return connection, pub
}

func (r *rig) registerer() prometheus.Registerer {
	if r.metrics == nil {
		return nil
	}
	return r.metrics
}

// start runs the bot. It ends with the test, or with r.stop, which returns Run's error.
func (r *rig) start() {
	r.t.Helper()
	connection, pub := r.make()
	publishing, stopPublishing := context.WithCancel(context.WithoutCancel(r.t.Context()))
	running, stopRunning := context.WithCancel(publishing)
	var workers sync.WaitGroup
	workers.Go(func() { pub.Run(publishing) })
	ended := make(chan error, 1)
	workers.Go(func() { ended <- r.bot.Run(running) })
	r.stop = sync.OnceValue(func() error {
		stopRunning()
		err := <-ended
		stopPublishing()
		workers.Wait()
		connection.Close()
		return err
	})
	r.t.Cleanup(func() { _ = r.stop() })
}

// startJoined runs the bot and waits until it is in the channel and in the user list.
func (r *rig) startJoined() {
	r.t.Helper()
	r.start()
	r.awaitJoined()
}

func (r *rig) awaitJoined() {
	r.t.Helper()
	r.awaitReason(status.ReasonJoined)
	if r.config.Account == nil {
		return
	}
	r.eventually("the bot is in the user list", func() bool { return r.isThere() })
}

func (r *rig) awaitReason(reason status.Reason) status.Check {
	r.t.Helper()
	var check status.Check
	r.eventually("reason "+string(reason), func() bool {
		check = r.bot.Check()
		return check.Reason == reason
	})
	if check.OK != (reason == status.ReasonJoined) || check.Name != status.ChannelCheck {
		r.t.Errorf("check %+v", check)
	}
	return check
}

func (r *rig) eventually(what string, condition func() bool) {
	r.t.Helper()
	natstest.Eventually(r.t, what, condition)
}

// isThere reports whether the bot is in the user list.
func (r *rig) isThere() bool {
	return slices.ContainsFunc(r.channel.Users(), func(u simulator.User) bool {
		return strings.EqualFold(u.Name, "rosey")
	})
}

func (r *rig) say(user, text string) simulator.Entry {
	r.t.Helper()
	entry, err := r.channel.Say(user, text)
	must(r.t, err)
	return entry
}

// service is a fake database service, which records what it receives and hands out lines to say.
type service struct {
	t *testing.T

	mu       sync.Mutex
	received []received
	waiting  []bus.OutboundMessage
	requests int
	// putID is what OutboundPut is answered with.
	putID int64
}

// received is an event or a request, with the timestamp removed from its payload.
type received struct {
	Suffix  bus.Suffix
	ID      string
	At      time.Time
	Payload map[string]any
}

func startService(t *testing.T, client *nats.Conn) *service {
	t.Helper()
	s := &service{t: t}
	// With one subscription a reply shows that everything sent before it was recorded.
	_, err := client.Subscribe(prefix+".db.>", s.receive)
	must(t, err)
	must(t, client.Flush())
	return s
}

// hand replies with lines to say, as a service that deduplicates events by their IDs.
func (s *service) hand(m *nats.Msg) {
	reply := &nats.Msg{Data: s.answer(m.Data), Header: nats.Header{bus.IDsHeader: {"once"}}}
	if err := m.RespondMsg(reply); err != nil {
		s.t.Error(err)
	}
}

func (s *service) answer(request []byte) []byte {
	var asked bus.OutboundGetRequest
	if err := json.Unmarshal(request, &asked); err != nil || asked.Limit == nil {
		s.t.Errorf("request %s: %v", request, err)
		return []byte("[]")
	}
	if *asked.Limit == 0 {
		return []byte("[]") // the request only looks for a service
	}
	if *asked.Limit < 1 || *asked.MaxRetries != 4 || asked.Channel == "" || asked.Claimant != "pod-1" {
		s.t.Errorf("request %s", request)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	reply, err := json.Marshal(append([]bus.OutboundMessage{}, s.waiting[:min(len(s.waiting), *asked.Limit)]...))
	if err != nil {
		s.t.Error(err)
	}
	return reply
}

func (s *service) receive(m *nats.Msg) {
	suffix := bus.Suffix(strings.TrimPrefix(m.Subject, prefix+"."))
	if suffix == bus.OutboundGet {
		s.hand(m)
		return
	}
	got := received{Suffix: suffix, ID: bus.EventID(m.Header.Get(bus.MsgIDHeader), suffix)}
	if m.Reply != "" {
		got.ID = m.Reply // a request has no ID and is sent once
		if !s.respond(m, suffix) {
			return
		}
	}
	var origin bus.Origin
	if json.Unmarshal(m.Data, &got.Payload) != nil || json.Unmarshal(m.Data, &origin) != nil || got.ID == "" {
		s.t.Errorf("message on %s with header %v: %s", m.Subject, m.Header, m.Data)
	}
	got.At = origin.Timestamp.Time
	delete(got.Payload, "timestamp")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, got)
	if id, ok := got.Payload["message_id"].(float64); ok {
		s.waiting = slices.DeleteFunc(s.waiting, func(m bus.OutboundMessage) bool { return m.ID == int64(id) })
	}
}

// respond replies to a request, and reports whether it has to be recorded.
func (s *service) respond(m *nats.Msg, suffix bus.Suffix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var reply string
	switch suffix {
	case bus.OutboundSent, bus.OutboundFailed:
		reply = `{"success":true}`
	case bus.OutboundPut:
		reply = fmt.Sprintf(`{"success":true,"id":%d}`, s.putID)
	case bus.QueryUserStats:
		reply = `{"username":"alice","first_seen":1763700000,"last_seen":1763700000,"total_chat_lines":3,` +
			`"total_time_connected":7300,"current_session_start":null,"success":true,"found":true}`
		if strings.Contains(string(m.Data), `"nobody"`) {
			reply = `{"username":"nobody","success":true,"found":false,"message":"no"}`
		}
	case bus.QueryChannelStats:
		reply = `{"high_water_mark":{"users":3,"timestamp":1},"high_water_connected":{"users":9,"timestamp":1},` +
			`"top_chatters":[{"username":"alice","chat_lines":3}],"total_users_seen":4,"success":true}`
	}
	if err := m.Respond([]byte(reply)); err != nil {
		s.t.Error(err)
	}
	return suffix == bus.OutboundSent || suffix == bus.OutboundFailed || suffix == bus.OutboundPut
}

// all returns the events so far, each of them once: an event that was not acknowledged is sent again with the same ID.
func (s *service) all() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	var once []received
	seen := map[string]bool{}
	for _, each := range s.received {
		if key := bus.MsgID(each.ID, each.Suffix); !seen[key] {
			seen[key] = true
			once = append(once, each)
		}
	}
	return once
}

func (s *service) on(suffix bus.Suffix) []received {
	return slices.DeleteFunc(s.all(), func(r received) bool { return r.Suffix != suffix })
}

func (s *service) toSay(lines ...bus.OutboundMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, lines...)
}

func (s *service) isEmpty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting) == 0
}

func (s *service) polls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// logBuffer has the bot's log.
type logBuffer struct{ logtest.Buffer }

func (l *logBuffer) count(text string) int { return strings.Count(l.String(), text) }

func (l *logBuffer) checkForPasswords(t *testing.T) {
	t.Helper()
	for _, password := range []string{accountPassword, channelPassword, wrongPassword} {
		if l.count(password) > 0 {
			t.Errorf("the log has the password %s", password)
		}
	}
	if t.Failed() {
		t.Log(l.String())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
