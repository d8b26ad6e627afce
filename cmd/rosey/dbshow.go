package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

func newShowCommand(flags *configFlags) *cobra.Command {
	var limit int
	var format output.Format
	command := &cobra.Command{
		Use:   "show",
		Short: "Show what is stored for the configured channel, also while a service uses the database",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if limit < 0 {
				return fmt.Errorf("--limit: %d, expected 0 or more", limit)
			}
			if limit == 0 {
				limit = math.MaxInt
			}
			rows, err := readDatabase(flags, command,
				func(ctx context.Context, s store.Store, channel store.Channel) (channelRows, error) {
					return readChannel(ctx, s, channel, limit)
				})
			if err != nil {
				return err
			}
			return writeOutput(command.OutOrStdout(), format, rows, rows.text())
		},
	}
	command.Flags().IntVar(&limit, "limit", 20, "Maximum number of chat lines, of chatters and of samples; 0 is all")
	addOutputFlag(command, &format)
	return command
}

// channelRows is what is stored for a channel. Times are in milliseconds since 1970 UTC.
type channelRows struct {
	Server      string         `json:"server"`
	Channel     string         `json:"channel"`
	Chat        []chatRow      `json:"chat"`
	TopChatters []chatterRow   `json:"topChatters"`
	Users       []userRow      `json:"users"`
	HighWater   maximaRow      `json:"highWater"`
	UserCounts  []userCountRow `json:"userCounts"`
	// Status is the latest value of each field of the bot's status.
	Status map[string]json.RawMessage `json:"status"`
}

type chatRow struct {
	Time     int64  `json:"time"`
	Username string `json:"username"`
	Text     string `json:"text"`
	HTML     string `json:"html"` // as the CyTube server sent it
}

type chatterRow struct {
	Username string `json:"username"`
	Lines    int    `json:"lines"`
}

type userRow struct {
	Username    string `json:"username"`
	FirstSeen   int64  `json:"firstSeen"`
	LastSeen    int64  `json:"lastSeen"`
	Lines       int    `json:"lines"`
	ConnectedMS int64  `json:"connectedMilliseconds"`
	// SessionStart is absent if the user is not in the channel.
	SessionStart int64        `json:"sessionStart,omitzero"`
	Sessions     []sessionRow `json:"sessions"`
}

type sessionRow struct {
	Join int64 `json:"join"`
	// Leave is absent while the session lasts.
	Leave int64 `json:"leave,omitzero"`
}

type maximaRow struct {
	Chat          int   `json:"chat"`
	ChatTime      int64 `json:"chatTime,omitzero"`
	Connected     int   `json:"connected"`
	ConnectedTime int64 `json:"connectedTime,omitzero"`
}

type userCountRow struct {
	Time      int64 `json:"time"`
	Chat      int   `json:"chat"`
	Connected int   `json:"connected"`
}

func readChannel(ctx context.Context, from store.Store, channel store.Channel, limit int) (channelRows, error) {
	chat, chatErr := from.RecentChat(ctx, channel, limit)
	chatters, chattersErr := from.TopChatters(ctx, channel, limit)
	users, usersErr := from.Users(ctx, channel)
	maxima, maximaErr := from.HighWater(ctx, channel)
	samples, samplesErr := from.UserCounts(ctx, channel, limit)
	status, statusErr := from.Status(ctx, channel)
	if err := errors.Join(chatErr, chattersErr, usersErr, maximaErr, samplesErr, statusErr); err != nil {
		return channelRows{}, fmt.Errorf("reading channel %s: %w", channel.Name, err)
	}
	rows := channelRows{
		Server: channel.Server, Channel: channel.Name, Status: status,
		Chat: []chatRow{}, TopChatters: []chatterRow{}, Users: []userRow{}, UserCounts: []userCountRow{},
		HighWater: maximaRow{maxima.Chat, toMillis(maxima.ChatAt), maxima.Connected, toMillis(maxima.ConnectedAt)},
	}
	for _, line := range chat {
		rows.Chat = append(rows.Chat, chatRow{
			Time: line.At.UnixMilli(), Username: line.Username, Text: cytube.PlainText(line.Text), HTML: line.Text,
		})
	}
	for _, chatter := range chatters {
		rows.TopChatters = append(rows.TopChatters, chatterRow(chatter))
	}
	for _, user := range users {
		rows.Users = append(rows.Users, newUserRow(user))
	}
	for _, sample := range samples {
		rows.UserCounts = append(rows.UserCounts, userCountRow{sample.At.UnixMilli(), sample.Chat, sample.Connected})
	}
	return rows, nil
}

func newUserRow(user store.User) userRow {
	row := userRow{
		Username: user.Username, FirstSeen: toMillis(user.FirstSeen), LastSeen: toMillis(user.LastSeen),
		Lines: user.Lines, ConnectedMS: user.Connected.Milliseconds(), Sessions: []sessionRow{},
	}
	for _, session := range user.Sessions {
		row.Sessions = append(row.Sessions, sessionRow{toMillis(session.Join), toMillis(session.Leave)})
	}
	if user.SessionStart != nil {
		row.SessionStart = user.SessionStart.UnixMilli()
	}
	return row
}

// text returns the rows for people. Names and lines come from users, so they are made printable.
func (r channelRows) text() string {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s, channel %s. Times are UTC.\n", r.Server, r.Channel)
	writeTable(&text, "Last lines", "TIME\tUSER\tTEXT", r.Chat, func(line chatRow) string {
		return fmt.Sprintf("%s\t%s\t%s",
			formatMillis(line.Time), status.Printable(line.Username), status.Printable(line.Text))
	})
	writeTable(&text, "Top chatters", "USER\tLINES", r.TopChatters, func(chatter chatterRow) string {
		return fmt.Sprintf("%s\t%d", status.Printable(chatter.Username), chatter.Lines)
	})
	writeTable(&text, "Users", "USER\tLINES\tFIRST SEEN\tLAST SEEN\tCONNECTED\tPRESENT SINCE", r.Users,
		func(user userRow) string {
			connected := time.Duration(user.ConnectedMS) * time.Millisecond
			return fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%s", status.Printable(user.Username), user.Lines,
				formatMillis(user.FirstSeen), formatMillis(user.LastSeen), connected.Round(time.Second),
				formatMillis(user.SessionStart))
		})
	fmt.Fprintf(&text, "\nMaxima: %d in chat (%s), %d connected (%s)\n", r.HighWater.Chat,
		formatMillis(r.HighWater.ChatTime), r.HighWater.Connected, formatMillis(r.HighWater.ConnectedTime))
	return text.String()
}
