package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Engine.IO protocol 4 puts a packet type before the payload, and Socket.IO protocol 5 puts another type before the
// payload of an Engine.IO message ("4"). Only the main namespace is supported, and no binary payloads. Sources:
// https://socket.io/docs/v4/engine-io-protocol/ and https://socket.io/docs/v4/socket-io-protocol/.
const (
	packetOpen         = "0"
	packetPing         = "2"
	packetPong         = "3"
	packetConnect      = "40"
	packetDisconnect   = "41"
	packetEvent        = "42"
	packetConnectError = "44"
)

// encodeEvent returns an event packet. Without arguments it has only the name, like CyTube's cancelNeedPassword.
func encodeEvent(name string, args ...any) (string, error) {
	body, err := marshal(append([]any{name}, args...))
	if err != nil {
		return "", fmt.Errorf("encoding event %s: %w", name, err)
	}
	return packetEvent + body, nil
}

// marshal encodes without Go's escaping of < > & for HTML, like the real server.
func marshal(v any) (string, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("encoding JSON: %w", err)
	}
	return strings.TrimSuffix(buf.String(), "\n"), nil
}

// decodeEvent splits an event packet into its name and its first argument, or nil if there is none. It skips an
// acknowledgement ID, which CyTube does not use.
func decodeEvent(packet string) (string, json.RawMessage, error) {
	body := strings.TrimLeft(strings.TrimPrefix(packet, packetEvent), "0123456789")
	var parts []json.RawMessage
	if err := json.Unmarshal([]byte(body), &parts); err != nil {
		return "", nil, fmt.Errorf("decoding event packet: %w", err)
	}
	if len(parts) == 0 {
		return "", nil, errors.New("decoding event packet: expected a name, got an empty array")
	}
	var name string
	if err := json.Unmarshal(parts[0], &name); err != nil {
		return "", nil, fmt.Errorf("decoding event name: %w", err)
	}
	if len(parts) == 1 {
		return name, nil, nil
	}
	return name, parts[1], nil
}
