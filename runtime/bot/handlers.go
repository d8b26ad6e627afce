package bot

import (
	"strings"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// handle takes in one event.
func (s *session) handle(arrived cytube.Arrival) {
	s.metrics.count(arrived.Event)
	s.publish(arrived)
	s.take(arrived.Event)
	s.confirm(arrived.Event)
	s.speaker.SetPermission(s.channel.chatPermission())
	s.speaker.SetFloodLimit(s.channel.flood())
	s.metrics.channelUsers.Set(float64(len(s.channel.users)))
	s.metrics.connectedUsers.Set(float64(s.channel.connectedUsers()))
}

func (s *session) take(event cytube.Event) {
	switch event := event.(type) {
	case cytube.ChatMessage:
		s.onChatMessage(event)
	case cytube.PM:
		s.onPM(event)
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
	case cytube.Rank:
		s.onRank(event)
	case cytube.NoFlood, cytube.ErrorMsg, cytube.Cooldown, cytube.SpamFiltered, cytube.QueueFail:
		s.onRefusal(event)
	case cytube.Malformed:
		s.log.Warn("malformed frame dropped", "kind", event.Err.Kind, "bytes", event.Err.Size)
	default:
		s.channel.apply(event)
	}
}

// onRefusal tells what was refused to whoever waits for it. The words are the server's own and never what
// somebody said.
func (s *session) onRefusal(event cytube.Event) {
	s.speaker.HeardRefusal(event)
	s.log.Debug("the channel refuses something", "event", event.EventName(), "words", refusalWords(event))
}

func refusalWords(event cytube.Event) string {
	switch event := event.(type) {
	case cytube.NoFlood:
		return cytube.PlainText(event.Message)
	case cytube.ErrorMsg:
		return cytube.PlainText(event.Message)
	case cytube.SpamFiltered:
		return cytube.PlainText(event.Reason)
	case cytube.QueueFail:
		return cytube.PlainText(event.Message)
	case cytube.Cooldown:
		return "wait " + event.Wait.String()
	}
	return ""
}

// onJoined comes when what the server told on joining has been handled.
func (s *session) onJoined(name string) {
	s.channel.self = name
	s.joined = true
	s.speaker.Joined(time.Now())
	s.metrics.joined.Set(1)
	s.reportJoined(name)
	s.publishStatus(true)
}

// onRank tells at once that the rank is another: on joining, the one in the channel comes after the one on
// the server.
func (s *session) onRank(event cytube.Rank) {
	changed := s.channel.rank != event.Rank
	s.channel.apply(event)
	if changed && s.joined {
		s.publishStatus(true)
	}
}

// onChatMessage logs a line, also one that the server repeats on joining: it has the id it had when it
// was new, so it fills a gap or changes nothing.
func (s *session) onChatMessage(line cytube.ChatMessage) {
	if line.HTML == "" || line.Shadow || isPseudoUser(line.User) {
		return
	}
	s.publishMessage(line)
	switch {
	case !s.joined:
		// The bot has no name yet, but the one that it is about to log in with.
		own := s.config.Account != nil && strings.EqualFold(line.User, s.config.Account.Username)
		s.speaker.Replayed(line, own)
	case s.channel.isMe(line.User):
		s.speaker.HeardOwn(line)
	default:
		s.onChatLine(line)
	}
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
	first := s.watching.IsZero()
	if first {
		s.watching = now
	}
	id := ""
	for _, user := range users {
		if s.channel.users.add(user) || first {
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
