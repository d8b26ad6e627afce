package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// RequestTimeout is how long Requester.Request waits for a reply if its context does not end earlier.
const RequestTimeout = 2 * time.Second

// Errors of Requester, for errors.Is. They also wrap the error of nats.go.
var (
	// ErrNotConnected means that there is no connection to NATS; nothing was sent.
	ErrNotConnected = errors.New("not connected to NATS")
	// ErrNoService means that nobody has subscribed to the subject.
	ErrNoService = errors.New("no database service answers")
	// ErrNoReply means that somebody has subscribed, but did not reply in time.
	ErrNoReply = errors.New("the database service did not answer in time")
	// ErrRequestTooLarge means that the request has more bytes than the NATS server accepts.
	ErrRequestTooLarge = errors.New("the request is too large")
	// ErrNotServed is returned by FindService when a service replies that it does not serve the channel.
	ErrNotServed = errors.New("the database service does not serve the channel")
	// ErrNotAService is returned by FindService when the reply is not a database service's.
	ErrNotAService = errors.New("the responder is not a database service")
)

// Requester sends requests to the database service. It is safe for concurrent use.
type Requester struct {
	conn     *Conn
	subjects Subjects
}

// NewRequester returns a Requester. It sends nothing before its methods are called.
func NewRequester(conn *Conn, subjects Subjects) *Requester {
	return &Requester{conn: conn, subjects: subjects}
}

// Request sends in as JSON and decodes the reply into out. It waits up to RequestTimeout, or PeopleTimeout for those
// requests. Besides the errors above it returns a StreamError, a DeniedError if the server denies one of
// OptionalRequests, or the errors of encoding and decoding.
func (r *Requester) Request(ctx context.Context, suffix Suffix, in, out any) error {
	data, err := Encode(in)
	if err != nil {
		return fmt.Errorf("encoding the request %s: %w", suffix, err)
	}
	reply, err := r.request(ctx, suffix, data)
	if err != nil {
		return err
	}
	if stream, isAck := streamAck(reply.Data); isAck {
		return capturedRequest(stream, r.subjects.Subject(suffix))
	}
	if err := json.Unmarshal(reply.Data, out); err != nil {
		return fmt.Errorf("decoding the reply to %s: %w", suffix, err)
	}
	if out, ok := out.(HeaderReader); ok {
		out.SetHeader(reply.Header)
	}
	return nil
}

// HeaderWriter is implemented by replies of which a part is sent in the headers of the message, because their JSON is
// that of the Python service.
type HeaderWriter interface{ Header() nats.Header }

// HeaderReader is HeaderWriter for those who receive the reply.
type HeaderReader interface{ SetHeader(header nats.Header) }

// FindService looks for a database service of a channel with a request that changes nothing and to which every service
// replies with an array. deduplicates reports whether the service stores an event with a known ID only once
// (IDsHeader).
func (r *Requester) FindService(ctx context.Context, channel Origin) (deduplicates bool, err error) {
	subject := r.subjects.Subject(OutboundGet)
	request, err := Encode(OutboundGetRequest{Limit: new(int), Origin: channel})
	if err != nil {
		return false, fmt.Errorf("encoding the request %s: %w", subject, err)
	}
	reply, err := r.request(ctx, OutboundGet, request)
	if err != nil {
		return false, err
	}
	if refusal := reply.Header.Get(RefusedHeader); refusal != "" {
		return false, fmt.Errorf("%w: %s", ErrNotServed, refusal)
	}
	if stream, isAck := streamAck(reply.Data); isAck {
		return false, capturedRequest(stream, subject)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(reply.Data), []byte("[")) {
		return false, fmt.Errorf("requesting %s: %w", subject, ErrNotAService)
	}
	return reply.Header.Get(IDsHeader) != "", nil
}

func (r *Requester) request(ctx context.Context, suffix Suffix, data []byte) (*nats.Msg, error) {
	return r.conn.Request(ctx, r.subjects.Subject(suffix), data, timeoutOf(suffix))
}

// Request sends a request in a span, and returns the reply. It waits up to timeout. The errors are those above and, if
// the server denies a subject that a user may lack on purpose (OptionalRequests, and what a plugin requests), a
// DeniedError.
func (c *Conn) Request(ctx context.Context, subject string, data []byte, timeout time.Duration) (*nats.Msg, error) {
	return c.RequestMsg(ctx, &nats.Msg{Subject: subject, Data: data}, timeout)
}

// RequestMsg is Request with headers. It may add some.
func (c *Conn) RequestMsg(ctx context.Context, m *nats.Msg, timeout time.Duration) (*nats.Msg, error) {
	_, suffix, _ := strings.Cut(m.Subject, ".") // a prefix has no dots
	ctx, span := startRequest(ctx, Suffix(suffix), m)
	reply, err := c.send(ctx, m, timeout)
	endRequest(span, err)
	return reply, err
}

// timeoutOf returns how long a reply is waited for.
func timeoutOf(suffix Suffix) time.Duration {
	switch suffix {
	case PeopleExport, PeopleForget:
		return PeopleTimeout
	default:
		return RequestTimeout
	}
}

func (c *Conn) send(ctx context.Context, m *nats.Msg, timeout time.Duration) (*nats.Msg, error) {
	subject := m.Subject
	if !c.Connected() {
		return nil, fmt.Errorf("requesting %s: %w", subject, ErrNotConnected)
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// A denied request has no reply. It is not waited for.
	waiting, stop := c.state.untilDenied(waiting, func(denied string) bool {
		return denied == subject && isOptional(subject)
	})
	defer stop()
	reply, err := c.NATS().RequestMsgWithContext(waiting, m)
	denied, isDenied := errors.AsType[*DeniedError](context.Cause(waiting))
	switch {
	case err == nil:
		return reply, nil
	case isDenied && ctx.Err() == nil:
		return nil, fmt.Errorf("requesting %s: %w", subject, denied)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("requesting %s: %w", subject, context.Cause(ctx))
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("requesting %s: %w (%w)", subject, ErrNoService, err)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("requesting %s: %w (%w)", subject, ErrNoReply, err)
	case errors.Is(err, nats.ErrMaxPayload):
		return nil, fmt.Errorf("requesting %s: %w: it has %d bytes, and the NATS server accepts at most %d (%w)",
			subject, ErrRequestTooLarge, len(m.Data), c.NATS().MaxPayload(), err)
	case isDisconnected(err):
		return nil, fmt.Errorf("requesting %s: %w (%w)", subject, ErrNotConnected, err)
	}
	return nil, fmt.Errorf("requesting %s: %w", subject, err)
}

// isDisconnected reports whether nats.go has sent nothing because it has no connection. ErrReconnectBufExceeded is what
// it returns then to a Conn, which buffers nothing.
func isDisconnected(err error) bool {
	return errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionReconnecting) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrStaleConnection) ||
		errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrConnectionDraining)
}

// streamAck reports whether a reply is a JetStream publish acknowledgement, and of which stream: a stream whose
// subjects include the request subjects replies before the service can.
func streamAck(reply []byte) (stream string, ok bool) {
	if !bytes.HasPrefix(reply, []byte(`{"stream":`)) {
		return "", false
	}
	var ack struct {
		Stream   string `json:"stream"`
		Sequence uint64 `json:"seq"`
	}
	if err := json.Unmarshal(reply, &ack); err != nil {
		return "", false
	}
	return ack.Stream, ack.Stream != "" && ack.Sequence > 0
}
