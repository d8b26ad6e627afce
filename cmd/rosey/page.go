package main

import (
	"context"

	"rosey.dev/rosey/runtime/bot"
	"rosey.dev/rosey/runtime/process"
)

// channelOf is what a bot sees, as the status page shows it.
func (c *component) channelOf(ctx context.Context, rosey *bot.Bot) *process.Channel {
	view, joined := rosey.Snapshot(ctx)
	if !joined {
		return nil
	}
	channel := &process.Channel{
		Server: c.config.Channel.Server, Name: c.config.Channel.Name, Self: view.Self,
		Users: make([]process.User, 0, len(view.Users)), Connected: view.Connected, Items: view.Items, Leader: view.Leader,
	}
	for _, user := range view.Users {
		channel.Users = append(channel.Users, process.User{
			Name: user.Name, Rank: user.Rank, AFK: user.AFK, Muted: user.Muted,
		})
	}
	if view.Media.ID != "" {
		channel.Playing = &process.Playing{
			Title: view.Media.Title, Seconds: view.Media.Seconds, Position: view.Position, Paused: view.Paused,
		}
	}
	return channel
}
