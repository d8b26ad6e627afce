package telemetry

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// A receiver that is restarted would otherwise change the status of every RoseyBot, twice.
func TestProblemIsWhatLasts(t *testing.T) {
	begin := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	var now *problem
	for _, step := range []struct {
		at         time.Duration
		err        error
		wantBefore string // the problem just before the step
	}{
		{0, errors.New("first"), ""},
		{time.Minute - 1, errors.New("second"), ""},
		{2 * time.Minute, errors.New("third"), "first"},
		{3*time.Minute - 1, errors.New("fourth"), "third"},
		{4 * time.Minute, nil, "third"},
		{5 * time.Minute, errors.New("fifth"), ""},
		{5*time.Minute + 30*time.Second, nil, ""},
		{time.Hour, nil, ""},
	} {
		at := begin.Add(step.at)
		if got := now.current(at); got != step.wantBefore {
			t.Errorf("after %s: %q, want %q", step.at, got, step.wantBefore)
		}
		now = now.next(step.err, at)
	}
}

func TestCauseHasNoPortThatChanges(t *testing.T) {
	err := grpcstatus.Error(codes.Unavailable, "read tcp 10.0.0.9:45678->10.0.0.5:4317: connection reset")
	if got, want := causeOf(err), "Unavailable: read tcp 10.0.0.5:4317: connection reset"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
