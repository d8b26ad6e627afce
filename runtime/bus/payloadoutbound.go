package bus

// OutboundGetRequest is the body of an OutboundGet request. The service's defaults are 50 and 3.
type OutboundGetRequest struct {
	Limit *int `json:"limit,omitempty"`
	// MaxRetries leaves out messages that failed so often or more. A message is abandoned after its
	// fourth failure, so 4 has every message tried again after 2, 4 and 8 minutes.
	MaxRetries *int `json:"max_retries,omitempty"`
	// Claimant names who asks, for example a pod. What it gets is its own for LeaseSeconds: others do
	// not get it meanwhile, and it gets it again when it asks again, with a new lease. A request
	// without a claimant takes nothing and sees what nobody holds.
	Claimant string `json:"claimant,omitempty"`
	Origin
}

// OutboundMessage is one element of the reply to OutboundGet, which is always a JSON array.
//
// LastError and ErrorMessage are the same text: the first is what Rosey 0.5 reads, the second
// what later versions read.
type OutboundMessage struct {
	ID           int64   `json:"id"`
	Timestamp    int64   `json:"timestamp"` // Unix seconds, when it was enqueued
	Message      string  `json:"message"`
	RetryCount   int     `json:"retry_count"`
	LastError    *string `json:"last_error"`
	ErrorMessage *string `json:"error_message"`
	// LeaseSeconds is how long the message is the claimant's, counted from the reply at the latest.
	// 0: nothing was claimed.
	LeaseSeconds int `json:"lease_seconds,omitempty"`
	// ClaimedSince is when it was first claimed, by anybody, since something was said of it: it may have
	// been sent by a bot that did not live to tell. Absent: nobody had it before.
	ClaimedSince Seconds `json:"claimed_since,omitzero"`
}

// OutboundSentPayload is the body of OutboundSent. Sent wins over whatever else is said of a message.
type OutboundSentPayload struct {
	MessageID *int64 `json:"message_id"`
	// MessageTimestamp is OutboundMessage.Timestamp. A message with this ID and another time is not the one that is
	// meant: a restored database assigns IDs again. 0: the ID alone identifies the message.
	MessageTimestamp int64 `json:"message_timestamp,omitempty"`
	Origin
}

// OutboundFailedPayload is the body of OutboundFailed, which may be published or requested.
type OutboundFailedPayload struct {
	MessageID *int64 `json:"message_id"`
	// MessageTimestamp is as in OutboundSentPayload.
	MessageTimestamp int64 `json:"message_timestamp,omitempty"`
	// Error says why, in words; it is in the replies to OutboundGet from then on.
	Error string `json:"error"`
	// Permanent says that trying again is of no use: the message is abandoned at once.
	Permanent bool `json:"permanent"`
	// RetryCount is OutboundMessage.RetryCount of the message as it was claimed. It makes a repeated report count
	// once. Required.
	RetryCount *int `json:"retry_count,omitempty"`
	// Claimant is who got the message. A failure of a claimant whose lease somebody else has by now
	// is ignored. Empty: never ignored for this.
	Claimant string `json:"claimant,omitempty"`
	Origin
}

// OutboundPutRequest is the body of an OutboundPut request.
type OutboundPutRequest struct {
	// Message is what the bot shall say: plain text, not empty, at most MaxOutboundBytes.
	Message string `json:"message"`
	// ClientID makes a repeated request harmless: within a channel, one id is one line, and the reply
	// to a repetition has the id of the first. Choose a random one for each line. Empty: every
	// request is a line.
	ClientID string `json:"client_id,omitempty"`
	Origin
}

// MaxOutboundBytes bounds OutboundPutRequest.Message. CyTube itself cuts lines, after 320 characters
// unless it is configured otherwise.
const MaxOutboundBytes = 4096

// OutboundPutReply is the reply to OutboundPut.
type OutboundPutReply struct {
	Success bool `json:"success"`
	// ID is the message's id, as in OutboundMessage.
	ID int64 `json:"id,omitempty"`
	// Error says what is wrong when Success is false.
	Error string `json:"error,omitempty"`
}

// Ack is the reply to OutboundSent and OutboundFailed where a reply is asked for. A message that is
// not there is a success: there is nothing left to do about it.
type Ack struct {
	Success bool   `json:"success"`
	Error   string `json:"error,omitempty"`
}
