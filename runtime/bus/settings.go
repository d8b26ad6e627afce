package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/status"
)

// setting is what can be changed of a stream that exists.
type setting struct {
	field string // of the configuration; empty: it has none
	text  func(c jetstream.StreamConfig) string
	set   func(to *jetstream.StreamConfig, wanted jetstream.StreamConfig)
}

// settings are all of them. Each is changed by itself if the server refuses to change all at once.
var settings = []setting{
	{
		"", // an older version may have had fewer subjects
		func(c jetstream.StreamConfig) string { return fmt.Sprintf("%d subjects", len(c.Subjects)) },
		func(to *jetstream.StreamConfig, wanted jetstream.StreamConfig) { to.Subjects = wanted.Subjects },
	},
	{
		"nats.jetStream.maxBytes",
		func(c jetstream.StreamConfig) string { return fmt.Sprint(c.MaxBytes) },
		func(to *jetstream.StreamConfig, wanted jetstream.StreamConfig) { to.MaxBytes = wanted.MaxBytes },
	},
	{
		"nats.jetStream.maxAge", // with the window that must not be longer
		func(c jetstream.StreamConfig) string {
			return fmt.Sprintf("%s (duplicate window %s)", c.MaxAge, c.Duplicates)
		},
		func(to *jetstream.StreamConfig, wanted jetstream.StreamConfig) {
			to.MaxAge, to.Duplicates = wanted.MaxAge, wanted.Duplicates
		},
	},
	{
		"nats.jetStream.replicas",
		func(c jetstream.StreamConfig) string { return fmt.Sprint(c.Replicas) },
		func(to *jetstream.StreamConfig, wanted jetstream.StreamConfig) { to.Replicas = wanted.Replicas },
	},
	{
		"nats.jetStream.maxMessageBytes",
		func(c jetstream.StreamConfig) string { return fmt.Sprint(c.MaxMsgSize) },
		func(to *jetstream.StreamConfig, wanted jetstream.StreamConfig) { to.MaxMsgSize = wanted.MaxMsgSize },
	},
}

// settingError is returned beside a stream that works, if the server refuses to change some of its limits, or to add
// subjects that earlier versions did not have.
type settingError struct {
	stream  string
	refused []string // field, what it stays and why
}

func (e *settingError) Error() string {
	return fmt.Sprintf("the settings of the stream %s could not be changed: %s", e.stream, strings.Join(e.refused, "; "))
}

// orNil returns an error only if a setting stays as it is.
func (e *settingError) orNil() error {
	if len(e.refused) == 0 {
		return nil
	}
	return e
}

// add records that a setting stays as it is.
func (e *settingError) add(s setting, current, wanted jetstream.StreamConfig, cause string) {
	if s.field == "" {
		later, _ := missingSubjects(current, wanted)
		e.refused = append(e.refused, fmt.Sprintf("it lacks %s, on which events are dropped: %s",
			strings.Join(later, ", "), cause))
		return
	}
	e.refused = append(e.refused, fmt.Sprintf("%s stays %s instead of %s: %s", s.field, s.text(current), s.text(wanted),
		cause))
}

// updateSettings changes the settings that differ, and keeps what others have set, such as metadata. It reports whether
// any was changed. If the server refuses, it changes each by itself, and returns a settingError with those that stay,
// or a StreamError if events could not be published then. request is the subject of a request.
func updateSettings(
	ctx context.Context, js jetstream.JetStream, current, wanted jetstream.StreamConfig, request string,
) (changed bool, err error) {
	isSame := func(s setting) bool { return s.text(current) == s.text(wanted) }
	different := slices.DeleteFunc(slices.Clone(settings), isSame)
	if len(different) == 0 {
		return false, nil
	}
	updated := current
	for _, s := range different {
		s.set(&updated, wanted)
	}
	_, err = js.UpdateStream(ctx, updated)
	if _, refused := RefusalOf(ctx, err); !refused {
		return err == nil, updateFailed(wanted.Name, err)
	}
	staying := &settingError{stream: wanted.Name}
	for _, s := range different {
		updated = current
		s.set(&updated, wanted)
		if len(different) > 1 && ctx.Err() == nil {
			_, err = js.UpdateStream(ctx, updated)
		}
		cause, refused := RefusalOf(ctx, err)
		switch {
		case err == nil:
			current = updated
		case !refused:
			return false, updateFailed(wanted.Name, err)
		case s.field == "" && !worksWithout(current, wanted):
			return false, subjectsError(ctx, js, wanted, request, err, cause)
		default:
			staying.add(s, current, wanted, cause)
		}
	}
	return len(staying.refused) == 0, staying.orNil()
}

// missingSubjects returns the wanted subjects that a stream lacks: later ones, which earlier versions did not have
// either, and others, without which it cannot be used.
func missingSubjects(current, wanted jetstream.StreamConfig) (later, others []string) {
	for _, subject := range wanted.Subjects {
		isOf := func(suffix Suffix) bool { return strings.HasSuffix(subject, "."+string(suffix)) }
		switch {
		case slices.Contains(current.Subjects, subject):
		case slices.ContainsFunc(LaterEvents, isOf):
			later = append(later, subject)
		default:
			others = append(others, subject)
		}
	}
	return later, others
}

// worksWithout reports whether a stream can be used although its subjects are not the wanted ones: it lacks only later
// ones. Without them a few events are lost, and without the stream all that it keeps.
func worksWithout(current, wanted jetstream.StreamConfig) bool {
	later, others := missingSubjects(current, wanted)
	return len(later) > 0 && len(others) == 0
}

// subjectsError returns the error for a stream that lacks subjects, which the server refuses to add.
func subjectsError(
	ctx context.Context, js jetstream.JetStream, wanted jetstream.StreamConfig, request string, err error, cause string,
) error {
	if refusal, ok := errors.AsType[*jetstream.APIError](err); ok && refusal.ErrorCode == codeSubjectsOverlap {
		return overlapError(ctx, js, wanted, request)
	}
	return &StreamError{status.ReasonStreamRefused, fmt.Sprintf(
		"the NATS server does not add the subjects that the stream %s lacks: %s", wanted.Name, cause)}
}

func updateFailed(stream string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("updating the limits of stream %s: %w", stream, err)
}

// RefusalOf returns why the server does not do what it was asked for, although it works: it has no room, a limit of the
// account forbids it, or a permission is missing, which ends a context of Conn.UntilDenied. refused is false for other
// errors.
func RefusalOf(ctx context.Context, err error) (cause string, refused bool) {
	denied, ok := errors.AsType[*DeniedError](err)
	if !ok && err != nil {
		denied, ok = errors.AsType[*DeniedError](context.Cause(ctx))
	}
	if ok {
		return denied.Error(), true
	}
	refusal, ok := errors.AsType[*jetstream.APIError](err)
	if !ok || errors.Is(err, jetstream.ErrStreamNotFound) || IsJetStreamMissing(err) {
		return "", false
	}
	return refusal.Description, true
}
