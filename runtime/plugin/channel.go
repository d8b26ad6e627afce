package plugin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// Channel is the channel in which the plugin runs, and what the plugin may do there beside answering calls. A Call and
// an Event have one too. It is safe for concurrent use.
type Channel struct {
	runner *runner
	call   string // ID of the call because of which it is used; empty: none
	log    *slog.Logger
}

// Errors of requests, for errors.Is.
var (
	// ErrAway means that nobody answered: no bot is in the channel, or no database service runs.
	ErrAway = errors.New("nobody answers")
	// ErrAbsent is an ErrAway, too, where it is sure that nothing was done: nobody was there to get the request.
	ErrAbsent = fmt.Errorf("%w: nobody is there", ErrAway)
	// ErrNotGranted means that the plugin may not do this: it is not among its grants, or the person whose call it is has
	// too low a rank.
	ErrNotGranted = errors.New("not granted")
	// ErrThrottled means that the plugin says too much at once.
	ErrThrottled = errors.New("too much at once")
	// ErrInvalid means that the request is not as it should be: a link that CyTube does not play, for example.
	ErrInvalid = errors.New("not valid")
	// ErrUnconfirmed means that the bot has asked the CyTube server for it, which has not shown in time that it was done:
	// it may be done yet. A Handler that returns it has the person told so, and the call counts for the cooldown.
	ErrUnconfirmed = errors.New("not confirmed")
)

// RequestError is what a request fails with that the bot has answered. errors.Is finds ErrNotGranted, ErrThrottled,
// ErrInvalid or ErrUnconfirmed in it, and none of them if the CyTube server has refused it.
type RequestError struct {
	// What was requested, and Why it was not done, for people.
	What, Why string
	kind      error
}

// Error implements error.
func (e *RequestError) Error() string {
	if e.kind == nil {
		return e.What + ": " + e.Why
	}
	return fmt.Sprintf("%s: %s: %s", e.What, e.kind, e.Why)
}

// Unwrap returns ErrNotGranted, ErrThrottled, ErrInvalid, ErrUnconfirmed or nil.
func (e *RequestError) Unwrap() error { return e.kind }

// Name returns the name of the channel, and Server its server's URL.
func (c *Channel) Name() string { return c.runner.options.Channel }

// Server returns the URL of the CyTube server.
func (c *Channel) Server() string { return c.runner.options.Server }

// Plugin returns the name of the plugin in this channel.
func (c *Channel) Plugin() string { return c.runner.subjects.Name }

// Now returns the time by the plugin's clock: use it instead of time.Now, so that tests can turn it.
func (c *Channel) Now() time.Time { return c.runner.options.Clock.Now() }

// Log returns the logger of the plugin. Its lines have the name of the plugin, and the ID of the call. What people have
// typed does not belong there.
func (c *Channel) Log() *slog.Logger { return c.log }

// Settings returns the values of the settings as they are now.
func (c *Channel) Settings() Settings { return c.runner.settings.current() }

// Count adds to something that Plugin.Counter has declared. What is not declared is not counted, nor is less than 1.
func (c *Channel) Count(what string, by int64) {
	if by > 0 && slices.Contains(c.runner.plugin.counters, what) {
		c.runner.metrics.count(c.Plugin(), what, float64(by))
	}
}

// KV returns what the plugin stores.
func (c *Channel) KV() KV { return KV{c} }

// Say makes the bot say lines in the chat, and returns when it has. Each of at most 5 lines has at most 320 UTF-16 code
// units. To speak other than because of a call, the plugin needs the grant "say". Lines that could not be said within
// 30 seconds are given up.
func (c *Channel) Say(ctx context.Context, lines ...string) error {
	return c.say(ctx, bus.PluginSayRequest{Lines: lines})
}

// Whisper makes the bot say lines to one person, by private message. It is otherwise like Say.
func (c *Channel) Whisper(ctx context.Context, user string, lines ...string) error {
	return c.say(ctx, bus.PluginSayRequest{Lines: lines, To: bus.ViaPM, User: user})
}

func (c *Channel) say(ctx context.Context, request bus.PluginSayRequest) error {
	if err := checkLines(request.Lines); err != nil {
		return fmt.Errorf("saying something: %w", err)
	}
	request.ID, request.Call = rand.Text(), c.call
	_, err := c.do(ctx, c.runner.subjects.Say(), "saying something", request)
	return err
}

// Queue puts a line into the outbound queue of the database: it is said even if the bot restarts in between. The plugin
// needs the grant "queue".
func (c *Channel) Queue(ctx context.Context, line string) error {
	if err := checkLines([]string{line}); err != nil {
		return fmt.Errorf("queuing a line: %w", err)
	}
	request := bus.PluginQueueRequest{ID: rand.Text(), Call: c.call, Line: line}
	_, err := c.do(ctx, c.runner.subjects.Queue(), "queuing a line", request)
	return err
}

// Declare adds a command while the plugin runs, and Withdraw removes one, which may be one that was declared before.
// The bot looks at the commands again. Each process of the plugin declares its own: with several replicas, each has to.
func (c *Channel) Declare(declared Command, handle Handler) error {
	return c.runner.declare(command{Command: declared, handle: handle})
}

// Withdraw is described at Declare.
func (c *Channel) Withdraw(name string) { c.runner.withdraw(name) }

// Verb is something that a plugin may be granted to do.
type Verb = bus.PluginVerb

// The verbs, with the fields of Action that they use.
const (
	PlaylistAdd     = bus.VerbPlaylistAdd     // URL, at the end
	PlaylistSkip    = bus.VerbPlaylistSkip    // what plays; UID: only if it is this
	PlaylistRemove  = bus.VerbPlaylistRemove  // UID
	PlaylistJump    = bus.VerbPlaylistJump    // UID
	PlaylistShuffle = bus.VerbPlaylistShuffle // all of it
	PollOpen        = bus.VerbPollOpen        // Title, Options, ObscureResults
	PollClose       = bus.VerbPollClose       // the one that is open; Opened: only if it is this
	Kick            = bus.VerbKick            // User, Reason
)

// Action says what a verb is about. Act sets Call, and ID if that is empty.
type Action = bus.PluginActRequest

// Act does something in the channel, and returns when the channel shows that it was done. The plugin needs a grant for
// the verb. If the grant names a rank, the person whose call this is must have it, and the plugin cannot do it by
// itself. Because of a call at most three things are done, and none a while after its answer: as long as the command's
// time for an answer. To try again after an error, without doing it twice, use the same Action.ID.
func (c *Channel) Act(ctx context.Context, verb Verb, action Action) error {
	_, err := c.act(ctx, verb, action)
	return err
}

// Item is an item of the playlist.
type Item = bus.QueuedMedia

// Add is Act with PlaylistAdd, and returns what was added, as the channel shows it: of a list the first item.
func (c *Channel) Add(ctx context.Context, url string) (Item, error) {
	return c.add(ctx, Action{URL: url})
}

// CheckAdd returns the error that Add would have, as far as the bot can tell: the link is none that CyTube plays, or it
// may not be added. Nothing is added. Of the item, Type and ID are known, which are the same for all links of a film; a
// bot of an earlier version does not say them.
func (c *Channel) CheckAdd(ctx context.Context, url string) (Item, error) {
	return c.add(ctx, Action{URL: url, Check: true})
}

func (c *Channel) add(ctx context.Context, action Action) (Item, error) {
	outcome, err := c.act(ctx, PlaylistAdd, action)
	if err != nil || outcome.Item == nil {
		return Item{}, err
	}
	return *outcome.Item, nil
}

func (c *Channel) act(ctx context.Context, verb Verb, action Action) (bus.PluginOutcome, error) {
	action.Call = c.call
	if action.ID == "" {
		action.ID = rand.Text()
	}
	return c.do(ctx, c.runner.subjects.Act(verb), string(verb), action)
}

// outcomeErrors are the kinds of RequestErrors.
var outcomeErrors = map[string]error{
	bus.OutcomeThrottled: ErrThrottled, bus.OutcomeDenied: ErrNotGranted, bus.OutcomeInvalid: ErrInvalid,
	bus.OutcomeUnconfirmed: ErrUnconfirmed,
}

// do sends a request to the bot and returns what became of it.
func (c *Channel) do(ctx context.Context, subject, what string, request any) (outcome bus.PluginOutcome, err error) {
	if err := c.request(ctx, subject, what, request, &outcome); err != nil {
		return outcome, err
	}
	if !outcome.Success {
		return outcome, &RequestError{what, outcome.Error, outcomeErrors[outcome.Outcome]}
	}
	return outcome, nil
}

// Thing is a part of the channel's state.
type Thing = bus.PluginThing

// The parts, with the fields of State that they set.
const (
	Users    = bus.StateUsers    // Users, UserCount, Connected
	Media    = bus.StateMedia    // Playing, PlaybackLeader
	Playlist = bus.StatePlaylist // Next, PlaylistItems
	Polls    = bus.StatePoll     // Poll, the last one
)

// Playing is what plays.
type Playing = bus.PlayingMedia

// State is a part of the channel's state, beside Joined and Self, the bot's name.
type State = bus.ChannelState

// Poll is a poll of the channel.
type Poll = bus.Poll

// State returns a part of the channel's state. The plugin needs a grant for it.
func (c *Channel) State(ctx context.Context, thing Thing) (State, error) {
	what := "asking for " + string(thing)
	var reply struct {
		State

		Outcome string `json:"outcome"`
		Error   string `json:"error"`
	}
	err := c.request(ctx, c.runner.subjects.State(thing), what, struct{}{}, &reply)
	if err == nil && !reply.Success {
		err = &RequestError{what, reply.Error, outcomeErrors[reply.Outcome]}
	}
	return reply.State, err
}

// waits returns how long the answer to a request is waited for, in milliseconds. The bot does nothing afterwards.
func waits(ctx context.Context) string {
	wait := bus.PluginRequestTimeout
	if deadline, has := ctx.Deadline(); has {
		wait = max(min(wait, time.Until(deadline)), time.Millisecond)
	}
	return strconv.FormatInt(wait.Milliseconds(), 10)
}

// request sends a request as JSON and decodes the reply.
func (c *Channel) request(ctx context.Context, subject, what string, request, reply any) error {
	data, err := json.Marshal(request)
	if err == nil && len(data) > bus.MaxPluginBytes && !isKV(what) {
		err = fmt.Errorf("%d bytes, expected at most %d", len(data), bus.MaxPluginBytes)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	m, err := c.runner.options.Conn.RequestMsg(ctx, &nats.Msg{
		Subject: subject, Data: data, Header: nats.Header{bus.DeadlineHeader: {waits(ctx)}},
	}, bus.PluginRequestTimeout)
	c.runner.metrics.requested(c.Plugin(), err)
	_, isDenied := errors.AsType[*bus.DeniedError](err)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	case isDenied:
		return fmt.Errorf("%s: %w: the NATS user may not request %s", what, ErrNotGranted, subject)
	case errors.Is(err, bus.ErrNoService), errors.Is(err, bus.ErrNotConnected):
		return fmt.Errorf("%s: %w", what, ErrAbsent)
	case errors.Is(err, bus.ErrNoReply):
		return fmt.Errorf("%s: %w", what, ErrAway)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := json.Unmarshal(m.Data, reply); err != nil {
		return fmt.Errorf("%s: decoding the reply: %w", what, err)
	}
	return nil
}
