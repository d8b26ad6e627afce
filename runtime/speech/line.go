package speech

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

// state is where a line of the outbound queue is, as far as this process knows.
type state string

const (
	queued      state = "queued"      // the service has it; this process is not waiting for an echo of any part
	claimed     state = "claimed"     // the service gave it to this bot, and its next part waits to be sent
	sending     state = "sending"     // a part was sent, and its echo is due
	unconfirmed state = "unconfirmed" // a part was sent, and its echo did not come: it may have been said
	said        state = "said"        // all parts appeared in the channel
	failed      state = "failed"      // the server refused a part; the line is tried again later
	abandoned   state = "abandoned"   // the line is not tried again
)

// input is what moves a line from one state to another.
type input string

const (
	handedOut         input = "handed out"         // the service returned the line to a request for lines to say
	sent              input = "sent"               // a part was written to the connection
	released          input = "released"           // a part was not sent: the bot left, does not lead, or may not chat yet
	throttled         input = "throttled"          // the server dropped the part; it is sent again after a pause
	appeared          input = "appeared"           // a part appeared in the channel, and others are left
	completed         input = "completed"          // the last part appeared, or there was nothing left to say
	refused           input = "refused"            // the server refused the part for a reason that can pass
	permanentlyFailed input = "permanently failed" // another attempt is useless, or would risk saying the line twice
	timedOut          input = "timed out"          // the echo did not come in time
	disconnected      input = "disconnected"       // the connection ended before the echo came
	exhausted         input = "exhausted"          // the attempt was the last one
)

// transitions is the whole state machine: for each state, the next state by input. An input that is not listed changes
// nothing. Only handedOut starts an attempt; a part can appear long after its attempt has ended.
var transitions = map[state]map[input]state{
	queued: {
		handedOut: claimed,
		appeared:  queued, completed: said, // another process said it, or a part that was sent before it was released
	},
	claimed: {
		sent: sending, released: queued,
		appeared: claimed, completed: said, // blank, said by a bot before this one, or a late echo
		permanentlyFailed: abandoned,
	},
	sending: {
		appeared: claimed, completed: said,
		throttled: claimed, refused: failed, permanentlyFailed: abandoned,
		timedOut: unconfirmed, disconnected: unconfirmed,
	},
	unconfirmed: {
		handedOut: claimed,
		appeared:  queued, completed: said, // a late echo, or a line that the server repeats on join
		exhausted: abandoned,
	},
	failed:    {handedOut: claimed, exhausted: abandoned},
	said:      {},
	abandoned: {appeared: abandoned, completed: said}, // the echo of its last attempt comes late
}

// lineID identifies a line of the outbound queue. The time, in Unix seconds, is part of it because a new or restored
// database assigns the same IDs to other lines.
type lineID struct{ id, enqueuedAt int64 }

// line is a line of the outbound queue that this process was given. Its methods do no I/O.
type line struct {
	lineID

	state  state
	length *maxLength
	// rest is what was not said yet. A long text is several lines in the channel, of which next were said: how many there
	// are depends on how long they may be, which the bot learns.
	rest string
	next int
	// missing is the part of rest that was sent, until it appears in the channel or is known not to. It outlives the
	// attempt. Its text is empty if nothing is missing.
	missing Message
	// sentAt is when the missing part was sent, the first time.
	sentAt time.Time
	// command: the first part is executed and need not come back. The others are said.
	command bool
	// tooLong: the text is not kept, because lines are remembered for an hour, and the service puts no such line into
	// the queue: it comes from somebody who replies in its place, or from a program that writes into the database.
	tooLong bool
	// attempts counts failures, and retryCount is what the service had counted when it handed out the line.
	attempts, retryCount int
	// notBefore ends the back-off after a failure.
	notBefore time.Time
	// reportedAt is when it was last reported as sent.
	reportedAt time.Time
	// usedAt is when the line was last handed out.
	usedAt time.Time
	// span is that of the latest attempt. Nil: it is not traced.
	span trace.Span
}

// newLine returns a line that was handed out. One that begins with "/" is a command: the database service stores such a
// line only for bus.OutboundPutCommand, and the Python bot executes it too. Of a long command only the beginning is
// sent, as if the server had cut it: the rest, for example of the reason of a kick, is not for the channel.
func newLine(m bus.OutboundMessage, length *maxLength) *line {
	l := &line{lineID: idOf(m), state: queued, length: length}
	if len(m.Message) > bus.MaxOutboundBytes {
		l.tooLong = true
		return l
	}
	l.rest, l.command = m.Message, strings.HasPrefix(m.Message, "/")
	if l.command && !formatting.MatchString(m.Message) {
		l.rest = cytube.SplitLine(m.Message, length.get())[0]
	}
	return l
}

// message returns the next part. The line is not complete.
func (l *line) message() Message {
	return Message{Text: l.length.split(l.rest)[0], Command: l.command && l.next == 0}
}

// unsplit returns the next part as it would be if lines could have any length.
func (l *line) unsplit() Message {
	text, _, _ := strings.Cut(strings.TrimSpace(l.rest), "\n")
	return Message{Text: strings.TrimSpace(text), Command: l.command && l.next == 0}
}

func idOf(m bus.OutboundMessage) lineID { return lineID{m.ID, m.Timestamp} }

// on changes the state according to an input.
func (l *line) on(in input) {
	if next, ok := transitions[l.state][in]; ok {
		l.state = next
		if l.span != nil {
			l.span.AddEvent(string(in))
		}
	}
}

// complete reports whether everything was said. A blank line is complete.
func (l *line) complete() bool { return strings.TrimSpace(l.rest) == "" }

// markSent notes that the next part was written to the connection.
func (l *line) markSent(part Message, now time.Time) {
	if l.missing != part {
		l.missing, l.sentAt = part, now
	}
	l.on(sent)
}

// markAppeared notes that a part, which is the beginning of rest, is in the channel. missing is its end that the server
// has cut off, which is the next part.
func (l *line) markAppeared(part Message, missing string) {
	l.rest = missing + strings.TrimPrefix(strings.TrimSpace(l.rest), part.Text)
	l.next, l.missing = l.next+1, Message{}
	if l.complete() {
		l.on(completed)
	} else {
		l.on(appeared)
	}
}

// markFailed notes a failed attempt and reports whether the line is abandoned at once.
func (l *line) markFailed(outcome Outcome, now time.Time) (permanent bool) {
	l.attempts = max(l.attempts, l.retryCount) + 1
	l.notBefore = now.Add(backoff.OutboundDelay(l.attempts))
	switch {
	case outcome == Muted, outcome == Forbidden:
		l.missing = Message{}
		l.on(permanentlyFailed)
	case outcome == Doubtful, outcome == TooLong:
		l.on(permanentlyFailed)
	case outcome == Unanswered && l.command:
		// It may have been executed, or the bot's rank does not allow it. In both cases it is not repeated.
		l.on(permanentlyFailed)
	case outcome == Unanswered:
		l.on(timedOut)
	default:
		l.missing = Message{}
		l.on(refused)
	}
	permanent = l.state == abandoned
	if l.attempts >= backoff.OutboundAttempts {
		l.on(exhausted)
	}
	return permanent
}

// mayTry reports whether an attempt may begin, when the service has counted retryCount failures. If the service has
// stored the last failure, it decides when the line is due.
func (l *line) mayTry(retryCount int, now time.Time) bool {
	switch l.state {
	case queued, unconfirmed, failed:
		return retryCount > l.retryCount || !now.Before(l.notBefore)
	default:
		return false
	}
}
