package bus

import (
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/config"
)

// contestedJetStream is a server on which somebody else undoes every update of the stream.
type contestedJetStream struct{ jetstream.JetStream }

type contestedStream struct{ jetstream.Stream }

func (contestedJetStream) Stream(context.Context, string) (jetstream.Stream, error) {
	return contestedStream{}, nil
}

func (contestedJetStream) UpdateStream(context.Context, jetstream.StreamConfig) (jetstream.Stream, error) {
	return contestedStream{}, nil
}

func (contestedStream) CachedInfo() *jetstream.StreamInfo {
	return &jetstream.StreamInfo{Config: contestedConfig("1h")}
}

func contestedConfig(maxAge config.Duration) jetstream.StreamConfig {
	return Subjects{prefix: "rosey"}.streamConfig(config.JetStream{Replicas: 1, MaxAge: maxAge, MaxBytes: 1 << 20})
}

func TestAStreamThatOthersKeepChangingIsAnError(t *testing.T) {
	t.Parallel()
	_, _, err := ensureStream(t.Context(), contestedJetStream{}, contestedConfig("2h"), "rosey.db.messages.outbound.get")
	if err == nil || !strings.HasSuffix(err.Error(), "stream rosey_events: other processes keep changing it") {
		t.Errorf("error %v", err)
	}
}
