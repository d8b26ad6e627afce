package cytube

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decodeEvent decodes the payload of an event packet. An event of another name than those of decoders is an Unknown,
// not an error: the server has some sixty, and later versions more. The error is a *FrameError.
func decodeEvent(payload []byte) (ReceivedEvent, error) {
	name, argument, err := splitEvent(payload)
	if err != nil {
		return ReceivedEvent{}, err
	}
	received := ReceivedEvent{Name: name, Event: Unknown{}, Raw: argument}
	decode, known := decoders[name]
	if !known {
		return received, nil
	}
	// frameLimit does not see a name that is written with escapes.
	if lists[name] == nil && len(payload) > maxEvent {
		return ReceivedEvent{}, &FrameError{Kind: name, Size: len(payload)}
	}
	if received.Event, err = decode(argument); err != nil {
		return ReceivedEvent{}, &FrameError{Kind: name, Size: len(argument)}
	}
	return received, nil
}

// EventNames returns the names of all events that are decoded.
func EventNames() []string { return slices.Sorted(maps.Keys(decoders)) }

// decoders are the decoders of all events that have a type, by their names on the wire.
var decoders = map[string]decoder{
	"chatMsg":      as(wireChat.event),
	"pm":           as(wireChat.private),
	"addUser":      as(func(u wireUser) Event { return AddUser{User: u.user()} }),
	"userLeave":    as(func(u wireUser) Event { return UserLeave{Name: string(u.Name)} }),
	"userlist":     listed("userlist"),
	"usercount":    as(func(count wireCount) Event { return UserCount{Count: int(count)} }),
	"setUserRank":  as(func(u wireUser) Event { return SetUserRank{Name: string(u.Name), Rank: float64(u.Rank)} }),
	"setUserMeta":  as(userMeta),
	"setAFK":       as(func(u wireAFK) Event { return SetAFK{Name: string(u.Name), AFK: u.AFK} }),
	"rank":         as(func(rank wireRank) Event { return Rank{Rank: float64(rank)} }),
	"login":        as(wireLogin.event),
	"needPassword": as(func(wrong bool) Event { return NeedPassword{Wrong: wrong} }),
	"kick":         as(func(k wireKick) Event { return Kick{Reason: string(k.Reason)} }),

	"playlist":          listed("playlist"),
	"setPlaylistMeta":   as(func(p wirePlaylistMeta) Event { return PlaylistMeta(p) }),
	"setPlaylistLocked": as(func(locked bool) Event { return PlaylistLocked{Locked: locked} }),
	"queue":             as(func(q wireQueue) Event { return Queue{Item: q.Item.item(), After: Place(q.After)} }),
	"queueFail":         as(wireQueueFail.event),
	"delete":            as(func(u wireUID) Event { return Delete(u) }),
	"moveVideo":         as(func(m wireMove) Event { return MoveVideo{UID: m.From, After: Place(m.After)} }),
	"setCurrent":        as(func(uid int) Event { return SetCurrent{UID: uid} }),
	"changeMedia":       as(changeMedia),
	"mediaUpdate":       as(func(t wireTime) Event { return MediaUpdate(t) }),
	"setLeader":         as(func(name wireName) Event { return SetLeader{Name: string(name)} }),
	"voteskip":          as(func(struct{}) Event { return Voteskip{} }),

	"setPermissions": as(func(ranks map[string]float64) Event { return Permissions{Ranks: ranks} }),
	"channelOpts":    as(wireOptions.event),
	"newPoll":        as(func(p wirePoll) Event { return NewPoll(p.state()) }),
	"updatePoll":     as(func(p wirePoll) Event { return PollUpdate(p.state()) }),
	"closePoll":      func(json.RawMessage) (Event, error) { return PollClosed{}, nil },
	"clearchat":      as(func(c wireClear) Event { return ClearChat{By: string(c.ClearedBy)} }),

	"errorMsg":     as(func(e wireRefusal) Event { return ErrorMsg{Message: string(e.Msg)} }),
	"noflood":      as(func(e wireRefusal) Event { return NoFlood{Action: string(e.Action), Message: string(e.Msg)} }),
	"cooldown":     as(func(ms float64) Event { return Cooldown{Wait: millis(ms)} }),
	"spamFiltered": as(func(s wireSpam) Event { return SpamFiltered{Reason: string(s.Reason)} }),
}

// decoder decodes the first argument of an event.
type decoder = func(json.RawMessage) (Event, error)

// as returns the decoder for an event whose argument is decoded as Wire and then converted.
func as[Wire any](event func(Wire) Event) decoder {
	return func(argument json.RawMessage) (Event, error) {
		var wire *Wire
		if err := json.Unmarshal(argument, &wire); err != nil {
			return nil, fmt.Errorf("decoding the argument: %w", err)
		}
		if wire == nil {
			return nil, errors.New("decoding the argument: null")
		}
		return event(*wire), nil
	}
}

type wireChat struct {
	Username wireName `json:"username"`
	Msg      string   `json:"msg"`
	Time     float64  `json:"time"` // Unix ms
	To       wireName `json:"to"`   // private messages only
	Meta     struct {
		AddClass wireName `json:"addClass"`
		Shadow   bool     `json:"shadow"`
	} `json:"meta"`
}

func (c wireChat) event() Event {
	return ChatMessage{
		User: string(c.Username), HTML: c.Msg, Kind: string(c.Meta.AddClass), Shadow: c.Meta.Shadow, Time: chatTime(c.Time),
	}
}

func (c wireChat) private() Event {
	return PM{From: string(c.Username), To: string(c.To), HTML: c.Msg, Time: chatTime(c.Time)}
}

// maxMillis is the end of the year 9999, the last that dates in JSON and in databases can have.
const maxMillis = 253402300799_000

func chatTime(ms float64) time.Time {
	if ms <= 0 || ms > maxMillis {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

type wirePoll struct {
	Title     string     `json:"title"`
	Options   []string   `json:"options"`
	Counts    []wireVote `json:"counts"`
	Initiator wireName   `json:"initiator"`
	Timestamp float64    `json:"timestamp"` // Unix ms
}

func (p wirePoll) state() PollState {
	state := PollState{
		Title: p.Title, Options: p.Options[:min(len(p.Options), maxOptions)], By: string(p.Initiator),
		Opened: chatTime(p.Timestamp),
	}
	known := len(p.Counts) == len(p.Options)
	for _, count := range p.Counts[:min(len(p.Counts), maxOptions)] {
		state.Votes = append(state.Votes, count.votes)
		state.Obscured = state.Obscured || count.obscured
		known = known && count.known
	}
	if !known {
		state.Votes = nil
	}
	return state
}

// wireVote is a number, of an obscured poll with a "?" behind it, and "?" where the client may not see it.
type wireVote struct {
	votes           int
	known, obscured bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *wireVote) UnmarshalJSON(data []byte) error {
	text, isObscured := strings.CutSuffix(strings.Trim(string(data), `"`), "?")
	votes, err := strconv.Atoi(text)
	*v = wireVote{votes: max(votes, 0), known: err == nil, obscured: isObscured}
	return nil
}

type wireUser struct {
	Name wireName `json:"name"`
	Rank wireRank `json:"rank"`
	Meta struct {
		AFK   bool `json:"afk"`
		Muted bool `json:"muted"`
	} `json:"meta"`
}

func (u wireUser) user() User {
	return User{Name: string(u.Name), Rank: float64(u.Rank), AFK: u.Meta.AFK, Muted: u.Meta.Muted}
}

func userMeta(u wireUser) Event {
	return SetUserMeta{Name: string(u.Name), AFK: u.Meta.AFK, Muted: u.Meta.Muted}
}

type wireAFK struct {
	Name wireName `json:"name"`
	AFK  bool     `json:"afk"`
}

type wireLogin struct {
	Success bool     `json:"success"`
	Name    wireName `json:"name"`
	Error   wireText `json:"error"`
}

func (l wireLogin) event() Event {
	return Login{Success: l.Success, Name: string(l.Name), Error: string(l.Error)}
}

type wireKick struct {
	Reason wireText `json:"reason"`
}

type wireMedia struct {
	ID      string  `json:"id"`
	Type    string  `json:"type"`
	Title   string  `json:"title"`
	Seconds float64 `json:"seconds"`
}

func (m wireMedia) media() Media {
	return Media{
		ID: cut(m.ID, maxMediaID), Type: cut(m.Type, maxName), Title: cut(m.Title, maxTitle), Seconds: seconds(m.Seconds),
	}
}

// maxSeconds is the longest medium: a year.
const maxSeconds = 366 * 24 * 3600

// seconds converts a length to whole seconds from 0 to maxSeconds; NaN is 0.
func seconds(length float64) int {
	if !(length > 0) {
		return 0
	}
	return int(min(length, maxSeconds))
}

type wireItem struct {
	Media   wireMedia `json:"media"`
	UID     int       `json:"uid"`
	QueueBy wireName  `json:"queueby"`
}

func (i wireItem) item() Item {
	media := i.Media.media()
	media.ID = cut(media.ID, maxItemID)
	return Item{UID: i.UID, Media: media, QueuedBy: string(i.QueueBy)}
}

type wireQueueFail struct {
	ID  any      `json:"id"` // what the client has sent: false, for example
	Msg wireText `json:"msg"`
}

func (f wireQueueFail) event() Event {
	id, _ := f.ID.(string)
	return QueueFail{ID: cut(id, maxMediaID), Message: string(f.Msg)}
}

type wirePlaylistMeta struct {
	Count int `json:"count"`
}

type wireQueue struct {
	Item  wireItem  `json:"item"`
	After wirePlace `json:"after"`
}

type wireMove struct {
	From  int       `json:"from"`
	After wirePlace `json:"after"`
}

// wirePlace is the UID of an item, or placeFirst or placeLast.
type wirePlace Place

const (
	placeFirst = "prepend"
	placeLast  = "append"
)

// UnmarshalJSON implements json.Unmarshaler.
func (p *wirePlace) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case `"` + placeFirst + `"`:
		p.First = true
		return nil
	case `"` + placeLast + `"`:
		p.Last = true
		return nil
	}
	if err := json.Unmarshal(data, &p.UID); err != nil {
		return fmt.Errorf("decoding a place in the playlist: %w", err)
	}
	return nil
}

// onWire returns the form that UnmarshalJSON reads.
func (p Place) onWire() any {
	switch {
	case p.First:
		return placeFirst
	case p.Last:
		return placeLast
	}
	return p.UID
}

type wireUID struct {
	UID int `json:"uid"`
}

type wireTime struct {
	Position float64 `json:"currentTime"` // seconds
	Paused   bool    `json:"paused"`
}

type wireChangeMedia struct {
	wireMedia
	wireTime
}

func changeMedia(m wireChangeMedia) Event {
	return ChangeMedia{Media: m.media(), Position: m.Position, Paused: m.Paused}
}

type wireOptions struct {
	AllowVoteskip bool `json:"allow_voteskip"`
	Antiflood     bool `json:"chat_antiflood"`
	Flood         struct {
		Burst     float64 `json:"burst"`
		Sustained float64 `json:"sustained"` // a second
		Cooldown  float64 `json:"cooldown"`  // seconds
	} `json:"chat_antiflood_params"`
}

// sustained returns a number of lines a second that makes no pause longer than a minute.
func sustained(lines float64) float64 {
	if !(lines > 0) {
		return 0
	}
	return max(lines, 1./60)
}

// maxBurst is more lines than the bot ever says at once.
const maxBurst = 1000

func (o wireOptions) event() Event {
	options := ChannelOptions{AllowVoteskip: o.AllowVoteskip}
	if o.Antiflood {
		options.Flood = &FloodLimit{
			Burst:     int(min(max(o.Flood.Burst, 0), maxBurst)),
			Sustained: sustained(o.Flood.Sustained),
			Cooldown:  millis(o.Flood.Cooldown * 1000),
		}
	}
	return options
}

// maxWait limits the durations that a server sends: an absurd number must not stop the bot for ever.
const maxWait = 24 * time.Hour

// millis converts milliseconds to a duration from 0 to maxWait; NaN is 0.
func millis(ms float64) time.Duration {
	if !(ms > 0) {
		return 0
	}
	return time.Duration(min(ms, float64(maxWait.Milliseconds())) * float64(time.Millisecond))
}

type wireClear struct {
	ClearedBy wireName `json:"clearedBy"`
}

type wireRefusal struct {
	Action wireName `json:"action"`
	Msg    wireText `json:"msg"`
}

type wireSpam struct {
	Reason wireText `json:"reason"`
}
