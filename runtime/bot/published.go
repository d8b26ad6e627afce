package bot

import (
	"bytes"
	"encoding/json"

	"rosey.dev/rosey/runtime/cytube"
)

// The names that events have on the bus where it is not the server's.
const (
	eventMessage   = "message"
	eventUserJoin  = "user_join"
	eventUserLeave = "user_leave"
	eventUserList  = "user_list"
	eventPM        = "pm"
)

// publishedEvent is the body of an event on the bus. The fields are those of the Python bot's
// normalized events; Server, Channel, Event and Replayed are added.
type publishedEvent struct {
	Event   string `json:"event"`
	Server  string `json:"server"`
	Channel string `json:"channel"`
	User    string `json:"user,omitempty"`
	// Content is HTML as CyTube sent it.
	Content   *string `json:"content,omitempty"`
	Recipient string  `json:"recipient,omitempty"`
	// UserData is about User.
	UserData *publishedUser  `json:"user_data,omitempty"`
	Users    []publishedUser `json:"users,omitzero"`
	Count    *int            `json:"count,omitempty"`
	// Timestamp is the event's own time in Unix seconds, or when it arrived if it has none.
	Timestamp int64 `json:"timestamp"`
	// Replayed marks a line that the server repeats to whoever joins.
	Replayed bool `json:"replayed,omitempty"`
	// PlatformData is what CyTube sent, without what is private.
	PlatformData json.RawMessage `json:"platform_data,omitempty"`
}

type publishedUser struct {
	Username    string        `json:"username"`
	Rank        float64       `json:"rank"`
	IsAFK       bool          `json:"is_afk"`
	IsModerator bool          `json:"is_moderator"`
	Meta        publishedMeta `json:"meta"`
}

type publishedMeta struct {
	AFK   bool `json:"afk"`
	Muted bool `json:"muted"`
}

func publishUser(user cytube.User) publishedUser {
	return publishedUser{
		Username: user.Name, Rank: user.Rank, IsAFK: user.AFK, IsModerator: user.Rank >= moderatorRank,
		Meta: publishedMeta{AFK: user.AFK, Muted: user.Muted},
	}
}

// published is the body for an event, and false for what is not for everybody: what the server whispers
// to moderators, what somebody says who is muted without knowing it, and the login.
func (s *session) published(arrived cytube.Arrival) (publishedEvent, bool) {
	out := publishedEvent{Event: arrived.Event.EventName(), PlatformData: arrived.Raw}
	switch event := arrived.Event.(type) {
	case cytube.Joined, cytube.Malformed, cytube.Login, cytube.NeedPassword:
		return out, false
	case cytube.ChatMessage:
		out.Event, out.User, out.Content = eventMessage, event.User, &event.HTML
		out.Timestamp = max(0, event.Time.Unix())
		return out, !event.Shadow && event.Kind != serverWhisper
	case cytube.PM:
		// That there was a message, not what is in it: the bus is for everybody, a private message is not.
		out.Event, out.User, out.Recipient = eventPM, event.From, event.To
		out.Timestamp, out.PlatformData = max(0, event.Time.Unix()), nil
		return out, !s.channel.isMe(event.From)
	case cytube.AddUser:
		out.Event, out.User, out.UserData = eventUserJoin, event.User.Name, new(publishUser(event.User))
	case cytube.UserLeave:
		out.Event, out.User = eventUserLeave, event.Name
		if user, known := s.channel.users.find(event.Name); known {
			out.UserData = new(publishUser(user))
		}
	case cytube.UserList:
		out.Event, out.Count = eventUserList, new(len(event.Users))
		out.Users = make([]publishedUser, 0, len(event.Users))
		for _, user := range event.Users {
			out.Users = append(out.Users, publishUser(user))
		}
	}
	return out, true
}

// serverWhisper is the class of what the server tells moderators alone, with addresses' aliases in it.
const serverWhisper = "server-whisper"

// privateKeys are what a moderator is sent and not everybody may know: hashed addresses, other names from
// the same address, who is muted without knowing, and the channel's password.
var privateKeys = []string{"ip", "aliases", "smuted", "password"}

// withoutPrivate takes privateKeys out of JSON at any depth.
func withoutPrivate(raw json.RawMessage) json.RawMessage {
	if !hasPrivate(raw) {
		return raw
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // numbers stay as they were written
	var value any
	if decoder.Decode(&value) != nil {
		return nil
	}
	strip(value)
	stripped, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return stripped
}

func hasPrivate(raw json.RawMessage) bool {
	for _, key := range privateKeys {
		if bytes.Contains(raw, []byte(`"`+key+`"`)) {
			return true
		}
	}
	// A key can be written with escapes.
	return bytes.Contains(raw, []byte(`\u`))
}

func strip(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range privateKeys {
			delete(value, key)
		}
		for _, inner := range value {
			strip(inner)
		}
	case []any:
		for _, inner := range value {
			strip(inner)
		}
	}
}
