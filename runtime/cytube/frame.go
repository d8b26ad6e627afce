package cytube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// packetKind combines the Engine.IO and the Socket.IO type of a packet. CyTube uses one namespace and no binary events,
// so that a client need not distinguish the two layers.
type packetKind int

const (
	packetOpen packetKind = iota + 1
	packetClose
	packetPing
	packetConnect
	packetDisconnect
	packetEvent
	packetConnectError
	// packetIgnored is legal but without meaning for this client: pong, noop, upgrade, an acknowledgement, a binary
	// event, another namespace.
	packetIgnored
)

// String returns the label for metrics.
func (k packetKind) String() string {
	switch k {
	case packetOpen:
		return "open"
	case packetClose:
		return "close"
	case packetPing:
		return "ping"
	case packetConnect:
		return "connect"
	case packetDisconnect:
		return "disconnect"
	case packetEvent:
		return "event"
	case packetConnectError:
		return "connect_error"
	default:
		return "ignored"
	}
}

// packet is a decoded frame. The payload is JSON, except that of a ping, which a pong returns unchanged.
type packet struct {
	kind    packetKind
	payload []byte
}

// Engine.IO protocol 4 has one digit for the packet type; a message ("4") carries a Socket.IO
// protocol 5 packet, which starts with a digit of its own.
// https://socket.io/docs/v4/engine-io-protocol/ and https://socket.io/docs/v4/socket-io-protocol/.
const (
	engineOpen    = '0'
	engineClose   = '1'
	enginePing    = '2'
	enginePong    = '3'
	engineMessage = '4'
	engineUpgrade = '5'
	engineNoop    = '6'

	socketConnect      = '0'
	socketDisconnect   = '1'
	socketEvent        = '2'
	socketAck          = '3'
	socketConnectError = '4'
	socketBinaryEvent  = '5'
	socketBinaryAck    = '6'

	frameConnect    = "40"
	frameDisconnect = "41"
	frameEvent      = "42"
)

// decodePacket decodes a WebSocket text frame. The error is a *FrameError.
func decodePacket(frame []byte) (packet, error) {
	if len(frame) == 0 {
		return packet{}, &FrameError{Kind: "empty frame"}
	}
	payload := frame[1:]
	switch frame[0] {
	case engineOpen:
		return packet{packetOpen, payload}, nil
	case engineClose:
		return packet{packetClose, nil}, nil
	case enginePing:
		return packet{packetPing, payload}, nil
	case engineMessage:
		return decodeMessage(frame)
	case enginePong, engineUpgrade, engineNoop:
		return packet{packetIgnored, nil}, nil
	}
	return packet{}, &FrameError{Kind: "Engine.IO packet type", Size: len(frame)}
}

func decodeMessage(frame []byte) (packet, error) {
	if len(frame) < 2 {
		return packet{}, &FrameError{Kind: "message without a Socket.IO packet", Size: len(frame)}
	}
	payload, isMain := mainNamespace(frame[2:])
	kind := packetIgnored
	switch frame[1] {
	case socketConnect:
		kind = packetConnect
	case socketDisconnect:
		kind = packetDisconnect
	case socketEvent:
		kind = packetEvent
		payload = withoutAckID(payload)
	case socketConnectError:
		kind = packetConnectError
	case socketAck, socketBinaryEvent, socketBinaryAck:
	default:
		return packet{}, &FrameError{Kind: "Socket.IO packet type", Size: len(frame)}
	}
	if !isMain || kind == packetIgnored {
		return packet{packetIgnored, nil}, nil
	}
	return packet{kind, payload}, nil
}

// mainNamespace removes the namespace at the beginning of a payload, and reports whether it is the main one.
func mainNamespace(payload []byte) ([]byte, bool) {
	if len(payload) == 0 || payload[0] != '/' {
		return payload, true
	}
	namespace, rest, _ := bytes.Cut(payload, []byte(","))
	return rest, len(namespace) == 1
}

// withoutAckID removes the number with which a server asks for an acknowledgement. CyTube never waits for one.
func withoutAckID(payload []byte) []byte { return bytes.TrimLeft(payload, "0123456789") }

// splitEvent returns the name and the first argument of an event, nil if it has none. Further arguments are ignored,
// without a copy: there can be many. The error is a *FrameError.
func splitEvent(payload []byte) (string, json.RawMessage, error) {
	malformed := &FrameError{Kind: "event", Size: len(payload)}
	if !json.Valid(payload) {
		return "", nil, malformed
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') || !decoder.More() {
		return "", nil, malformed
	}
	var name *wireName
	if decoder.Decode(&name) != nil || name == nil {
		return "", nil, malformed
	}
	if !decoder.More() {
		return string(*name), nil, nil
	}
	var argument json.RawMessage
	if decoder.Decode(&argument) != nil {
		return "", nil, malformed
	}
	return string(*name), argument, nil
}

// encodeEvent returns the frame of an event.
func encodeEvent(name string, argument any) ([]byte, error) {
	var frame bytes.Buffer
	frame.WriteString(frameEvent)
	encoder := json.NewEncoder(&frame)
	// Browsers do not escape < > & in JSON, as Go does by default.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode([]any{name, argument}); err != nil {
		return nil, fmt.Errorf("encoding event %s: %w", name, err)
	}
	return bytes.TrimSuffix(frame.Bytes(), []byte("\n")), nil
}

// encodePong returns the frame that answers a ping, with the ping's payload.
func encodePong(payload []byte) []byte { return append([]byte{enginePong}, payload...) }

// openPayload is the heartbeat in an open packet, in milliseconds.
type openPayload struct {
	PingInterval int64 `json:"pingInterval"`
	PingTimeout  int64 `json:"pingTimeout"`
}

// connectErrorMessage returns the server's reason for refusing the connection.
func connectErrorMessage(payload []byte) string {
	var refusal struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(payload, &refusal) != nil || strings.TrimSpace(refusal.Message) == "" {
		return "no reason given"
	}
	return refusal.Message
}
