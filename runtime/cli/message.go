package cli

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// Message is something that was sent on the bus. As JSON it is a line of `rosey tail --json`.
type Message struct {
	// Time is when it arrived here.
	Time time.Time `json:"time"`
	// Subject is without the prefix.
	Subject bus.Suffix `json:"subject"`
	// ID is the message's id, if it has one.
	ID string `json:"id,omitempty"`
	// Request says that whoever sent it waits for a reply.
	Request bool `json:"request,omitempty"`
	// Payload is the body, if it is JSON; else Text is.
	Payload json.RawMessage `json:"payload,omitempty"`
	Text    string          `json:"text,omitempty"`

	fields map[string]any
}

func newMessage(subject bus.Suffix, m *nats.Msg, at time.Time) Message {
	message := Message{
		Time: at, Subject: subject, ID: m.Header.Get(bus.MsgIDHeader), Request: m.Reply != "",
	}
	if !json.Valid(m.Data) {
		message.Text = string(m.Data)
		return message
	}
	message.Payload = m.Data
	_ = json.Unmarshal(m.Data, &message.fields) // what is no object has no fields
	return message
}

// field finds a text or number of the body, also in the section that holds the bot's status.
func (m Message) field(name string) (any, bool) {
	if value, ok := m.fields[name]; ok {
		return value, true
	}
	section, _ := m.fields["status_data"].(map[string]any)
	value, ok := section[name]
	return value, ok
}

// of says whether the message is of a channel. One that names none is of the service's own.
func (m Message) of(channel string) bool {
	if channel == "" {
		return true
	}
	if named, ok := m.fields["channel"].(string); ok && named != "" {
		return strings.EqualFold(named, channel)
	}
	return true
}
