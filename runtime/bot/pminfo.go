package bot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

func (s *session) pmHelp(request) (work, error) {
	usages := []string{}
	for _, name := range slices.Sorted(maps.Keys(s.commands.forPM)) {
		usages = append(usages, s.commands.forPM[name].usage)
	}
	return now("Commands: " + strings.Join(usages, ", ")), nil
}

func (s *session) pmInfo(request) (work, error) {
	return now(
		fmt.Sprintf("%s, rank %g, in channel %s on %s", s.room.Self, s.room.Rank, s.config.Channel.Name,
			s.config.Channel.Server),
		"Running for "+inWords(time.Since(s.started)),
	), nil
}

func (s *session) pmStatus(request) (work, error) {
	service := s.publisher.Check()
	return now(
		"Channel: "+s.Check().Message,
		"Database: "+service.Message,
		fmt.Sprintf("%d users, %d connected, %d items in the playlist", len(s.room.Users),
			s.room.Connected(), s.room.Playlist.Count),
	), nil
}

func (s *session) pmStats(request) (work, error) {
	return func(ctx context.Context) ([]string, error) {
		stats, err := s.channelStats(ctx)
		if err != nil {
			return nil, err
		}
		return []string{
			fmt.Sprintf("Most users at once: %d; most connected: %d; seen altogether: %d",
				stats.HighWaterMark.Users, stats.HighWaterConnected.Users, stats.TotalUsersSeen),
			topLine(stats.TopChatters),
		}, nil
	}, nil
}

func (s *session) pmUsers(request) (work, error) {
	names := []string{}
	for _, user := range s.room.Users.Sorted() {
		name := fmt.Sprintf("%s (%g)", user.Name, user.Rank)
		if user.AFK {
			name += " away"
		}
		names = append(names, name)
	}
	return now(fmt.Sprintf("%d users: %s", len(names), strings.Join(names, ", "))), nil
}

func (s *session) pmUser(r request) (work, error) {
	name, rest := cut(r.args)
	if !isUserName(name) || rest != "" {
		return nil, wrongUsage("user NAME")
	}
	here := name + " is not in the channel"
	if user, known := s.room.Users.Find(name); known {
		here = fmt.Sprintf("%s: rank %g, away: %t, muted: %t", user.Name, user.Rank, user.AFK, user.Muted)
	}
	return func(ctx context.Context) ([]string, error) {
		stats, err := s.userStats(ctx, name)
		if errors.Is(err, errNeverSeen) {
			return []string{here, err.Error()}, nil
		}
		if err != nil {
			return []string{here}, err
		}
		return []string{here, userLine(stats)}, nil
	}, nil
}

// errNeverSeen is for somebody whom the database does not know.
var errNeverSeen = errors.New("never seen here")

// channelStats asks the database service.
func (s *session) channelStats(ctx context.Context) (bus.ChannelStatsReply, error) {
	var reply bus.ChannelStatsReply
	err := s.optional.Request(ctx, bus.QueryChannelStats, bus.ChannelStatsRequest{Origin: s.here()}, &reply)
	return reply, answered(err, reply.Success, reply.Error)
}

func (s *session) userStats(ctx context.Context, name string) (bus.UserStatsReply, error) {
	var reply bus.UserStatsReply
	request := bus.UserStatsRequest{Username: name, Origin: s.here()}
	err := answered(s.optional.Request(ctx, bus.QueryUserStats, request, &reply), reply.Success, reply.Error)
	if err == nil && !reply.Found {
		err = errNeverSeen
	}
	return reply, err
}

// answered makes words for the chat of what can go wrong; who reads them has no use for subjects.
func answered(err error, success bool, words string) error {
	switch {
	case err != nil:
		return errors.New("the database service does not answer")
	case !success:
		return errors.New("the database service says: " + cytube.PlainText(words))
	}
	return nil
}

func topLine(top []bus.TopChatter) string {
	if len(top) == 0 {
		return "Nobody has said anything yet"
	}
	var parts []string
	for i, chatter := range top {
		parts = append(parts, fmt.Sprintf("%d. %s (%d)", i+1, chatter.Username, chatter.ChatLines))
	}
	return "Most lines: " + strings.Join(parts, ", ")
}

func userLine(stats bus.UserStatsReply) string {
	connected := stats.TotalTimeConnected
	if start := stats.CurrentSessionStart; start != nil {
		connected += max(0, time.Now().Unix()-*start)
	}
	return fmt.Sprintf("%s: %s, connected for %s, first seen %s", stats.Username, lines(stats.TotalChatLines),
		inWords(time.Duration(connected)*time.Second), time.Unix(stats.FirstSeen, 0).UTC().Format(time.DateOnly))
}

func lines(count int) string {
	if count == 1 {
		return "1 line"
	}
	return fmt.Sprintf("%d lines", count)
}

// inWords is a duration with its two largest units.
func inWords(d time.Duration) string {
	days, hours, minutes := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min", minutes)
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}
