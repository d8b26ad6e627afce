package bus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Message is one event on its way from the bot to the database: published on NATS or stored directly.
type Message struct {
	Suffix Suffix
	// ID is the value of MsgIDHeader. Empty: the publisher sent none, as the Python bot.
	ID string
	// Data is the payload in JSON.
	Data []byte
	// Time is when the message arrived, or the stream's time of it. Zero: it is still on its way.
	Time time.Time
	// StreamID names the message in its stream, the same at each delivery. Empty: it did not come from a stream.
	StreamID string
}

// Encode returns payload as JSON, without the escapes for HTML pages that json.Marshal adds: a line of chat is HTML.
func Encode(payload any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(payload); err != nil {
		return nil, fmt.Errorf("encoding JSON: %w", err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}
