// Package plugintest tests plugins: it runs one in a channel of its own, without a bot, a cluster or a network.
//
//	func TestGreets(t *testing.T) {
//		room := plugintest.Open(t, newGreeter())
//		room.As("alice", plugin.Registered).Says("!hello").Expects("Hello, alice")
//	}
//
// A Room is a NATS server inside the test, and what answers the plugin there: the bot's side of the wire, and a
// key-value store in memory with revisions and a quota. The plugin is called over NATS, with the messages of a real
// bot. Everything is granted and works unless Deny, Away, HoldBack or Refuse says otherwise; cooldowns are not waited
// for. What is added to the playlist gets the UIDs from 1 on and the title "Film LINK"; it follows what plays, and acts
// of the plugin, PlaysNext and Plays change what plays, with the events of a server.
//
// The plugin's clock stands still at Epoch until Pass turns it, and what the plugin does every so often is done on the
// way. Nothing waits for real time, except for lines that the plugin says by itself: Hears waits until one comes.
package plugintest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/natsserver"
	"rosey.dev/rosey/runtime/plugin"
)

// T is what a Room needs of a test. Every testing.TB is one.
type T interface {
	Helper()
	Errorf(format string, arguments ...any)
	Fatalf(format string, arguments ...any)
	Logf(format string, arguments ...any)
	Cleanup(end func())
}

// Names of a Room.
const (
	ChannelName = "testroom"
	ServerURL   = "https://cytube.example"
	// BotName is the name of the bot.
	BotName = "Rosey"
)

// Room is a channel in which one plugin runs.
type Room struct {
	t        T
	plugin   *plugin.Plugin // nil: it is in another process
	subjects bus.PluginSubjects
	all      bus.Subjects
	conn     *bus.Conn
	own      *bus.Conn // of the plugin
	clock    *clock
	kv       *kvStore

	mu       sync.Mutex
	settings map[string]string
	faults   map[string]*fault // by the kind of request
	answers  map[plugin.Verb]bus.PluginOutcome
	lines    []Line
	acts     []Act
	heard    int           // how many of lines Hears has passed
	changed  chan struct{} // closed when there is another line, act or answer that is held back
	people   map[string]bus.ChannelUser
	state    plugin.State
	polls    int           // how many were opened
	votes    []int         // in the last one, by option
	hello    chan struct{} // closed at the first hello
	calls    int
	nextUID  int // of what is added to the playlist
	sent     int // events that the plugin handles
	metrics  *prometheus.Registry
}

// Line is a line that the plugin had said, other than as an answer.
type Line struct {
	Text string
	// To is who got it by private message. Empty: it was in the chat.
	To string
	// Call is the ID of the call because of which it was said. Empty: the plugin spoke by itself.
	Call string
	// Queued is true if it was put into the outbound queue.
	Queued bool
}

// Act is something that the plugin did in the channel.
type Act struct {
	Verb plugin.Verb
	plugin.Action
}

// Option changes a Room before the plugin starts.
type Option func(*Room)

// Setting gives a setting of the plugin a value.
func Setting(name, value string) Option { return func(r *Room) { r.settings[name] = value } }

// Stored stores a value before the plugin starts.
func Stored(key string, value any) Option { return func(r *Room) { r.Store(key, value) } }

// At makes the plugin's clock begin at a time instead of Epoch.
func At(begin time.Time) Option { return func(r *Room) { r.clock.now = begin } }

// MaxKeys bounds how many keys the plugin may store.
func MaxKeys(count int) Option { return func(r *Room) { r.kv.maxKeys = count } }

// startTimeout is how long a plugin may take to start, and waitTimeout how long is waited for what it does by itself.
const startTimeout, waitTimeout = 20 * time.Second, 10 * time.Second

// Open starts a plugin in a Room. It ends with the test, which fails if the plugin does.
func Open(t T, p *plugin.Plugin, options ...Option) *Room {
	t.Helper()
	subjects, err := bus.NewSubjects("test")
	if err != nil {
		t.Fatalf("subjects: %v", err)
	}
	r := newRoom(t, subjects)
	r.plugin = p
	for _, apply := range options {
		apply(r)
	}
	if r.subjects, err = subjects.Plugin(ChannelName, p.Name()); err != nil {
		t.Fatalf("the plugin: %v", err)
	}
	r.start()
	return r
}

// newRoom returns a Room without a plugin and a connection.
func newRoom(t T, subjects bus.Subjects) *Room {
	r := &Room{
		t: t, all: subjects, clock: newClock(), settings: map[string]string{}, faults: map[string]*fault{},
		answers: map[plugin.Verb]bus.PluginOutcome{}, changed: make(chan struct{}), people: map[string]bus.ChannelUser{},
		state: plugin.State{Success: true, Joined: true, Self: BotName, Server: ServerURL, Channel: ChannelName},
		hello: make(chan struct{}), metrics: prometheus.NewRegistry(),
	}
	r.kv = newKVStore(r.clock.Now)
	return r
}

// start starts the server, the Room's side and the plugin.
func (r *Room) start() {
	r.t.Helper()
	log := slog.New(slog.NewTextHandler(testLog{r.t}, nil))
	server, err := natsserver.Start(natsserver.Options{Log: log})
	if err != nil {
		r.t.Fatalf("starting a NATS server: %v", err)
	}
	r.t.Cleanup(server.Stop)
	r.conn = r.connect(server, "the room", r.all.InboxPrefix(bus.BotRole))
	r.serve()
	r.own = r.connect(server, "the plugin", r.subjects.InboxPrefix())
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- r.plugin.Run(ctx, plugin.Options{
			Conn: r.own, Subjects: r.all, Server: ServerURL, Channel: ChannelName, Settings: r.currentSettings, Log: log,
			Clock: r.clock, Metrics: plugin.NewMetrics(r.metrics),
		})
	}()
	select {
	case <-r.hello:
		r.t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				r.t.Errorf("the plugin: %v", err)
			}
		})
	case err := <-ended:
		stop()
		r.t.Fatalf("the plugin does not start: %v", err)
	case <-time.After(startTimeout):
		stop()
		r.t.Fatalf("the plugin does not start")
	}
}

func (r *Room) connect(server *natsserver.Server, name, inbox string) *bus.Conn {
	r.t.Helper()
	conn, err := bus.Connect(context.Background(), bus.Options{
		URL: natsserver.Name, Name: name, InboxPrefix: inbox, InProcess: server, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		r.t.Fatalf("connecting %s: %v", name, err)
	}
	r.t.Cleanup(conn.Close)
	return conn
}

// serve answers what the plugin requests.
func (r *Room) serve() {
	r.t.Helper()
	for subject, handle := range map[string]func(m *nats.Msg){
		r.subjects.All():   r.answer,
		r.subjects.AnyKV(): r.answerKV,
	} {
		if _, err := r.conn.NATS().Subscribe(subject, handle); err != nil {
			r.t.Fatalf("subscribing to %s: %v", subject, err)
		}
	}
	if err := r.conn.NATS().Flush(); err != nil {
		r.t.Fatalf("subscribing: %v", err)
	}
}

func (r *Room) answerKV(m *nats.Msg) {
	op := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	denied := func(why string) any { return kvFailed(bus.KVInternalError, "%s", why) }
	r.reply(m, "kv."+op, denied, func() any { return r.kv.answer(bus.PluginKVOp(op), m.Data) })
}

// answer handles what the plugin sends to the bot, which drops what is too large.
func (r *Room) answer(m *nats.Msg) {
	if len(m.Data) > bus.MaxPluginBytes {
		return
	}
	_, _, rest, _ := r.all.PluginOfSubject(m.Subject)
	what := strings.TrimPrefix(rest, "out.")
	kind, name, _ := strings.Cut(what, ".")
	var do func() any
	switch kind {
	case "hello":
		r.mu.Lock()
		defer r.mu.Unlock()
		select {
		case <-r.hello:
		default:
			close(r.hello)
		}
		return
	case "say":
		do = func() any { return r.said(m.Data) }
	case "take":
		do = r.taken
	case "queue":
		do = func() any { return r.queued(m.Data) }
	case "act":
		do = func() any { return r.acted(plugin.Verb(name), m.Data) }
	case "state":
		do = func() any { return r.stateOf(plugin.Thing(name)) }
	default:
		return
	}
	r.reply(m, what, deniedOutcome, do)
}

func respond(m *nats.Msg, reply any) {
	if data, err := bus.Encode(reply); err == nil {
		_ = m.Respond(data) // the connection is closed at the end of the test
	}
}

func (r *Room) said(body []byte) bus.PluginOutcome {
	var request bus.PluginSayRequest
	if err := json.Unmarshal(body, &request); err != nil || len(request.Lines) == 0 {
		return bus.PluginOutcome{Outcome: bus.OutcomeInvalid, Error: "expected lines"}
	}
	if refused, set := r.refused("say"); set {
		return refused
	}
	var lines []Line
	for _, text := range request.Lines {
		lines = append(lines, Line{Text: text, To: request.User, Call: request.Call})
	}
	r.record(lines, nil)
	return bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone}
}

// taken answers a plugin that takes a line as a command: that waits no cooldown, unless it is refused.
func (r *Room) taken() any {
	if refused, set := r.refused("take"); set {
		return bus.PluginOutcome{Outcome: bus.OutcomeThrottled, Error: refused.Error}
	}
	return bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone}
}

// refused returns what Refuse or LeaveUnconfirmed has set for a verb.
func (r *Room) refused(verb plugin.Verb) (answer bus.PluginOutcome, set bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer, set = r.answers[verb]
	return answer, set
}

func (r *Room) queued(body []byte) bus.PluginOutcome {
	var request bus.PluginQueueRequest
	if err := json.Unmarshal(body, &request); err != nil || request.Line == "" {
		return bus.PluginOutcome{Outcome: bus.OutcomeInvalid, Error: "expected a line"}
	}
	r.record([]Line{{Text: request.Line, Call: request.Call, Queued: true}}, nil)
	return bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone, Row: 1}
}

func (r *Room) acted(verb plugin.Verb, body []byte) bus.PluginOutcome {
	var action plugin.Action
	if err := json.Unmarshal(body, &action); err != nil || !slices.Contains(bus.PluginVerbs, verb) {
		return bus.PluginOutcome{Outcome: bus.OutcomeInvalid, Error: "no such verb"}
	}
	if verb == plugin.PlaylistAdd && !mediaLink.MatchString(action.URL) {
		return bus.PluginOutcome{Outcome: bus.OutcomeInvalid, Error: "expected the link of a video"}
	}
	if verb == plugin.PlaylistAdd && action.Call == "" && strings.HasPrefix(action.URL, "fi:") {
		// In a real channel too, a plugin adds a raw file only because of a call.
		return bus.PluginOutcome{Outcome: bus.OutcomeDenied, Error: "registered users may not add this"}
	}
	if !action.Check {
		r.record(nil, []Act{{verb, action}})
	}
	r.mu.Lock()
	answer, set := r.answers[verb]
	r.mu.Unlock()
	switch {
	case set:
		return answer
	case action.Check && verb == plugin.PlaylistAdd:
		item := plugin.Item{Media: bus.Media{Type: "yt", ID: idOf(action.URL)}}
		return bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone, Item: &item}
	case action.Check:
		return bus.PluginOutcome{Success: true, Outcome: bus.OutcomeDone}
	}
	return r.change(verb, action)
}

// mediaLink is what a Room takes for a link that CyTube plays, and filmSeconds the length of all that is added there.
var mediaLink = regexp.MustCompile(`^(?:[a-z]{2}:|https?://)\S+$`)

const filmSeconds = 5400

// idOf returns the ID of what a link leads to: of two forms of YouTube it is the same.
func idOf(link string) string {
	for _, beginning := range []string{"https://youtu.be/", "https://www.youtube.com/watch?v="} {
		if id, found := strings.CutPrefix(link, beginning); found {
			return id
		}
	}
	return link
}

// record records what the plugin did, and wakes those who wait for it.
func (r *Room) record(lines []Line, acts []Act) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines, r.acts = append(r.lines, lines...), append(r.acts, acts...)
	r.wake()
}

// wake wakes those who wait for something. It is called with the lock.
func (r *Room) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Room) stateOf(thing plugin.Thing) plugin.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := plugin.State{
		Success: true, Joined: true, Self: BotName, Server: ServerURL, Channel: ChannelName,
		At: r.clock.Now().UnixMilli(),
	}
	switch thing {
	case plugin.Users:
		for _, name := range slices.Sorted(maps.Keys(r.people)) {
			state.Users = append(state.Users, r.people[name])
		}
		state.UserCount, state.Connected = len(state.Users), len(state.Users)
	case plugin.Media:
		state.Playing, state.PlaybackLeader = r.state.Playing, r.state.PlaybackLeader
	case plugin.Playlist:
		state.Next, state.PlaylistItems = r.state.Next, r.state.PlaylistItems
	case plugin.Polls:
		state.Poll = r.state.Poll
	}
	return state
}

func (r *Room) currentSettings() (map[string]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.settings), nil
}

// Set gives a setting of the plugin another value, "" for none. The plugin sees it when its clock was turned.
func (r *Room) Set(name, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settings[name] = value
	if value == "" {
		delete(r.settings, name)
	}
}

// Refuse makes the channel refuse a verb from now on, or "say". What it refuses by "take" is that lines are taken as
// commands: everybody has to wait for their cooldowns.
func (r *Room) Refuse(verb plugin.Verb, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[verb] = bus.PluginOutcome{Outcome: bus.OutcomeFailed, Error: why}
}

// LeaveUnconfirmed makes the bot answer from now on that the server has not shown in time that a verb was done. It is
// not done.
func (r *Room) LeaveUnconfirmed(verb plugin.Verb) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[verb] = bus.PluginOutcome{
		Outcome: bus.OutcomeUnconfirmed, Error: "the server did not confirm it in time"}
}

// Now returns the time of the plugin's clock.
func (r *Room) Now() time.Time { return r.clock.Now() }

// Pass turns the plugin's clock. What the plugin does every so often is done on the way, at its time.
func (r *Room) Pass(d time.Duration) {
	r.t.Helper()
	if !r.clock.wait(len(r.plugin.Intervals()), startTimeout) {
		r.t.Fatalf("the plugin does not begin what it does every so often")
	}
	r.clock.advance(d)
}

// Store stores a value as the plugin would, and Stored decodes one into value, and reports whether there is one.
func (r *Room) Store(key string, value any) {
	encoded, err := json.Marshal(value)
	if err != nil {
		r.t.Fatalf("storing %s: %v", key, err)
	}
	request, _ := json.Marshal(bus.PluginKVRequest{Key: key, Value: encoded}) // of valid JSON
	r.kv.answer(bus.PluginKVSet, request)
}

// Stored is described at Store.
func (r *Room) Stored(key string, value any) bool {
	r.t.Helper()
	r.kv.mu.Lock()
	defer r.kv.mu.Unlock()
	r.kv.expire()
	one, exists := r.kv.keys[key]
	if exists {
		if err := json.Unmarshal(one.value, value); err != nil {
			r.t.Errorf("the value of %s: %v", key, err)
		}
	}
	return exists
}

// Acts returns what the plugin has done in the channel.
func (r *Room) Acts() []Act {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.acts)
}

// Lines returns what the plugin has said, other than as answers.
func (r *Room) Lines() []Line {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// testLog writes the log of the plugin into that of the test.
type testLog struct{ t T }

// Write implements io.Writer.
func (w testLog) Write(line []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSpace(string(line)))
	return len(line), nil
}

// String describes a line in a failure.
func (l Line) String() string {
	if l.To != "" {
		return fmt.Sprintf("to %s: %q", l.To, l.Text)
	}
	return fmt.Sprintf("%q", l.Text)
}
