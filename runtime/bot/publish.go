package bot

import (
	"fmt"
	"strconv"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

// origin says where and when, in every message: several bots may share one database service, and a
// message may wait long before it is sent.
func (b *Bot) origin(at time.Time) bus.Origin {
	return bus.Origin{
		Server:    b.config.Channel.Server,
		Channel:   b.config.Channel.Name,
		Timestamp: bus.Seconds{Time: at},
	}
}

// publishJoined tells of somebody who came or was there before us, and returns the event's id.
func (s *session) publishJoined(name string, at time.Time) string {
	id := s.ids.Next(at)
	s.publisher.Publish(bus.UserJoined, id, bus.UserPayload{Username: name, Origin: s.origin(at)})
	s.log.Debug("told: user_joined " + name)
	return id
}

func (s *session) publishLeft(name string) {
	now := time.Now()
	s.publisher.Publish(bus.UserLeft, s.ids.Next(now), bus.UserPayload{Username: name, Origin: s.origin(now)})
	s.log.Debug("told: user_left " + name)
}

// publishHighWater belongs to the event that changed how many are there, and so has that event's id.
func (s *session) publishHighWater(id string, at time.Time) {
	payload := bus.HighWaterPayload{ChatCount: len(s.channel.users), Origin: s.origin(at)}
	connected := "unknown"
	if s.channel.connected != nil {
		count := s.channel.connectedUsers()
		payload.ConnectedCount = &count
		connected = strconv.Itoa(count)
	}
	s.publisher.Publish(bus.StatsHighWater, id, payload)
	s.log.Debug(fmt.Sprintf("told: high_water %d/%s", payload.ChatCount, connected))
}

func (s *session) publishMessage(line cytube.ChatMessage) {
	if line.Time.IsZero() {
		line.Time = time.Now()
	}
	server, channel := s.config.Channel.Server, s.config.Channel.Name
	id := bus.ChatLineID(server, channel, line.User, line.Time, line.Kind, line.HTML)
	s.publisher.Publish(bus.MessageLog, id, bus.MessagePayload{
		Username: line.User,
		Message:  line.HTML,
		Origin:   s.origin(line.Time),
	})
	s.log.Debug("told: message_log " + line.User)
}

func (s *session) publishUserCount() {
	now := time.Now()
	payload := bus.UserCountPayload{
		ChatCount:      len(s.channel.users),
		ConnectedCount: s.channel.connectedUsers(),
		Origin:         s.origin(now),
	}
	s.publisher.Publish(bus.StatsUserCount, s.ids.Next(now), payload)
	s.log.Debug(fmt.Sprintf("told: user_count %d chat, %d connected",
		payload.ChatCount, payload.ConnectedCount))
}

// publishStatus sends every column each time, the title of nothing too: a column that is left out keeps
// what is stored.
func (s *session) publishStatus(inChannel bool) {
	now := time.Now()
	c := s.channel
	s.publisher.Publish(bus.StatusUpdate, s.ids.Next(now), bus.StatusPayload{
		StatusData: bus.StatusData{
			BotName:               new(c.self),
			BotRank:               new(c.rank),
			BotAFK:                new(bus.Flag(c.me().AFK)),
			ChannelName:           new(s.config.Channel.Name),
			CurrentChatUsers:      new(len(c.users)),
			CurrentConnectedUsers: new(c.connectedUsers()),
			PlaylistItems:         new(c.playlist.count),
			CurrentMediaTitle:     new(c.playing.media.Title),
			CurrentMediaDuration:  new(c.playing.media.Seconds),
			BotStartTime:          new(s.started.Unix()),
			BotConnected:          new(bus.Flag(inChannel)),
			WatchingSince:         bus.Seconds{Time: s.watching},
		},
		Origin: s.origin(now),
	})
	s.log.Debug("told: status_update")
}
