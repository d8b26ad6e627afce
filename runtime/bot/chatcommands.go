package bot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// chatCommand is everybody's command in the chat. It is called on the session's goroutine.
type chatCommand func(s *session, user cytube.User, args string) (work, error)

func chatCommands() map[string]chatCommand {
	return map[string]chatCommand{
		"help":   (*session).chatHelp,
		"stats":  (*session).chatStats,
		"top":    (*session).chatTop,
		"seen":   (*session).chatSeen,
		"uptime": (*session).chatUptime,
	}
}

// onChatLine looks for a command in a line that somebody else says now.
func (s *session) onChatLine(line cytube.ChatMessage) {
	text, isCommand := strings.CutPrefix(cytube.PlainText(line.HTML), s.commands.prefix)
	if !s.commands.chat || !s.leads() || !isCommand || line.Kind != "" || !s.room.MayChat() {
		return
	}
	name, args := cut(text)
	name = strings.ToLower(name)
	command, known := s.commands.forChat[name]
	user, present := s.room.Users.Find(line.User)
	if !known || !present {
		return // other bots have commands too
	}
	if !s.commands.mayAgain(user.Name, time.Now()) {
		s.metrics.commands.WithLabelValues(fromChat, name, commandTooSoon).Inc()
		return
	}
	prepared, err := command(s, user, args)
	if err != nil {
		prepared = fail(err)
	}
	s.begin(job{source: fromChat, user: user.Name, name: name, args: args, work: prepared})
}

// mayAgain is false for somebody whose last command is too short ago.
func (c *commands) mayAgain(name string, at time.Time) bool {
	key := strings.ToLower(name)
	if last, known := c.lastChat[key]; known && at.Sub(last) < c.cooldown {
		return false
	}
	maps.DeleteFunc(c.lastChat, func(_ string, last time.Time) bool { return at.Sub(last) >= c.cooldown })
	c.lastChat[key] = at
	return true
}

func (s *session) chatHelp(cytube.User, string) (work, error) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.commands.forChat)) {
		names = append(names, s.commands.prefix+name)
	}
	return now("Commands: " + strings.Join(names, ", ")), nil
}

func (s *session) chatStats(user cytube.User, args string) (work, error) {
	name, err := nameOr(args, user.Name)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]string, error) {
		stats, err := s.userStats(ctx, name)
		if errors.Is(err, errNeverSeen) {
			return []string{name + ": " + err.Error()}, nil
		}
		if err != nil {
			return nil, err
		}
		return []string{userLine(stats)}, nil
	}, nil
}

func (s *session) chatTop(cytube.User, string) (work, error) {
	return func(ctx context.Context) ([]string, error) {
		stats, err := s.channelStats(ctx)
		if err != nil {
			return nil, err
		}
		return []string{topLine(stats.TopChatters[:min(5, len(stats.TopChatters))])}, nil
	}, nil
}

func (s *session) chatSeen(_ cytube.User, args string) (work, error) {
	name, err := nameOr(args, "")
	if err != nil {
		return nil, err
	}
	if user, here := s.room.Users.Find(name); here {
		return now(user.Name + " is here"), nil
	}
	return func(ctx context.Context) ([]string, error) {
		stats, err := s.userStats(ctx, name)
		if errors.Is(err, errNeverSeen) {
			return []string{name + ": " + err.Error()}, nil
		}
		if err != nil {
			return nil, err
		}
		ago := time.Since(time.Unix(stats.LastSeen, 0))
		return []string{fmt.Sprintf("%s was last seen %s ago", stats.Username, inWords(max(0, ago)))}, nil
	}, nil
}

func (s *session) chatUptime(cytube.User, string) (work, error) {
	return now("Running for " + inWords(time.Since(s.started))), nil
}

// nameOr reads a user's name; there is a default for none, unless it is empty. What is no name is not
// repeated: the bot would say in the chat what it is given.
func nameOr(args, none string) (string, error) {
	name, rest := cut(args)
	if name == "" {
		name = none
	}
	if !isUserName(name) || rest != "" {
		return "", errors.New("expected one user's name")
	}
	return name, nil
}
