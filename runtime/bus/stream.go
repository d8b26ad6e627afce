package bus

import (
	"cmp"
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
	// dedupWindow is how long the stream remembers message IDs, which take memory in the server. It covers a publisher
	// that repeats what was not acknowledged; the database recognizes later repetitions.
	dedupWindow = 30 * time.Second
	// ensureAttempts bounds how often ensureStream starts again because others create or change the stream.
	ensureAttempts = 5
)

// Error codes of the server for which jetstream has no name.
const (
	codeTemporarilyUnavailable jetstream.ErrorCode = 10008 // the servers of a cluster have no leader yet
	codeNoSuitablePeers        jetstream.ErrorCode = 10005 // the text states why
	codeSubjectsOverlap        jetstream.ErrorCode = 10065 // another stream has subjects of the new one
)

// limitCodes are the errors of a server whose storage is used up, or of an account at one of its limits.
var limitCodes = []jetstream.ErrorCode{
	10002, // resource limits exceeded for account
	10023, // insufficient resources
	10026, // maximum consumers limit reached
	10027, // maximum number of streams reached
	10028, // insufficient memory resources available
	10047, // insufficient storage resources available
	10074, // replicas > 1 not supported in non-clustered mode
	10077, // the store of the stream failed; the text states why, such as a full disk
	10120, // no JetStream default or applicable tiered limit present
	10121, // consumer max ack pending exceeds system limit
	10122, // stream max bytes exceeds account limit
}

// isLimit reports whether the server did not do what it was asked for because of its storage or a limit of the account.
func isLimit(err error) bool {
	refusal, ok := errors.AsType[*jetstream.APIError](err)
	return ok && slices.Contains(limitCodes, refusal.ErrorCode)
}

// StreamError is returned when another stream, or the absence of JetStream, prevents the stream from being used.
// Message is for people.
type StreamError struct {
	Reason  status.Reason
	Message string
}

func (e *StreamError) Error() string { return e.Message }

// streamConfig returns the configuration with which the stream is created. It lists the subjects: a wildcard would
// include requests, which the stream would then acknowledge.
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
		Duplicates:  dedupWindow,
		MaxMsgSize:  cmp.Or(int32(j.MaxMessageBytes), -1), //nolint:gosec // the configuration bounds it
		MaxMsgs:     -1, MaxConsumers: -1, MaxMsgsPerSubject: -1,
	}
	if wanted.MaxAge > 0 {
		wanted.Duplicates = min(dedupWindow, wanted.MaxAge) // the server rejects a longer one
	}
	for _, suffix := range Events {
		wanted.Subjects = append(wanted.Subjects, s.Subject(suffix))
	}
	return wanted
}

// Change is what was done to a stream, a consumer or a bucket.
type Change string

// The changes.
const (
	Created   Change = "created"
	Updated   Change = "updated"
	Unchanged Change = "unchanged"
)

// CreateStream creates the stream of events, or updates its limits and subjects if they differ. It returns a
// StreamError if somebody else's stream prevents that, or if the server has no room. A stream whose limits cannot be
// changed is returned beside the error: it keeps those that it has.
func (s Subjects) CreateStream(
	ctx context.Context, js jetstream.JetStream, j config.JetStream,
) (jetstream.Stream, Change, error) {
	if err := checkServerVersion(js.Conn()); err != nil {
		return nil, "", err
	}
	return ensureStream(ctx, js, s.streamConfig(j), s.Subject(OutboundGet))
}

// ensureStream returns the stream, after it has created it or updated its limits if necessary. A stream of the same
// name that is configured for another purpose is not changed. If the server refuses to change the limits of a stream
// that works, ensureStream returns both the stream and a settingError. request is the subject of a request. Several
// processes may do so at the same time.
func ensureStream(
	ctx context.Context, js jetstream.JetStream, wanted jetstream.StreamConfig, request string,
) (stream jetstream.Stream, change Change, err error) {
	change = Unchanged
	for range ensureAttempts {
		stream, err = js.Stream(ctx, wanted.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = js.CreateStream(ctx, wanted)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				continue // another process was faster
			}
			if err != nil {
				return nil, "", createError(ctx, js, wanted, request, err)
			}
			change = Created
		}
		if err != nil {
			return nil, "", fmt.Errorf("stream %s: %w", wanted.Name, err)
		}
		current := stream.CachedInfo().Config
		if different := append(differences(current, wanted), fixedLimits(current, wanted)...); len(different) > 0 {
			return nil, "", mismatch(wanted.Name, "is not configured as Rosey's and is not changed", different)
		}
		changed, err := updateSettings(ctx, js, current, wanted, request)
		if staying, ok := errors.AsType[*settingError](err); ok {
			return stream, change, staying
		}
		if err != nil {
			return nil, "", err
		}
		if !changed {
			return stream, change, nil
		}
		change = Updated
	}
	return nil, "", fmt.Errorf("stream %s: other processes keep changing it", wanted.Name)
}

// findStream returns the stream that an administrator has created. Its limits may be any; with other differences it
// could not be used.
func findStream(
	ctx context.Context, js jetstream.JetStream, wanted jetstream.StreamConfig, request string,
) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, wanted.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, notProvisioned("stream", wanted.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", wanted.Name, err)
	}
	current := stream.CachedInfo().Config
	different := differences(current, wanted)
	_, missing := missingSubjects(current, wanted)
	for _, subject := range missing {
		different = append(different, "no subject "+subject)
	}
	if len(different) == 0 {
		return stream, nil
	}
	if name, err := js.StreamNameBySubject(ctx, request); err == nil && name == wanted.Name {
		return nil, capturedRequest(wanted.Name, request)
	}
	return nil, mismatch(wanted.Name, "cannot be used as Rosey's", different)
}

// notProvisioned returns the error for an object that an administrator has to create.
func notProvisioned(kind, name string) *StreamError {
	return &StreamError{status.ReasonJetStreamMissing, fmt.Sprintf(
		"the %s %s does not exist, and nats.jetStream.provisioning is manual: an administrator has to create it, "+
			"for example with rosey nats create", kind, name)}
}

func mismatch(stream, problem string, differences []string) *StreamError {
	return &StreamError{status.ReasonStreamMismatch, fmt.Sprintf(
		"the stream %s %s: %s", stream, problem, strings.Join(differences, "; "))}
}

// createError returns a StreamError if the server refuses to create the stream: another one has its subjects, or there
// is no room for it. Other errors are temporary.
func createError(
	ctx context.Context, js jetstream.JetStream, wanted jetstream.StreamConfig, request string, err error,
) error {
	refusal, refused := errors.AsType[*jetstream.APIError](err)
	switch {
	case refused && refusal.ErrorCode == codeSubjectsOverlap:
		return overlapError(ctx, js, wanted, request)
	case !refused || isTemporary(refusal) || IsJetStreamMissing(err):
		return fmt.Errorf("creating the stream %s: %w", wanted.Name, err)
	}
	return &StreamError{status.ReasonStreamRefused, fmt.Sprintf(
		"the NATS server does not create the stream %s: %s", wanted.Name, refusal.Description)}
}

// isTemporary reports whether the servers of a cluster have not all started: they have no leader, or too few peers are
// online for the replicas of the stream.
func isTemporary(refusal *jetstream.APIError) bool {
	return refusal.ErrorCode == codeTemporarilyUnavailable ||
		refusal.ErrorCode == codeNoSuitablePeers && strings.Contains(refusal.Description, "peer offline")
}

// overlapError returns the error that names the stream which has subjects of the wanted one.
func overlapError(ctx context.Context, js jetstream.JetStream, wanted jetstream.StreamConfig, request string) error {
	if name, err := js.StreamNameBySubject(ctx, request); err == nil {
		return capturedRequest(name, request)
	}
	for _, subject := range wanted.Subjects {
		if name, err := js.StreamNameBySubject(ctx, subject); err == nil {
			return &StreamError{status.ReasonStreamMismatch, fmt.Sprintf(
				"the stream %s has the subject %s, so the stream %s cannot have it", name, subject, wanted.Name)}
		}
	}
	return &StreamError{status.ReasonStreamMismatch,
		"another stream has subjects of the stream " + wanted.Name + ", which cannot have them"}
}

// capturedRequest returns the error for a stream whose subjects include those of requests.
func capturedRequest(stream, subject string) *StreamError {
	return &StreamError{status.ReasonStreamCapturesRequests, fmt.Sprintf(
		"the stream %s takes requests on %s and answers them instead of the database service", stream, subject)}
}

// differences describes with what the stream could not be used.
func differences(current, wanted jetstream.StreamConfig) (different []string) {
	for _, subject := range current.Subjects {
		if !slices.Contains(wanted.Subjects, subject) {
			different = append(different, "unexpected subject "+subject)
		}
	}
	return append(different, unusableSettings(current, wanted)...)
}

// unusableSettings describes the settings, other than its subjects, with which the stream could not be used.
func unusableSettings(current, wanted jetstream.StreamConfig) (different []string) {
	different = appendDifference(different, "retention", current.Retention, wanted.Retention)
	different = appendDifference(different, "discard", current.Discard, wanted.Discard)
	different = appendDifference(different, "no_ack", current.NoAck, false)
	different = appendDifference(different, "sealed", current.Sealed, false)
	return appendDifference(different, "mirror or sources", current.Mirror != nil || len(current.Sources) > 0, false)
}

// Changed returns a StreamError if somebody has changed a stream that was bound so that it loses events, or takes none.
// Its subjects do not count, which another version may have added. Nil: it can be used.
func (b *Binding) Changed(current jetstream.StreamConfig) *StreamError {
	different := unusableSettings(current, b.wanted)
	if !b.manual {
		different = append(different, fixedLimits(current, b.wanted)...)
	}
	if len(different) == 0 {
		return nil
	}
	return mismatch(b.wanted.Name, "was changed while it is used, so that events can be lost", different)
}

// fixedLimits describes the limits that the server cannot update, or that somebody else must have set on purpose.
func fixedLimits(current, wanted jetstream.StreamConfig) (different []string) {
	different = appendDifference(different, "storage", current.Storage, wanted.Storage)
	different = appendDifference(different, "max_msgs", current.MaxMsgs, wanted.MaxMsgs)
	return appendDifference(different, "max_msgs_per_subject", current.MaxMsgsPerSubject, wanted.MaxMsgsPerSubject)
}

func appendDifference[T comparable](different []string, field string, current, wanted T) []string {
	if current == wanted {
		return different
	}
	return append(different, fmt.Sprintf("%s %v, expected %v", field, current, wanted))
}

// IsJetStreamMissing reports whether a request failed because the server, or the account on it, has no JetStream.
func IsJetStreamMissing(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}
