package database

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

// backlogInterval is how often stream and consumer are asked how they stand.
const backlogInterval = 10 * time.Second

// watchBacklog notes until ctx ends what waits in the stream, and what the stream lost before it was stored.
func (s *Service) watchBacklog(ctx context.Context, bound bus.Bound, consumer jetstream.Consumer) {
	ticker := time.NewTicker(backlogInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.noteBacklog(ctx, bound, consumer); err != nil && ctx.Err() == nil {
			s.log.Debug("[NATS] the backlog is not known", "error", err)
		}
	}
}

func (s *Service) noteBacklog(ctx context.Context, bound bus.Bound, consumer jetstream.Consumer) error {
	// The consumer first: what is acknowledged between the two questions must not look lost.
	state, err := consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("reading the consumer: %w", err)
	}
	stream, err := bound.Stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("reading the stream: %w", err)
	}
	s.metrics.pending.Set(float64(state.NumPending))
	s.metrics.unacknowledged.Set(float64(state.NumAckPending))
	// What was handed out is held by somebody, so it is not lost with the stream's copy.
	known := max(state.AckFloor.Stream, state.Delivered.Stream, s.lostTo.Load())
	if first := stream.State.FirstSeq; first > known+1 {
		lost := first - 1 - known
		s.lostTo.Store(first - 1)
		s.lost.Add(lost)
		s.metrics.lost.Add(float64(lost))
		s.log.Error("[NATS] the stream kept no more and lost events before they were stored; "+
			"see nats.jetStream.maxBytes and maxAge", "events", lost, "first kept", first)
	}
	return nil
}
