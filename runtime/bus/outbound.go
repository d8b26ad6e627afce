package bus

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// OutboundGetRequest is the body of an OutboundGet request. The service's defaults are 50 and 3.
type OutboundGetRequest struct {
	Limit *int `json:"limit,omitempty"`
	// MaxRetries leaves out messages with this many failures or more. A message is abandoned after its fourth failure,
	// so with 4 every message is tried again after 2, 4 and 8 minutes.
	MaxRetries *int `json:"max_retries,omitempty"`
	// Claimant names the requester, for example its pod. It claims the messages that it gets for LeaseSeconds: other
	// claimants do not get them meanwhile; if it asks again it gets them again, and the claim is renewed. A request
	// without a claimant claims nothing and returns only messages that nobody has claimed.
	Claimant string `json:"claimant,omitempty"`
	Origin
}

// OutboundMessage is one element of the reply to OutboundGet, which is always a JSON array.
//
// LastError and ErrorMessage are the same text: Rosey 0.5 reads the first, later versions the second.
type OutboundMessage struct {
	ID           int64   `json:"id"`
	Timestamp    int64   `json:"timestamp"` // Unix seconds, when it was enqueued
	Message      string  `json:"message"`
	RetryCount   int     `json:"retry_count"`
	LastError    *string `json:"last_error"`
	ErrorMessage *string `json:"error_message"`
	// LeaseSeconds is how long the message is claimed, at most from the reply on: the service counts from before it
	// has read the message. 0: nothing was claimed.
	LeaseSeconds int `json:"lease_seconds,omitempty"`
	// ClaimedSince is when somebody first claimed the message since it was last reported as sent or failed: a bot that
	// died before its report may have sent it. Zero: nobody has claimed it before.
	ClaimedSince Seconds `json:"claimed_since,omitzero"`
	// TraceParent is the W3C traceparent of the request that has queued the message, if it is traced.
	TraceParent string `json:"traceparent,omitempty"`
}

// OutboundMessages is the reply to OutboundGet. Decoding it from JSON leaves out everything after the first 1,000
// elements, as many as a service sends: a reply of 1 MB from somebody else can have hundreds of thousands of empty
// ones, which would take a hundred times its size in memory.
type OutboundMessages []OutboundMessage

// UnmarshalJSON implements json.Unmarshaler.
func (m *OutboundMessages) UnmarshalJSON(data []byte) (err error) {
	*m, err = decodeArray[OutboundMessage](data)
	return err
}

// OutboundReply is the reply to OutboundGet: a JSON array, which is all that Python's clients and services know, and a
// header.
type OutboundReply struct {
	Lines OutboundMessages
	// NextDue is how long until another line may be due: its back-off or the claim of somebody else ends. It is 0 if
	// there may be more lines now than were asked for, and MaxNextDue if none is known. Lines that are put later are
	// announced on Subjects.OutboundWaiting. Nil: the service does not say, and has to be polled.
	NextDue *time.Duration
}

// MaxNextDue bounds OutboundReply.NextDue.
const MaxNextDue = time.Minute

// MarshalJSON implements json.Marshaler.
func (r OutboundReply) MarshalJSON() ([]byte, error) {
	if r.Lines == nil {
		return []byte("[]"), nil
	}
	return Encode([]OutboundMessage(r.Lines))
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *OutboundReply) UnmarshalJSON(data []byte) error { return r.Lines.UnmarshalJSON(data) }

// Header returns the headers of the reply.
func (r OutboundReply) Header() nats.Header {
	if r.NextDue == nil {
		return nil
	}
	return nats.Header{NextDueHeader: {strconv.FormatInt(r.NextDue.Milliseconds(), 10)}}
}

// SetHeader reads the headers of a reply. Values that no service of ours sends are ignored.
func (r *OutboundReply) SetHeader(header nats.Header) {
	r.NextDue = nil
	millis, err := strconv.ParseInt(header.Get(NextDueHeader), 10, 64)
	if err == nil && millis >= 0 && millis <= MaxNextDue.Milliseconds() {
		r.NextDue = new(time.Duration(millis) * time.Millisecond)
	}
}

// OutboundPutRequest is the body of an OutboundPut or OutboundPutCommand request.
type OutboundPutRequest struct {
	// Message is what the bot is to say: plain text, not empty, at most MaxOutboundBytes. OutboundPut refuses a text for
	// which ContainsCommand is true. OutboundPutCommand accepts only one line that begins with "/".
	Message string `json:"message"`
	// ClientID makes it harmless to repeat the request: within a channel there is one line for each ClientID, and the
	// reply to a repetition has the ID of that line. Choose a random one for each line. Empty: every request adds a
	// line.
	ClientID string `json:"client_id,omitempty"`
	// Asker is who asks for the line, at most MaxAskerBytes: it is stored with the line, and nobody checks it. A program
	// that knows its users sets it, such as the web page. Empty: unknown.
	Asker string `json:"asker,omitempty"`
	Origin
}

// MaxAskerBytes bounds OutboundPutRequest.Asker.
const MaxAskerBytes = 256

// MaxOutboundBytes bounds OutboundPutRequest.Message. By default CyTube itself cuts lines after 320 characters.
const MaxOutboundBytes = 4096

// OutboundPutReply is the reply to OutboundPut and OutboundPutCommand.
type OutboundPutReply struct {
	Success bool `json:"success"`
	// ID is the message's ID, as in OutboundMessage.
	ID int64 `json:"id,omitempty"`
	// Error is the cause if Success is false.
	Error string `json:"error,omitempty"`
	Retry bool   `json:"retry,omitempty"` // as in QueryError
}

// OutboundCancelRequest is the body of an OutboundCancel request.
type OutboundCancelRequest struct {
	// ID is that of the line, as in OutboundPutReply.
	ID int64 `json:"id"`
	// Asker is as in OutboundPutRequest. It is not stored.
	Asker string `json:"asker,omitempty"`
	Origin
}

// OutboundCancelReply is the reply to OutboundCancel.
type OutboundCancelReply struct {
	// Success is true if the line is not going to be said: it was taken back now, or before.
	Success bool `json:"success"`
	// State is what the line is now. OutboundUnknown: the channel has no line of this ID. If the database is not
	// available it is empty.
	State OutboundState `json:"state,omitempty"`
	// Error is the cause if Success is false. A line that a bot has claimed cannot be taken back: it may have been said.
	Error string `json:"error,omitempty"`
	Retry bool   `json:"retry,omitempty"` // as in QueryError
}

// OutboundState is what becomes of a line.
type OutboundState string

// The states of a line.
const (
	OutboundWaits     OutboundState = "waiting"   // nobody has claimed it, or an attempt failed and another one follows
	OutboundClaimed   OutboundState = "claimed"   // a bot is about to say it, or has said it and not reported it yet
	OutboundSaid      OutboundState = "sent"      // it appeared in the channel
	OutboundAbandoned OutboundState = "failed"    // all attempts failed, or one permanently
	OutboundCancelled OutboundState = "cancelled" // it was taken back
	OutboundUnknown   OutboundState = "unknown"   // there is no such line
)

// Ack is the reply to OutboundSent and OutboundFailed if they are sent as requests by core NATS. Success is true for a
// message that does not exist: there is nothing left to do about it.
type Ack struct {
	Success bool   `json:"success"`
	Error   string `json:"error,omitempty"`
}
