package bot

import (
	"context"
	"errors"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/pluginclient"
	"rosey.dev/rosey/runtime/speech"
	"rosey.dev/rosey/runtime/status"
)

// maxProblem bounds what the status says about a file, in characters.
const maxProblem = 500

// Plugins returns what the bot knows of its plugins, in the order of the configuration.
func (b *Bot) Plugins() []status.PluginReport {
	if b.live.plugins == nil {
		return nil
	}
	return b.live.plugins.Reports()
}

// PluginsCheck returns status.PluginsCheck.
func (b *Bot) PluginsCheck() status.Check {
	reason, message := b.live.state()
	if unused := b.live.registry.UnusedOverrides(); len(unused) > 0 {
		note := "overrides that are about no command: " + strings.Join(unused, ", ")
		if reason == status.ReasonReady {
			reason, message = status.ReasonOverridesUnused, note
		} else {
			message += "; " + note
		}
	}
	b.live.check.Set(true, reason, status.OneLine(message, maxProblem))
	return b.live.check.Check()
}

// servingPlugins calls f, and serves plugins meanwhile. Only the bot that leads calls it.
func (b *Bot) servingPlugins(ctx context.Context, f func()) {
	if b.live.plugins == nil {
		f()
		return
	}
	during(ctx, f, b.live.plugins.Run)
}

// enterPlugins tells the plugins' client that the bot is in the channel. leave is never nil.
func (s *session) enterPlugins(ctx context.Context) (leave func()) {
	if s.live.plugins == nil {
		return func() {}
	}
	return s.live.plugins.Enter(ctx, pluginChannel{s.Bot, s.speaker})
}

// pluginChannel is a session as the plugins' client uses it.
type pluginChannel struct {
	bot     *Bot
	speaker *speech.Speaker
}

var _ pluginclient.Channel = pluginChannel{}

// Say implements pluginclient.Channel.
func (c pluginChannel) Say(ctx context.Context, m speech.Message) speech.Result {
	return c.speaker.Say(ctx, m)
}

var errNotInChannel = errors.New("the bot is not in the channel")

// PrepareAct implements pluginclient.Channel.
func (c pluginChannel) PrepareAct(ctx context.Context, act command.Act) (
	run func(ctx context.Context) (added *bus.QueuedMedia, err error), err error,
) {
	var deed command.Deed
	if !c.bot.inSession(ctx, func(s *session) { deed, err = s.commands.PrepareAct(act) }) {
		return nil, errNotInChannel
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (*bus.QueuedMedia, error) {
		item, err := deed(ctx)
		if item == nil || err != nil {
			return nil, err
		}
		return new(queuedMedia(*item)), nil
	}, nil
}

// State implements pluginclient.Channel.
func (c pluginChannel) State(ctx context.Context, thing bus.PluginThing) (state bus.ChannelState, known bool) {
	state = c.bot.emptyState()
	known = c.bot.inSession(ctx, func(s *session) { s.describe(&state, thing) })
	state.Joined, state.Check = known, c.bot.Check()
	bound(&state, int(c.bot.feed.conn.NATS().MaxPayload()))
	return state, known
}

// Find implements pluginclient.Channel.
func (c pluginChannel) Find(ctx context.Context, name string) (user cytube.User, found bool) {
	c.bot.inSession(ctx, func(s *session) { user, found = s.room.Users.Find(strings.TrimSpace(name)) })
	return user, found
}

// caller returns what calls plugins, or nil.
func (l *live) caller() command.Plugins {
	if l.plugins == nil {
		return nil // and no plugin has a command
	}
	return l.plugins
}
