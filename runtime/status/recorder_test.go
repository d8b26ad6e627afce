package status_test

import (
	"testing"

	"rosey.dev/rosey/runtime/status"
)

func TestCheckKeeperKnowsSinceWhen(t *testing.T) {
	keeper := status.NewRecorder(status.ChannelCheck, "joining")
	began := keeper.Check()
	if began.OK || began.Reason != status.ReasonStarting || began.Since.IsZero() {
		t.Errorf("new: %+v", began)
	}
	if keeper.Set(false, status.ReasonStarting, "still joining") {
		t.Error("another message alone is told as a change")
	}
	if got := keeper.Check(); got.Message != "still joining" || !got.Since.Equal(began.Since) {
		t.Errorf("another message: %+v", got)
	}
	if !keeper.Set(true, status.ReasonJoined, "in the channel") {
		t.Error("a change is not told")
	}
	if got := keeper.Check(); !got.OK || !got.Since.After(began.Since) {
		t.Errorf("changed: %+v", got)
	}
}
