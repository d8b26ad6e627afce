package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

const (
	// repeatWindow is within what time the stream knows a message id again. It covers a publisher that repeats what was
	// not confirmed; later repetitions are the database's to find. Each id takes memory in the server meanwhile.
	repeatWindow = 30 * time.Second
	// ensureAttempts bounds how often somebody else may come first while the stream is made.
	ensureAttempts = 5
	// overlaps is the server's code for subjects that another stream has.
	overlaps jetstream.ErrorCode = 10065
	// temporary is the server's code for servers that have not agreed on a leader.
	temporary jetstream.ErrorCode = 10008
)

// Events are the subjects on which events are published, and which the stream keeps.
var Events = []Suffix{
	UserJoined, UserLeft, MessageLog, StatsUserCount, StatsHighWater, StatusUpdate, ActionPMCommand,
	OutboundSent, OutboundFailed,
}

// StreamError is returned when the stream of somebody else, or the absence of one, is in the way. Message is for
// people.
type StreamError struct {
	Reason  status.Reason
	Message string
}

func (e *StreamError) Error() string { return e.Message }

// streamConfig is the stream as we make it. Subjects are listed: a wildcard would take requests too, and a stream
// answers what it takes.
func (s Subjects) streamConfig(j config.JetStream) jetstream.StreamConfig {
	wanted := jetstream.StreamConfig{
		Name:        s.StreamName(),
		Description: "Events of Rosey with the prefix " + s.prefix + ", kept until a database has them",
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		Storage:     jetstream.FileStorage,
		MaxBytes:    int64(j.MaxBytes),
		MaxAge:      j.MaxAge.Time(),
		Replicas:    j.Replicas,
		Duplicates:  repeatWindow,
		MaxMsgs:     -1, MaxMsgSize: -1, MaxConsumers: -1, MaxMsgsPerSubject: -1,
	}
	if wanted.MaxAge > 0 {
		wanted.Duplicates = min(repeatWindow, wanted.MaxAge) // the server takes no more
	}
	for _, suffix := range Events {
		wanted.Subjects = append(wanted.Subjects, s.Subject(suffix))
	}
	return wanted
}

// ensureStream makes the stream or brings its limits up to date. A stream of another shape is left as it is.
// Several may do so at once.
func ensureStream(
	ctx context.Context, js jetstream.JetStream, wanted jetstream.StreamConfig, request string,
) (stream jetstream.Stream, err error) {
	for range ensureAttempts {
		stream, err = js.Stream(ctx, wanted.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = js.CreateStream(ctx, wanted)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				continue // somebody else came first
			}
			if err != nil {
				return nil, notMade(ctx, js, wanted, request, err)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", wanted.Name, err)
		}
		has := stream.CachedInfo().Config
		if differs := shapeDiffers(has, wanted); differs != "" {
			return nil, &StreamError{status.ReasonStreamMismatch, fmt.Sprintf(
				"the stream %s has another shape than Rosey's and is left as it is: %s", wanted.Name, differs)}
		}
		brought, change := upToDate(has, wanted)
		if !change {
			return stream, nil
		}
		if _, err = js.UpdateStream(ctx, brought); err != nil {
			return nil, fmt.Errorf("updating the limits of stream %s: %w", wanted.Name, err)
		}
	}
	return nil, fmt.Errorf("stream %s: others change it all the time: %w", wanted.Name, err)
}

// notMade says why the server does not make the stream: its subjects are taken, or there is no room for it, which
// leaves us without JetStream. Anything else may pass.
func notMade(
	ctx context.Context, js jetstream.JetStream, wanted jetstream.StreamConfig, request string, err error,
) error {
	refusal, refused := errors.AsType[*jetstream.APIError](err)
	switch {
	case refused && refusal.ErrorCode == overlaps:
		return takenSubjects(ctx, js, wanted, request)
	case !refused || refusal.ErrorCode == temporary || jetStreamMissing(err):
		return fmt.Errorf("making the stream %s: %w", wanted.Name, err)
	}
	return &StreamError{status.ReasonJetStreamMissing, fmt.Sprintf(
		"the NATS server does not make the stream %s: %s", wanted.Name, refusal.Description)}
}

// takenSubjects names the stream that has our subjects.
func takenSubjects(ctx context.Context, js jetstream.JetStream, wanted jetstream.StreamConfig, request string) error {
	if name, err := js.StreamNameBySubject(ctx, request); err == nil {
		return capturedRequest(name, request)
	}
	for _, subject := range wanted.Subjects {
		if name, err := js.StreamNameBySubject(ctx, subject); err == nil {
			return &StreamError{status.ReasonStreamMismatch, fmt.Sprintf(
				"the stream %s has the subject %s, so the stream %s cannot be made", name, subject, wanted.Name)}
		}
	}
	return &StreamError{status.ReasonStreamMismatch,
		"another stream has subjects of the stream " + wanted.Name + ", which cannot be made"}
}

// capturedRequest returns the error for a stream whose subjects include request subjects.
func capturedRequest(stream, subject string) *StreamError {
	return &StreamError{status.ReasonStreamCapturesRequests, fmt.Sprintf(
		"the stream %s takes requests on %s and answers them instead of the database service", stream, subject)}
}

// shapeDiffers says what cannot be brought up to date, or must not be since somebody else wanted it so.
func shapeDiffers(has, wanted jetstream.StreamConfig) string {
	var differs []string
	note := func(what string, has, wanted any) {
		if has != wanted {
			differs = append(differs, fmt.Sprintf("%s %v, expected %v", what, has, wanted))
		}
	}
	for _, subject := range has.Subjects {
		if !slices.Contains(wanted.Subjects, subject) {
			differs = append(differs, "subject "+subject+" too many")
		}
	}
	note("retention", has.Retention, wanted.Retention)
	note("discard", has.Discard, wanted.Discard)
	note("storage", has.Storage, wanted.Storage)
	note("max_msgs", has.MaxMsgs, wanted.MaxMsgs)
	note("max_msgs_per_subject", has.MaxMsgsPerSubject, wanted.MaxMsgsPerSubject)
	note("max_msg_size", has.MaxMsgSize, wanted.MaxMsgSize)
	note("no_ack", has.NoAck, false)
	note("sealed", has.Sealed, false)
	note("mirror or sources", has.Mirror != nil || len(has.Sources) > 0, false)
	return strings.Join(differs, "; ")
}

// upToDate changes what the configuration says, and keeps what others have set, such as metadata.
func upToDate(has, wanted jetstream.StreamConfig) (brought jetstream.StreamConfig, change bool) {
	brought = has
	brought.MaxBytes, brought.MaxAge, brought.Replicas = wanted.MaxBytes, wanted.MaxAge, wanted.Replicas
	brought.Duplicates = wanted.Duplicates
	brought.Subjects = wanted.Subjects // an older version may have had fewer
	return brought, has.MaxBytes != brought.MaxBytes || has.MaxAge != brought.MaxAge ||
		has.Replicas != brought.Replicas || has.Duplicates != brought.Duplicates ||
		len(has.Subjects) != len(brought.Subjects)
}

// jetStreamMissing says whether the server, or our account on it, has no JetStream at all.
func jetStreamMissing(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}
