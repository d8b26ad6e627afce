package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// EventHandler reacts to an event. ctx ends after a minute at the latest. An error is logged.
type EventHandler func(ctx context.Context, e *Event) error

// Event is something that happened in the channel.
type Event struct {
	*Channel

	// Name is that of the event, for example Message.
	Name string
	// User is who it is about, if it is about somebody. The rank is known for Message, UserJoined and UserLeft.
	User User
	// Text is the line of a Message as plain text, and HTML as CyTube sent it.
	Text, HTML string
	// At is when it happened, in whole seconds.
	At time.Time
	// IsOwn is true for a line of the bot, by whichever plugin.
	IsOwn bool
	// Replayed is true for a line that was said before the bot joined: the server repeats the last ones.
	Replayed bool
	// IsIgnored is true for what somebody did whom the owner of the bot has it ignore: do not react to it.
	IsIgnored bool
	// CallID is, for Queued and QueueRefused, the Call.ID of the call because of which the plugin has had this added, or
	// wanted to. The server may show late what it has added, or another ID, and the items of a list one after the other.
	CallID string
	// Data is what CyTube sent, without what is private. Its form is that of the event of this name there.
	Data json.RawMessage

	// mayCall are the commands as which the line may be taken, as PLUGIN.NAME. Nil: the bot does not say. cooldowns are
	// those of them that have a cooldown.
	mayCall, cooldowns []string
}

// takeTimeout is how long Take waits for the bot: the events behind this one wait too.
const takeTimeout = 5 * time.Second

// Take reports whether a Message may be taken now as a call of a command of the plugin that has declared Lines, and
// begins the cooldown of the command for who wrote it. Call it when the line is sure to be meant. Lines of the bot
// itself, of people whom it ignores, who may not give this command, who have to wait for its cooldown, or who have
// left, and lines that are replayed are not to be taken. A bot of an earlier version may not know who may give a
// command: then everybody may whom it does not ignore. Or it does not know cooldowns of lines: then none holds. An
// error means that the bot did not answer in time, or could not.
func (e *Event) Take(ctx context.Context, command string) (taken bool, err error) {
	if e.mayCall == nil {
		return e.Name == Message && !e.IsOwn && !e.Replayed && !e.IsIgnored, nil
	}
	id := e.Plugin() + "." + command
	if !slices.Contains(e.mayCall, id) {
		return false, nil
	}
	if !slices.Contains(e.cooldowns, id) {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	_, err = e.do(ctx, e.runner.subjects.Take(), "taking a line as a command",
		bus.PluginTakeRequest{Command: command, User: e.User.Name})
	_, answered := errors.AsType[*RequestError](err)
	if answered && (errors.Is(err, ErrThrottled) || errors.Is(err, ErrNotGranted)) {
		return false, nil
	}
	return err == nil, err
}

// Events of every channel. The feed has others too, by the names that CyTube gives them.
const (
	Message      = "message"     // somebody wrote a line in the chat, the bot included
	UserJoined   = "user_join"   // somebody with a name came
	UserLeft     = "user_leave"  // and left
	MediaChanged = "changeMedia" // something else plays; Data has title, id, type and seconds
	PollOpened   = "newPoll"     // Data has title and options
	PollUpdated  = "updatePoll"  // Data has the counts
	PollClosed   = "closePoll"
	Queued       = "queue"     // something was added to the playlist
	QueueRefused = "queueFail" // the server has refused to add something; Data has msg
	Deleted      = "delete"    // something was removed from it
)

// feedEvent is the payload of an event of the feed, as far as it is of use here.
type feedEvent struct {
	Event    string `json:"event"`
	User     string `json:"user"`
	Text     string `json:"text"`
	Content  string `json:"content"`
	UserData struct {
		Rank float64 `json:"rank"`
	} `json:"user_data"`
	Timestamp    int64           `json:"timestamp"` // Unix seconds
	Own          bool            `json:"own"`
	Replayed     bool            `json:"replayed"`
	Ignored      bool            `json:"ignored"`
	MayCall      []string        `json:"may_call"`
	Cooldowns    []string        `json:"cooldowns"`
	Plugin       string          `json:"plugin"`
	Call         string          `json:"call"`
	PlatformData json.RawMessage `json:"platform_data"`
}

func (r *runner) newEvent(data []byte) (*Event, error) {
	var payload feedEvent
	if err := json.Unmarshal(data, &payload); err != nil {
		return nil, err //nolint:wrapcheck // the caller says what it is
	}
	if payload.Plugin != r.subjects.Name {
		payload.Call = ""
	}
	return &Event{
		Channel: r.channel, Name: payload.Event, User: User{Name: payload.User, Rank: payload.UserData.Rank},
		Text: payload.Text, HTML: payload.Content, At: time.Unix(payload.Timestamp, 0).UTC(), IsOwn: payload.Own,
		Replayed: payload.Replayed, IsIgnored: payload.Ignored, CallID: payload.Call, Data: payload.PlatformData,
		mayCall: payload.MayCall, cooldowns: payload.Cooldowns,
	}, nil
}

// handleEvents handles events until ctx ends.
func (r *runner) handleEvents(ctx context.Context) {
	dropped := 0
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-r.events:
			r.metrics.events.WithLabelValues(r.subjects.Name, r.handleEvent(ctx, m)).Inc()
			now := r.dropped()
			r.metrics.events.WithLabelValues(r.subjects.Name, outcomeDropped).Add(float64(max(0, now-dropped)))
			dropped = now
		}
	}
}

// dropped returns how many events nats.go has dropped because others waited.
func (r *runner) dropped() (count int) {
	for _, subscription := range r.feeds {
		if dropped, err := subscription.Dropped(); err == nil {
			count += dropped
		}
	}
	return count
}

// handleEvent returns what became of an event.
func (r *runner) handleEvent(ctx context.Context, m *nats.Msg) (outcome string) {
	event, err := r.newEvent(m.Data)
	if err != nil {
		return outcomeMalformed
	}
	handle, known := r.plugin.events[event.Name]
	if !known {
		return outcomeMalformed
	}
	ctx, cancel := context.WithTimeout(ctx, bus.MaxPluginTimeout)
	defer cancel()
	err = protect(func() error { return handle(ctx, event) })
	if err != nil && ctx.Err() == nil {
		r.options.Log.ErrorContext(ctx, "handling an event failed", "event", event.Name, "error", safeText(err))
	}
	return outcomeOf(err, outcomeHandled)
}
