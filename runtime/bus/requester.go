package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/status"
)

// RequestTimeout is how long Requester.Request waits for a reply if its context does not end earlier.
const RequestTimeout = 2 * time.Second

// Errors of Requester.Request, for errors.Is. They wrap what nats.go said.
var (
	// ErrNotConnected says that the connection to NATS does not stand; nothing was sent.
	ErrNotConnected = errors.New("not connected to NATS")
	// ErrNoService says that nobody listens on the subject.
	ErrNoService = errors.New("no database service answers")
	// ErrNoReply says that somebody listens and the reply did not come in time.
	ErrNoReply = errors.New("the database service did not answer in time")
)

// Requester asks the database service.
type Requester struct {
	conn     *Conn
	subjects Subjects
	absent   func()
}

// NewRequester makes a requester. absent is called when a request showed that no service is there;
// give it Publisher.ServiceAbsent, or nil.
func NewRequester(conn *Conn, subjects Subjects, absent func()) *Requester {
	if absent == nil {
		absent = func() {}
	}
	return &Requester{conn: conn, subjects: subjects, absent: absent}
}

// Request sends in as JSON and decodes the reply into out. It waits up to RequestTimeout.
// Besides the errors above it returns those of encoding and decoding.
func (r *Requester) Request(ctx context.Context, suffix Suffix, in, out any) error {
	data, err := Encode(in)
	if err != nil {
		return fmt.Errorf("encoding the request %s: %w", suffix, err)
	}
	reply, err := r.request(ctx, suffix, data)
	if errors.Is(err, ErrNoService) {
		r.absent()
	}
	if err != nil {
		return err
	}
	if stream, captured := confirmation(reply.Data); captured {
		return &streamError{status.ReasonStreamCapturesRequests, capturesRequests(stream, r.subjects.Subject(suffix))}
	}
	if err := json.Unmarshal(reply.Data, out); err != nil {
		return fmt.Errorf("decoding the reply to %s: %w", suffix, err)
	}
	return nil
}

func (r *Requester) request(ctx context.Context, suffix Suffix, data []byte) (*nats.Msg, error) {
	subject := r.subjects.Subject(suffix)
	if !r.conn.Connected() {
		return nil, fmt.Errorf("requesting %s: %w", subject, ErrNotConnected)
	}
	waiting, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	reply, err := r.conn.NATS().RequestWithContext(waiting, subject, data)
	switch {
	case err == nil:
		return reply, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("requesting %s: %w", subject, context.Cause(ctx))
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("requesting %s: %w (%w)", subject, ErrNoService, err)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("requesting %s: %w (%w)", subject, ErrNoReply, err)
	default:
		return nil, fmt.Errorf("requesting %s: %w (%w)", subject, ErrNotConnected, err)
	}
}

// confirmation says whether a reply is what a stream answers to whatever it keeps, and which stream's it is. Someone's
// stream over our request subjects answers before the service can.
func confirmation(reply []byte) (stream string, is bool) {
	if !bytes.HasPrefix(reply, []byte(`{"stream":`)) {
		return "", false
	}
	var confirmed struct {
		Stream   string `json:"stream"`
		Sequence uint64 `json:"seq"`
	}
	if err := json.Unmarshal(reply, &confirmed); err != nil {
		return "", false
	}
	return confirmed.Stream, confirmed.Stream != "" && confirmed.Sequence > 0
}
