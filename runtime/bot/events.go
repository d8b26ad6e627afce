package bot

import (
	"context"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/speech"
)

// handle processes one event. The feed gets it first: a user_leave has details of the user whom the room
// forgets when it applies the event.
func (s *session) handle(ctx context.Context, received cytube.ReceivedEvent) {
	event, now := received.Event, time.Now()
	ctx, span := s.startReceive(ctx, received)
	defer span.End()
	s.metrics.count(received)
	s.publishToFeed(received)
	change := s.room.Apply(event, now)
	s.dispatch(ctx, received, now)
	s.publishChange(ctx, change, now)
	s.sampleUsers(ctx, now)
	s.commands.Handle(event)
	s.speaker.SetPermission(chatPermission(s.room))
	s.speaker.SetFloodLimit(s.room.FloodLimit())
	s.metrics.channelUsers.Set(float64(len(s.room.Users)))
	s.metrics.connectedUsers.Set(float64(s.room.Connected()))
}

// dispatch passes an event on to what reacts to it besides the room.
func (s *session) dispatch(ctx context.Context, received cytube.ReceivedEvent, now time.Time) {
	switch event := received.Event.(type) {
	case cytube.Joined:
		s.onJoined(ctx, event.Name, now)
	case cytube.ChatMessage:
		s.onChatMessage(ctx, event, now)
	case cytube.ChangeMedia:
		s.publishMedia(ctx, now)
	case cytube.PM:
		if s.room.IsMe(event.From) {
			s.speaker.HeardOwnPM(event)
		}
	case cytube.AddUser:
		// At level DEBUG: a server may send any number.
		s.log.DebugContext(ctx, "user joined", "user", event.User.Name, "rank", event.User.Rank)
	case cytube.UserLeave:
		s.log.DebugContext(ctx, "user left", "user", event.Name)
	case cytube.NoFlood, cytube.ErrorMsg, cytube.Cooldown, cytube.SpamFiltered:
		s.log.DebugContext(ctx, "the server refused a request", "event", received.Name, "content", event)
		s.speaker.HeardRefusal(event)
	case cytube.QueueFail:
		s.log.DebugContext(ctx, "the server refused an item for the playlist", "content", event)
	case cytube.Malformed:
		s.reportMalformed(event.Err, now)
	}
}

// publishChange publishes who left, who joined, and how many are there now. Each event has an ID of its own, except
// that a high-water mark belongs to the join or the count that may have raised it and has the same ID.
func (s *session) publishChange(ctx context.Context, change room.Change, now time.Time) {
	for _, user := range change.Left {
		s.publishLeft(ctx, user.Name, now)
	}
	lastJoin := ""
	for _, user := range change.Joined {
		lastJoin = s.publishJoined(ctx, user.Name, now)
	}
	if lastJoin != "" {
		s.publishHighWater(ctx, lastJoin, now)
	}
	if change.Connected {
		s.publishHighWater(ctx, s.ids.Next(now), now)
	}
	if change.Rank && s.joined { // the rank in the channel comes after the join
		s.publishStatus(ctx, true, now)
	}
}

// onJoined is called after all events that the server sent while the bot joined.
func (s *session) onJoined(ctx context.Context, name string, now time.Time) {
	s.joined = true
	s.speaker.Joined(now)
	s.metrics.joined.Set(1)
	s.reportJoined(name)
	s.publishStatus(ctx, true, now)
}

// onChatMessage publishes a line of chat, also one that the server repeats on joining: it has the ID that it had when
// it was new, so it fills a gap or changes nothing. A filter of the channel can leave nothing of a line: that is not
// published, and it is the echo of the bot's own.
func (s *session) onChatMessage(ctx context.Context, line cytube.ChatMessage, now time.Time) {
	if line.Shadow || isPseudoUser(line.User) {
		return
	}
	if line.HTML != "" {
		s.publishMessage(ctx, line, now)
	}
	switch {
	case !s.joined && line.HTML == "":
	case !s.joined:
		s.speaker.Replayed(line, s.isOwn(line.User))
	case s.isOwn(line.User):
		s.speaker.HeardOwn(line)
	}
}

// isOwn reports whether a name is the bot's. Before it has joined, its name there is not known yet, but the one with
// which it logs in is.
func (s *session) isOwn(name string) bool {
	if s.joined {
		return s.room.IsMe(name)
	}
	return s.config.Account != nil && strings.EqualFold(name, s.config.Account.Username)
}

// isPseudoUser reports whether a line is the server's own, from a pseudo-user like "[server]". Names of users have no
// brackets.
func isPseudoUser(name string) bool { return name == "" || strings.HasPrefix(name, "[") }

// chatPermission returns whether the bot may chat, as far as the room knows.
func chatPermission(r *room.Room) speech.Permission {
	switch {
	case r.Self == "" || !r.PermissionsKnown():
		return speech.PermissionUnknown
	case r.Me().Muted:
		return speech.PermissionMuted
	case !r.MayChat():
		return speech.PermissionRankTooLow
	}
	return speech.PermissionGranted
}
