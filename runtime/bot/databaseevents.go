package bot

import (
	"context"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/speech"
	"rosey.dev/rosey/runtime/status"
)

// Publisher takes the events that the database stores. publisher.Publisher implements it.
type Publisher interface {
	speech.Publisher
	// Flush waits until every event that was published before the call is delivered.
	Flush(ctx context.Context) error
	// Check returns status.ServiceCheck: whether events are delivered.
	Check() status.Check
}

// channelOrigin returns the server and the channel, without a time.
func (b *Bot) channelOrigin() bus.Origin {
	return bus.Origin{Server: b.config.Channel.Server, Channel: b.config.Channel.Name}
}

// origin returns the server, the channel and the time of an event. Every event has them: several bots may share one
// database service, and an event may wait long before it is delivered.
func (b *Bot) origin(at time.Time) bus.Origin {
	origin := b.channelOrigin()
	origin.Timestamp = bus.Seconds{Time: at}
	return origin
}

func (b *Bot) publish(ctx context.Context, suffix bus.Suffix, id string, payload any) {
	b.publisher.Publish(ctx, suffix, id, payload)
	b.log.DebugContext(ctx, "event published for the database", "subject", suffix, "id", id)
}

// publishJoined publishes that a user joined, or was there before the bot, and returns the event's ID.
func (s *session) publishJoined(ctx context.Context, name string, at time.Time) string {
	id := s.ids.Next(at)
	s.publish(ctx, bus.UserJoined, id, bus.UserPayload{Username: name, Origin: s.origin(at)})
	return id
}

func (s *session) publishLeft(ctx context.Context, name string, at time.Time) {
	s.publish(ctx, bus.UserLeft, s.ids.Next(at), bus.UserPayload{Username: name, Origin: s.origin(at)})
}

// publishHighWater publishes how many users there are. id is that of the event that changed their number.
func (s *session) publishHighWater(ctx context.Context, id string, at time.Time) {
	payload := bus.HighWaterPayload{ChatCount: len(s.room.Users), Origin: s.origin(at)}
	if s.room.ConnectedKnown() {
		payload.ConnectedCount = new(s.room.Connected())
	}
	s.publish(ctx, bus.StatsHighWater, id, payload)
}

// publishMessage publishes a line of chat with the server's time, or with at where the server's time is invalid.
func (s *session) publishMessage(ctx context.Context, line cytube.ChatMessage, at time.Time) {
	if !line.Time.IsZero() {
		at = line.Time
	}
	id := s.lineIDs.Next(line.User, at, line.Kind, line.HTML)
	s.publish(ctx, bus.MessageLog, id, bus.MessagePayload{
		Username: line.User, Message: line.HTML, Origin: s.origin(at), Replayed: !s.joined,
	})
}

// maxPosition bounds how far what plays can be: a server may send any number.
const maxPosition = 7 * 24 * time.Hour

// publishMedia publishes what plays and when it began, as far as the server's position tells. The server tells a bot
// that joins what plays.
func (s *session) publishMedia(ctx context.Context, now time.Time) {
	if s.room.Playback.Media.ID == "" {
		return
	}
	position := min(s.room.Playback.Position(now), maxPosition.Seconds())
	began := now.Add(-time.Duration(position * float64(time.Second)))
	media, _ := s.playing()
	payload := bus.MediaPayload{Media: media, Origin: s.origin(began)}
	if !s.joined {
		payload.Found = bus.Seconds{Time: now}
	}
	s.publish(ctx, bus.MediaPlayed, s.ids.Next(now), payload)
}

// publishStatus publishes the state of the bot and its channel. It sets every field, also an empty title when nothing
// plays: the database keeps the stored value of a field that is absent.
func (s *session) publishStatus(ctx context.Context, inChannel bool, at time.Time) {
	r := s.room
	s.publish(ctx, bus.StatusUpdate, s.ids.Next(at), bus.StatusPayload{
		StatusData: bus.StatusData{
			BotName:               new(r.Self),
			BotRank:               new(r.Rank),
			BotAFK:                new(bus.Flag(r.Me().AFK)),
			ChannelName:           new(s.config.Channel.Name),
			CurrentChatUsers:      new(len(r.Users)),
			CurrentConnectedUsers: new(r.Connected()),
			PlaylistItems:         new(r.Playlist.Count),
			CurrentMediaTitle:     new(r.Playback.Media.Title),
			CurrentMediaDuration:  new(int64(r.Playback.Media.Seconds)),
			BotStartTime:          new(s.started.Unix()),
			BotConnected:          new(bus.Flag(inChannel)),
			WatchingSince:         bus.Seconds{Time: r.UsersSince},
		},
		Origin: s.origin(at),
	})
}
