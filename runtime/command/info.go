package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

func (h *Handler) uptime(request) (task, error) { return reply(h.runningFor()), nil }

func (h *Handler) runningFor() string { return "Running for " + formatDuration(time.Since(h.Started)) }

func (h *Handler) info(request) (task, error) {
	where := fmt.Sprintf("%s, rank %g, in channel %s on %s", h.Room.Self, h.Room.Rank, h.Origin.Channel, h.Origin.Server)
	return reply(where, h.runningFor()), nil
}

func (h *Handler) status(request) (task, error) {
	channel, database := h.Status()
	return reply("Channel: "+channel, "Database: "+database,
		fmt.Sprintf("%d users, %d connected, %d items in the playlist", len(h.Room.Users), h.Room.Connected(),
			h.Room.Playlist.Count)), nil
}

func (h *Handler) users(request) (task, error) {
	names := []string{}
	for _, user := range h.Room.Users.Sorted() {
		name := fmt.Sprintf("%s (%g)", user.Name, user.Rank)
		if user.AFK {
			name += " away"
		}
		names = append(names, name)
	}
	return reply(fmt.Sprintf("%d users: %s", len(names), strings.Join(names, ", "))), nil
}

func (h *Handler) user(r request) (task, error) {
	name, err := parseUserName(r.args)
	if err != nil {
		return nil, err
	}
	presence := name + " is not in the channel"
	if user, present := h.find(r, name); present {
		name = user.Name
		presence = fmt.Sprintf("%s: rank %g, away: %t, muted: %t", user.Name, user.Rank, user.AFK, user.Muted)
	}
	return h.queryUser(name, userLine, presence), nil
}

// userStats is about the user who asks unless another is named.
func (h *Handler) userStats(r request) (task, error) {
	if r.args == "" {
		return h.queryUser(r.user.Name, userLine), nil
	}
	name, err := parseUserName(r.args)
	if user, present := h.find(r, name); present {
		name = user.Name
	}
	return h.queryUser(name, userLine), err
}

func (h *Handler) seen(r request) (task, error) {
	name, err := parseUserName(r.args)
	if err != nil {
		return nil, err
	}
	if user, present := h.find(r, name); present {
		return reply(user.Name + " is here"), nil
	}
	return h.queryUser(name, seenLine), nil
}

func (h *Handler) top(request) (task, error) {
	return h.queryChannel(func(stats bus.ChannelStatsReply) []string {
		return []string{topLine(stats.TopChatters[:min(5, len(stats.TopChatters))])}
	}), nil
}

func (h *Handler) channelStats(request) (task, error) {
	return h.queryChannel(func(stats bus.ChannelStatsReply) []string {
		return []string{
			fmt.Sprintf("Most users at once: %d; most connected: %d; seen altogether: %d",
				stats.HighWaterMark.Users, stats.HighWaterConnected.Users, stats.TotalUsersSeen),
			topLine(stats.TopChatters),
		}
	}), nil
}

// queryChannel returns the task that requests the statistics of the channel and replies with lines about them.
func (h *Handler) queryChannel(lines func(bus.ChannelStatsReply) []string) task {
	return func(ctx context.Context) ([]string, error) {
		var stats bus.ChannelStatsReply
		err := h.Requester.Request(ctx, bus.QueryChannelStats, bus.ChannelStatsRequest{Origin: h.Origin}, &stats)
		if err := queryError(err, stats.Success, stats.Error); err != nil {
			return nil, err
		}
		return lines(stats), nil
	}
}

// queryUser returns the task that requests the statistics of a user and replies with a line about them, after the lines
// that are known without.
func (h *Handler) queryUser(name string, line func(bus.UserStatsReply) string, known ...string) task {
	return func(ctx context.Context) ([]string, error) {
		stats := bus.UserStatsReply{Username: name}
		request := bus.UserStatsRequest{Username: name, Origin: h.Origin}
		err := h.Requester.Request(ctx, bus.QueryUserStats, request, &stats)
		if err := queryError(err, stats.Success, stats.Error); err != nil {
			return known, err
		}
		return append(known, line(stats)), nil
	}
}

// queryError returns the error of a query for the users of the channel, who cannot do anything with subjects.
func queryError(err error, success bool, message string) error {
	switch {
	case err != nil:
		return errors.New("the database service does not answer")
	case !success:
		return errors.New("the database service replied: " + cytube.PlainText(message))
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
	if !stats.Found {
		return stats.Username + ": never seen here"
	}
	connected := stats.TotalTimeConnected
	if start := stats.CurrentSessionStart; start != nil {
		connected += max(0, time.Now().Unix()-*start)
	}
	lines := fmt.Sprintf("%d lines", stats.TotalChatLines)
	if stats.TotalChatLines == 1 {
		lines = "1 line"
	}
	return fmt.Sprintf("%s: %s, connected for %s, first seen %s", stats.Username, lines,
		formatDuration(time.Duration(connected)*time.Second), time.Unix(stats.FirstSeen, 0).UTC().Format(time.DateOnly))
}

func seenLine(stats bus.UserStatsReply) string {
	if !stats.Found {
		return userLine(stats)
	}
	ago := time.Since(time.Unix(stats.LastSeen, 0))
	return fmt.Sprintf("%s was last seen %s ago", stats.Username, formatDuration(max(0, ago)))
}

// userName is CyTube's rule for names.
var userName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,20}$`)

// parseUserName reads one name and nothing else. The reply contains the name, and the bot must not say any text that
// somebody gives it.
func parseUserName(args string) (string, error) {
	if !userName.MatchString(args) {
		return "", errUsage
	}
	return args, nil
}

// formatDuration formats a duration with its two largest units.
func formatDuration(d time.Duration) string {
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
