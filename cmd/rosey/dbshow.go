package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/store"
)

func newShowCommand(flags *settings) *cobra.Command {
	var limit int
	var output string
	command := &cobra.Command{
		Use:   "show",
		Short: "Show what is stored for the configured channel, beside a running service or without one",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			write, ok := map[string]func(io.Writer, shown) error{"text": writeText, "json": writeJSON}[output]
			if !ok {
				return fmt.Errorf("--output: %q, expected text or json", output)
			}
			if limit < 0 {
				return fmt.Errorf("--limit: %d, expected 0 for all or a number above", limit)
			}
			tool, err := newTool(flags, command)
			if err != nil {
				return err
			}
			content, err := tool.look(command.Context(), limit)
			if err != nil {
				return failed(err)
			}
			return failed(write(command.OutOrStdout(), content))
		},
	}
	command.Flags().IntVar(&limit, "limit", 20, "at most so many chat lines, chatters and samples; 0: all")
	command.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return command
}

// shown is what is stored for a channel, as JSON. Times are in milliseconds since 1970 UTC.
type shown struct {
	Server      string         `json:"server"`
	Channel     string         `json:"channel"`
	Chat        []shownLine    `json:"chat"`
	TopChatters []shownChatter `json:"topChatters"`
	Users       []shownUser    `json:"users"`
	HighWater   shownMaxima    `json:"highWater"`
	UserCounts  []shownSample  `json:"userCounts"`
	// Status is the latest value of each field.
	Status map[string]json.RawMessage `json:"status"`
}

type shownLine struct {
	Time     int64  `json:"time"`
	Username string `json:"username"`
	Text     string `json:"text"` // HTML as CyTube sent it
}

type shownChatter struct {
	Username string `json:"username"`
	Lines    int    `json:"lines"`
}

type shownUser struct {
	Username    string `json:"username"`
	FirstSeen   int64  `json:"firstSeen"`
	LastSeen    int64  `json:"lastSeen"`
	Lines       int    `json:"lines"`
	ConnectedMS int64  `json:"connectedMilliseconds"`
	// SessionStart is absent when they are not in the channel.
	SessionStart int64          `json:"sessionStart,omitzero"`
	Sessions     []shownSession `json:"sessions"`
}

type shownSession struct {
	Join int64 `json:"join"`
	// Leave is absent while they are there.
	Leave int64 `json:"leave,omitzero"`
}

type shownMaxima struct {
	Chat          int   `json:"chat"`
	ChatTime      int64 `json:"chatTime,omitzero"`
	Connected     int   `json:"connected"`
	ConnectedTime int64 `json:"connectedTime,omitzero"`
}

type shownSample struct {
	Time      int64 `json:"time"`
	Chat      int   `json:"chat"`
	Connected int   `json:"connected"`
}

func (c *component) look(ctx context.Context, limit int) (content shown, err error) {
	if limit == 0 {
		limit = math.MaxInt
	}
	opened, err := c.openToLook(ctx)
	if err != nil {
		return shown{}, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return readShown(ctx, opened, c.channel(), limit)
}

func readShown(ctx context.Context, from store.Store, channel store.Channel, limit int) (shown, error) {
	chat, chatErr := from.RecentChat(ctx, channel, limit)
	chatters, chattersErr := from.TopChatters(ctx, channel, limit)
	users, usersErr := from.Users(ctx, channel)
	maxima, maximaErr := from.HighWater(ctx, channel)
	samples, samplesErr := from.UserCounts(ctx, channel, limit)
	status, statusErr := from.Status(ctx, channel)
	if err := errors.Join(chatErr, chattersErr, usersErr, maximaErr, samplesErr, statusErr); err != nil {
		return shown{}, fmt.Errorf("reading channel %s: %w", channel.Name, err)
	}
	content := shown{
		Server: channel.Server, Channel: channel.Name, Status: status,
		Chat: []shownLine{}, TopChatters: []shownChatter{}, Users: []shownUser{}, UserCounts: []shownSample{},
		HighWater: showMaxima(maxima),
	}
	for _, line := range chat {
		content.Chat = append(content.Chat, shownLine{line.At.UnixMilli(), line.Username, line.Text})
	}
	for _, chatter := range chatters {
		content.TopChatters = append(content.TopChatters, shownChatter(chatter))
	}
	for _, user := range users {
		content.Users = append(content.Users, showUser(user))
	}
	for _, sample := range samples {
		content.UserCounts = append(content.UserCounts, shownSample{sample.At.UnixMilli(), sample.Chat, sample.Connected})
	}
	return content, nil
}

func showUser(user store.User) shownUser {
	show := shownUser{
		Username: user.Username, FirstSeen: user.FirstSeen.UnixMilli(), LastSeen: user.LastSeen.UnixMilli(),
		Lines: user.Lines, ConnectedMS: user.Connected.Milliseconds(), Sessions: []shownSession{},
	}
	for _, session := range user.Sessions {
		one := shownSession{Join: session.Join.UnixMilli()}
		if !session.Leave.IsZero() {
			one.Leave = session.Leave.UnixMilli()
		}
		show.Sessions = append(show.Sessions, one)
	}
	if user.SessionStart != nil {
		show.SessionStart = user.SessionStart.UnixMilli()
	}
	return show
}

func showMaxima(maxima store.Maxima) shownMaxima {
	show := shownMaxima{Chat: maxima.Chat, Connected: maxima.Connected}
	if !maxima.ChatAt.IsZero() {
		show.ChatTime = maxima.ChatAt.UnixMilli()
	}
	if !maxima.ConnectedAt.IsZero() {
		show.ConnectedTime = maxima.ConnectedAt.UnixMilli()
	}
	return show
}

func writeJSON(out io.Writer, content shown) error { return writeIndented(out, content) }

func writeIndented(out io.Writer, content any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(content); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}
