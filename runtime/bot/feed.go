package bot

import (
	"bytes"
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

// feed publishes what the CyTube server sends on the subjects events.cytube.CHANNEL.EVENT, for any subscriber. It uses
// core NATS and stores nothing: events of the time without a connection are dropped, because subscribers want to see
// what happens now. Events for the database take another way, the Publisher, and where there is one, a stream.
type feed struct {
	conn     *bus.Conn
	subjects bus.Subjects
	channel  string // as a token of a subject
	metrics  *metrics
	started  time.Time
	// number is that of the last event. Only the session's goroutine changes it.
	number atomic.Uint64
	queue  chan queuedEvent
	// room is what is left of feedBytes.
	room *semaphore.Weighted
}

type queuedEvent struct {
	event feedEvent
	at    time.Time
	size  int64 // taken of feed.room
}

// feedBuffer is how many events may wait for NATS, and feedBytes how much memory they may take. If more do, the newest
// are dropped.
const (
	feedBuffer = 1024
	feedBytes  = 4 << 20
)

// newFeed returns the feed of a channel. A nil conn: nothing is published.
func newFeed(conn *bus.Conn, subjects bus.Subjects, channel string, m *metrics) *feed {
	return &feed{
		conn: conn, subjects: subjects, metrics: m, queue: make(chan queuedEvent, feedBuffer),
		room:    semaphore.NewWeighted(feedBytes),
		channel: bus.ChannelToken(channel),
	}
}

// suffix returns the subject of an event without the prefix. The event's name keeps its case.
func (s *feed) suffix(event string) bus.Suffix {
	return bus.FeedEvents(s.channel, event)
}

// Values of the metric label outcome.
const (
	feedPublished    = "published"
	feedDisconnected = "disconnected"
	feedBufferFull   = "buffer_full"
	feedFailed       = "failed"
)

// position returns that of the last event.
func (s *feed) position() bus.FeedPosition {
	return bus.FeedPosition{BotStart: s.started.UnixMilli(), Number: s.number.Load()}
}

// offer numbers and queues an event, or drops it. It does not block.
func (s *feed) offer(event feedEvent, at time.Time) {
	if s.conn == nil {
		return
	}
	s.number.Add(1)
	event.FeedPosition = s.position()
	if !s.conn.Connected() {
		s.metrics.feed.WithLabelValues(feedDisconnected).Inc()
		return
	}
	queued := queuedEvent{event: event, at: at, size: event.size()}
	if s.room.TryAcquire(queued.size) {
		select {
		case s.queue <- queued:
			return
		default:
			s.room.Release(queued.size)
		}
	}
	s.metrics.feed.WithLabelValues(feedBufferFull).Inc()
}

// run publishes events until ctx ends, and then those that still wait.
func (s *feed) run(ctx context.Context) {
	for {
		select {
		case next := <-s.queue:
			s.publish(next)
		case <-ctx.Done():
			for len(s.queue) > 0 {
				s.publish(<-s.queue)
			}
			return
		}
	}
}

func (s *feed) publish(next queuedEvent) {
	defer s.room.Release(next.size)
	next.event.PlatformData = withoutPrivate(next.event.PlatformData)
	data, err := bus.Encode(next.event)
	if err == nil {
		err = s.conn.NATS().Publish(s.subjects.Subject(s.suffix(next.event.Event)), data)
	}
	if err != nil { // larger than the server's limit, or the connection just closed
		s.metrics.feed.WithLabelValues(feedFailed).Inc()
		return
	}
	s.metrics.feed.WithLabelValues(feedPublished).Inc()
	s.metrics.latency.Observe(time.Since(next.at).Seconds())
}

// Names of events on the bus that differ from CyTube's.
const (
	eventMessage   = "message"
	eventUserJoin  = "user_join"
	eventUserLeave = "user_leave"
	eventUserList  = "user_list"
	eventPM        = "pm"
)

// feedEvent is the payload of an event. The fields are those of the Python bot's normalized events; Server, Channel,
// Event, Own, Replayed, Ignored, MayCall, Cooldowns, Plugin, Call and the position are additions.
type feedEvent struct {
	Event   string `json:"event"`
	Server  string `json:"server"`
	Channel string `json:"channel"`
	// FeedPosition also counts the events that are dropped, so that subscribers notice.
	bus.FeedPosition

	User string `json:"user,omitempty"`
	// Content is HTML as CyTube sent it, and Text the same as it was typed.
	Content   *string `json:"content,omitempty"`
	Text      *string `json:"text,omitempty"`
	Recipient string  `json:"recipient,omitempty"`
	// UserData is about User.
	UserData *feedUser `json:"user_data,omitempty"`
	// Ignored marks what somebody did whom the owner of the bot has it ignore.
	Ignored bool `json:"ignored,omitempty"`
	// MayCall are the commands, as PLUGIN.NAME, as which plugins may take a line. It is nil for other events, and without
	// plugins.
	MayCall []string `json:"may_call,omitzero"`
	// Cooldowns are those of MayCall that have a cooldown: a plugin asks the bot before it takes the line as one of them.
	Cooldowns []string `json:"cooldowns,omitempty"`
	// Plugin is which plugin has had something added to the playlist, or wanted to, and Call the ID of the call because of
	// which.
	Plugin string     `json:"plugin,omitempty"`
	Call   string     `json:"call,omitempty"`
	Users  []feedUser `json:"users,omitzero"`
	Count  *int       `json:"count,omitempty"`
	// Timestamp is the event's own time in Unix seconds, or the time of its arrival if it has none.
	Timestamp int64 `json:"timestamp"`
	// Own marks a line that the bot has said.
	Own bool `json:"own,omitempty"`
	// Replayed marks a line that the server repeats to a client that joins.
	Replayed bool `json:"replayed,omitempty"`
	// PlatformData is what CyTube sent, without private keys.
	PlatformData json.RawMessage `json:"platform_data,omitempty"`
}

// size is an estimate of the memory that the event takes.
func (e feedEvent) size() int64 {
	const base, user = 512, 256
	size := base + len(e.PlatformData) + user*len(e.Users)
	if e.Content != nil {
		size += len(*e.Content)
	}
	if e.Text != nil {
		size += len(*e.Text)
	}
	return int64(size)
}

type feedUser struct {
	Username    string       `json:"username"`
	Rank        float64      `json:"rank"`
	IsAFK       bool         `json:"is_afk"`
	IsModerator bool         `json:"is_moderator"`
	Meta        feedUserMeta `json:"meta"`
}

type feedUserMeta struct {
	AFK   bool `json:"afk"`
	Muted bool `json:"muted"`
}

func newFeedUser(user cytube.User) feedUser {
	return feedUser{
		Username: user.Name, Rank: user.Rank, IsAFK: user.AFK, IsModerator: user.Rank >= cytube.ModeratorRank,
		Meta: feedUserMeta{AFK: user.AFK, Muted: user.Muted},
	}
}

// publishToFeed offers an event to the feed. The room must not have applied the event yet.
func (s *session) publishToFeed(received cytube.ReceivedEvent) {
	event, public := s.newFeedEvent(received)
	if !public {
		return
	}
	event.Server, event.Channel = s.config.Channel.Server, s.config.Channel.Name
	event.Ignored = event.User != "" && s.live.registry.Ignores(event.User)
	if event.Event == eventMessage {
		s.describeLine(&event)
	}
	if event.Timestamp == 0 {
		event.Timestamp = received.At.Unix()
	}
	s.feed.offer(event, received.At)
}

// describeLine adds what the bot knows of a line, and of who wrote it. Lines that call nothing with the prefix must not
// call a plugin without it either.
func (s *session) describeLine(event *feedEvent) {
	event.Own, event.Replayed = s.isOwn(event.User), !s.joined
	user, isPresent := s.room.Users.Find(event.User)
	if isPresent {
		event.UserData = new(newFeedUser(user))
	}
	event.MayCall, event.Cooldowns = s.live.registry.MayCall(event.User, user.Rank)
	if len(event.MayCall) > 0 && (event.Own || event.Replayed || !isPresent) {
		event.MayCall, event.Cooldowns = []string{}, nil
	}
}

// serverWhisper is the class of lines that the server sends to moderators only. They contain aliases of IP addresses.
const serverWhisper = "server-whisper"

// newFeedEvent returns the payload for an event and whether the event is public. Lines for moderators only, lines of
// shadow-muted users, the bot's own private messages, and the login are not.
func (s *session) newFeedEvent(received cytube.ReceivedEvent) (out feedEvent, public bool) {
	out = feedEvent{Event: received.Name, PlatformData: received.Raw}
	switch event := received.Event.(type) {
	case cytube.Joined, cytube.Malformed, cytube.Login, cytube.NeedPassword:
		return out, false
	case cytube.ChatMessage:
		text, _ := cytube.TypedText(event.HTML)
		out.Event, out.User, out.Content, out.Text = eventMessage, event.User, &event.HTML, &text
		out.Timestamp = max(0, event.Time.Unix())
		return out, !event.Shadow && event.Kind != serverWhisper
	case cytube.PM:
		// Only that there was a private message, not its text: everybody may subscribe.
		out.Event, out.User, out.Recipient = eventPM, event.From, event.To
		out.Timestamp, out.PlatformData = max(0, event.Time.Unix()), nil
		return out, !s.room.IsMe(event.From)
	case cytube.AddUser:
		out.Event, out.User, out.UserData = eventUserJoin, event.User.Name, new(newFeedUser(event.User))
	case cytube.UserLeave:
		out.Event, out.User = eventUserLeave, event.Name
		if user, found := s.room.Users.Find(event.Name); found {
			out.UserData = new(newFeedUser(user))
		}
	case cytube.Queue, cytube.QueueFail:
		out.Plugin, out.Call = s.commands.CauseOf(event)
	case cytube.UserList:
		out.Event, out.Count = eventUserList, new(len(event.Users))
		out.Users = make([]feedUser, 0, len(event.Users))
		for _, user := range event.Users {
			out.Users = append(out.Users, newFeedUser(user))
		}
	}
	return out, true
}

// privateKeys are what the server sends to moderators and not everybody may know: hashed IP addresses, other names from
// the same address, who is shadow-muted, and the channel's password.
var privateKeys = []string{"ip", "aliases", "smuted", "password"}

// withoutPrivate returns JSON without privateKeys at any depth. It returns nil for invalid JSON.
func withoutPrivate(raw json.RawMessage) json.RawMessage {
	if !mayHavePrivate(raw) {
		return raw
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // numbers keep their notation
	var value any
	if decoder.Decode(&value) != nil {
		return nil
	}
	deletePrivate(value)
	public, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return public
}

// mayHavePrivate reports whether raw has to be decoded to find out. A key can be written with escapes.
func mayHavePrivate(raw json.RawMessage) bool {
	for _, key := range privateKeys {
		if bytes.Contains(raw, []byte(`"`+key+`"`)) {
			return true
		}
	}
	return bytes.Contains(raw, []byte(`\u`))
}

func deletePrivate(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range privateKeys {
			delete(value, key)
		}
		for _, inner := range value {
			deletePrivate(inner)
		}
	case []any:
		for _, inner := range value {
			deletePrivate(inner)
		}
	}
}
