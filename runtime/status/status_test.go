package status_test

import (
	"testing"

	"rosey.dev/rosey/runtime/status"
)

func TestRecorder(t *testing.T) {
	recorder := status.NewRecorder(status.ChannelCheck, "joining")
	began := recorder.Check()
	if began.OK || began.Reason != status.ReasonStarting || began.Since.IsZero() {
		t.Errorf("new: %+v", began)
	}
	if recorder.Set(false, status.ReasonStarting, "still joining") {
		t.Error("a new message alone is reported as a change")
	}
	if got := recorder.Check(); got.Message != "still joining" || !got.Since.Equal(began.Since) {
		t.Errorf("another message: %+v", got)
	}
	if !recorder.Set(true, status.ReasonJoined, "in the channel") {
		t.Error("a change is not reported")
	}
	if got := recorder.Check(); !got.OK || !got.Since.After(began.Since) {
		t.Errorf("changed: %+v", got)
	}
}
