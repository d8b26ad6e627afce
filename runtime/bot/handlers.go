package bot

import (
	"strings"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// handle takes in one event.
func (s *session) handle(event cytube.Event) {
	s.metrics.count(event)
	switch event := event.(type) {
	case cytube.ChatMessage:
		s.onChatMessage(event)
	case cytube.AddUser:
		s.onAddUser(event.User)
	case cytube.UserLeave:
		s.onUserLeave(event.Name)
	case cytube.UserList:
		s.onUserList(event.Users)
	case cytube.UserCount:
		s.onUserCount(event.Count)
	case cytube.Joined:
		s.onJoined(event.Name)
	case cytube.NoFlood:
		s.log.Warn("the channel refuses what the bot does", "action", event.Action, "words", event.Message)
	case cytube.ErrorMsg:
		s.log.Warn("the channel reports an error", "words", event.Message)
	case cytube.Malformed:
		s.log.Warn("malformed frame dropped", "kind", event.Err.Kind, "bytes", event.Err.Size)
	default:
		s.channel.apply(event)
	}
	s.outbound.allowed.Store(s.channel.mayChat())
	s.metrics.channelUsers.Set(float64(len(s.channel.users)))
	s.metrics.connectedUsers.Set(float64(s.channel.connectedUsers()))
}

// onJoined comes when what the server told on joining has been handled.
func (s *session) onJoined(name string) {
	s.channel.self = name
	s.metrics.joined.Set(1)
	s.reportJoined(name)
	s.publishStatus(true)
}

// onChatMessage logs a line, also one that the server repeats on joining: it has the id it had when it
// was new, so it fills a gap or changes nothing.
func (s *session) onChatMessage(line cytube.ChatMessage) {
	if s.channel.isMe(line.User) {
		s.outbound.heard()
	}
	if line.HTML == "" || isPseudoUser(line.User) {
		return
	}
	s.publishMessage(line)
}

// isPseudoUser is true for the server's own voices, like "[server]". No user's name has a bracket in it.
func isPseudoUser(name string) bool { return name == "" || strings.HasPrefix(name, "[") }

func (s *session) onAddUser(user cytube.User) {
	if !s.channel.users.add(user) {
		return
	}
	s.log.Info("user joined", "user", user.Name, "rank", user.Rank)
	now := time.Now()
	s.publishHighWater(s.publishJoined(user.Name, now), now)
}

func (s *session) onUserLeave(name string) {
	user, known := s.channel.users.remove(name)
	if !known {
		return
	}
	s.log.Info("user left", "user", user.Name, "rank", user.Rank)
	s.publishLeft(user.Name)
}

// onUserList compares the list with the one we have: the server repeats it when we may see more of
// the users, and those are no second joins. On arrival it makes those known who were there before.
func (s *session) onUserList(users []cytube.User) {
	for _, gone := range s.channel.users.missing(users) {
		s.onUserLeave(gone.Name)
	}
	now := time.Now()
	id := ""
	for _, user := range users {
		if s.channel.users.add(user) {
			id = s.publishJoined(user.Name, now)
		}
	}
	if id != "" {
		s.publishHighWater(id, now)
	}
}

func (s *session) onUserCount(count int) {
	s.channel.connected = &count
	now := time.Now()
	s.publishHighWater(s.ids.Next(now), now)
}
