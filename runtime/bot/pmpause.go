package bot

import (
	"context"
	"errors"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// pmPause pauses what plays, and goes on the next time. Only a leader can pause, so the bot leads while it
// lasts; then the server leads again.
func (s *session) pmPause(request) (work, error) {
	playing := s.room.Playback
	switch {
	case playing.Media.ID == "":
		return nil, errors.New("nothing plays")
	case playing.Media.Seconds == 0:
		return nil, errors.New("a live stream cannot be paused")
	case s.room.IsMe(s.room.Playback.Leader) && playing.Paused:
		return s.goOn(), nil
	}
	me, media, position := s.room.Self, playing.Media, playing.Position(time.Now())
	leads := s.expect(func(event cytube.Event) *outcome {
		if event == (cytube.SetLeader{Name: me}) {
			return done()
		}
		return nil
	})
	paused := s.expect(func(event cytube.Event) *outcome {
		if update, ok := event.(cytube.MediaUpdate); ok && update.Paused {
			return done()
		}
		return nil
	})
	isLeader := s.room.IsMe(s.room.Playback.Leader)
	return func(ctx context.Context) ([]string, error) {
		if !isLeader {
			lead := func(ctx context.Context) error { return s.conn.AssignLeader(ctx, me) }
			if err := s.after(ctx, leads, lead); err != nil {
				return nil, err
			}
		}
		pause := func(ctx context.Context) error { return s.conn.Lead(ctx, media, position, true) }
		if err := s.after(ctx, paused, pause); err != nil {
			return nil, err
		}
		return []string{"Paused; pause again to go on"}, nil
	}, nil
}

func (s *session) goOn() work {
	ended := s.expect(func(event cytube.Event) *outcome {
		if event == (cytube.SetLeader{}) {
			return done()
		}
		return nil
	})
	release := func(ctx context.Context) error { return s.conn.AssignLeader(ctx, "") }
	return s.asRequest(ended, release, "It goes on")
}
