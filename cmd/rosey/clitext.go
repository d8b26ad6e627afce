package main

import (
	"bytes"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

func topText(stats bus.ChannelStatsReply) string {
	if stats.TotalUsersSeen == 0 {
		return "Nothing is known of the channel yet: is it the right one? --server and --channel name it.\n"
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "Users seen: %d. Times are UTC.\n", stats.TotalUsersSeen)
	fmt.Fprintf(&text, "Most at once: %s in chat, %s connected\n",
		record(stats.HighWaterMark), record(stats.HighWaterConnected))
	table(&text, "Top chatters", "USER\tLINES", stats.TopChatters, func(chatter bus.TopChatter) string {
		return fmt.Sprintf("%s\t%d", status.Printable(chatter.Username), chatter.ChatLines)
	})
	return text.String()
}

func record(mark bus.HighWaterMark) string {
	if mark.Timestamp == nil {
		return fmt.Sprint(mark.Users)
	}
	return fmt.Sprintf("%d (%s)", mark.Users, showSeconds(*mark.Timestamp))
}

func userText(stats bus.UserStatsReply) string {
	there := "not in the channel now"
	connected := time.Duration(stats.TotalTimeConnected) * time.Second
	if stats.CurrentSessionStart != nil {
		there = "in the channel since " + showSeconds(*stats.CurrentSessionStart)
	}
	return fmt.Sprintf(`%s, %s. Times are UTC.
  first seen  %s
  last seen   %s
  lines       %d
  connected   %s in sessions that have ended
`, status.Printable(stats.Username), there, showSeconds(stats.FirstSeen), showSeconds(stats.LastSeen),
		stats.TotalChatLines, connected)
}

func showSeconds(seconds int64) string { return showTime(seconds * 1000) }
