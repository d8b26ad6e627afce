package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

// Message is a message that was sent over NATS below the bot's prefix. Its JSON form is a line of `rosey tail --json`.
type Message struct {
	// Time is when the message arrived at this client.
	Time time.Time `json:"time"`
	// Subject is the message's subject without the prefix.
	Subject bus.Suffix `json:"subject"`
	// ID is the Nats-Msg-Id header, or empty if there is none.
	ID string `json:"id,omitempty"`
	// Request reports whether the sender waits for a reply.
	Request bool `json:"request,omitempty"`
	// Payload is the message's data if that is valid JSON; otherwise the data is in Text.
	Payload json.RawMessage `json:"payload,omitempty"`
	Text    string          `json:"text,omitempty"`

	// fields are the fields of Payload, or nil if it is not an object.
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
	_ = json.Unmarshal(m.Data, &message.fields) // fails if it is not an object: then there are no fields
	return message
}

// field returns a field of the payload, or of its status_data object, in which a status update has its fields.
func (m Message) field(name string) (value any, ok bool) {
	if value, ok = m.fields[name]; ok {
		return value, true
	}
	statusData, _ := m.fields["status_data"].(map[string]any)
	value, ok = statusData[name]
	return value, ok
}

// isFrom reports whether the message is about a channel. A message that names no channel is about all of them, and an
// empty channel matches every message.
func (m Message) isFrom(channel string) bool {
	if token, ok := m.pluginChannel(); ok { // whatever the body says
		return channel == "" || token == bus.ChannelToken(channel)
	}
	named, _ := m.fields["channel"].(string)
	return channel == "" || named == "" || strings.EqualFold(named, channel)
}

// pluginChannel returns the token of the channel in the subject of a message to or of a plugin.
func (m Message) pluginChannel() (token string, ok bool) {
	if token, _, _, ok = bus.PluginOfKV(m.Subject); ok {
		return token, true
	}
	tokens := strings.SplitN(string(m.Subject), ".", 4)
	if len(tokens) < 4 || tokens[0] != "plugin" {
		return "", false
	}
	return tokens[1], true
}

// omittedFields are in every message, or repeat what other fields say.
var omittedFields = []string{"server", "channel", "timestamp", "event", "platform_data", "user_data", "users"}

// subjectWidth aligns the text of most lines. The subjects of channel events, which contain the channel's name, are the
// longest.
const subjectWidth = 34

// Line returns the message on one printable line: its time of arrival, its subject and its content. The content of a
// request begins with a question mark.
func (m Message) Line() string {
	content := m.content()
	if m.Request {
		content = "? " + content
	}
	at := m.Time.Local().Format("15:04:05")
	return fmt.Sprintf("%s  %-*s  %s", at, subjectWidth, status.Printable(string(m.Subject)),
		status.Printable(strings.TrimSpace(content)))
}

// content returns the user, the text and then all other fields as name=value.
func (m Message) content() string {
	if m.fields == nil {
		return m.Text + string(m.Payload)
	}
	rest := maps.Clone(m.fields)
	if statusData, ok := rest["status_data"].(map[string]any); ok {
		delete(rest, "status_data")
		maps.Copy(rest, statusData)
	}
	user := takeText(rest, "username", "user")
	text := takeText(rest, "message", "content")
	if m.isChat() {
		text = cytube.PlainText(text)
	}
	for _, name := range omittedFields {
		delete(rest, name)
	}
	if user != "" && text != "" {
		user += ":"
	}
	parts := []string{user, text}
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		if value := rest[name]; value != nil {
			parts = append(parts, name+"="+formatValue(value))
		}
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), " ")
}

// isChat reports whether the text of the message is a line of chat, which is HTML. What is to be said is not.
func (m Message) isChat() bool {
	return m.Subject == bus.MessageLog || strings.HasPrefix(string(m.Subject), "events.")
}

// ChatLine returns the user and the text of a payload of bus.MessageLog as `rosey tail` shows them. It is empty for any
// other payload.
func ChatLine(subject bus.Suffix, payload []byte) string {
	var line struct {
		Username string `json:"username"`
		Message  string `json:"message"`
	}
	if subject != bus.MessageLog || json.Unmarshal(payload, &line) != nil || line.Message == "" {
		return ""
	}
	return line.Username + ": " + cytube.PlainText(line.Message)
}

// takeText deletes the named fields that are text and returns the first of them, or an empty string.
func takeText(fields map[string]any, names ...string) (first string) {
	for _, name := range names {
		if text, ok := fields[name].(string); ok {
			delete(fields, name)
			if first == "" {
				first = text
			}
		}
	}
	return first
}

func formatValue(value any) string {
	switch value := value.(type) {
	case string:
		if strings.ContainsAny(value, " =") {
			return fmt.Sprintf("%q", value)
		}
		return value
	case float64:
		return strings.TrimSuffix(fmt.Sprintf("%.3f", value), ".000")
	default:
		return fmt.Sprint(value)
	}
}
