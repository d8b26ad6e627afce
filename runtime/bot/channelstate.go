package bot

import (
	"context"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/status"
)

const (
	// maxNextBytes and maxPollBytes bound what ChannelState.Next and Poll take of a reply, and stateOverhead what is none
	// of users, items and poll.
	maxNextBytes  = 64 << 10
	stateOverhead = 8 << 10
	maxPollBytes  = 64 << 10
	// maxText bounds each text of media and of a poll, in bytes.
	maxText = 1 << 10
	// maxOverridesBytes bounds what ChannelCommands.Overrides takes of a reply.
	maxOverridesBytes = 64 << 10
)

// answering calls f, and replies meanwhile to the requests for the state of the channel and for its commands. Only the
// bot that leads calls it, so that without one there is no responder and nobody waits.
func (b *Bot) answering(ctx context.Context, f func()) {
	if b.feed.conn == nil {
		f()
		return
	}
	during(ctx, func() {
		during(ctx, f, func(ctx context.Context) {
			b.serve(ctx, bus.CommandsGet(b.config.Channel.Name), b.channelCommands)
		})
	}, func(ctx context.Context) { b.serve(ctx, bus.ChannelGet(b.config.Channel.Name), b.channelState) })
}

// serve replies to requests until ctx ends.
func (b *Bot) serve(ctx context.Context, suffix bus.Suffix, answer func(context.Context) any) {
	if err := b.feed.conn.Serve(ctx, b.feed.subjects.Subject(suffix), answer); err != nil {
		b.log.ErrorContext(ctx, "[NATS] cannot answer requests about the channel", "suffix", suffix, "error", err)
	}
}

// during calls f, and has serve run meanwhile.
func during(ctx context.Context, f func(), serve func(ctx context.Context)) {
	ctx, stop := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer stop()
	serving.Go(func() { serve(ctx) })
	f()
}

// channelCommands returns a bus.ChannelCommands, or nil like channelState.
func (b *Bot) channelCommands(context.Context) any {
	all := b.live.registry.Overview()
	all.Success, all.Server, all.Channel = true, b.config.Channel.Server, b.config.Channel.Name
	all.Plugins = append([]status.PluginReport{}, b.Plugins()...)
	limit := min(bus.MaxChannelCommandsBytes, int(b.feed.conn.NATS().MaxPayload())) - stateOverhead
	plugins, overrides, commands := len(all.Plugins), len(all.Overrides), len(all.Commands)
	all.Plugins = fitting(all.Plugins, limit, &limit)
	all.Overrides = fitting(all.Overrides, maxOverridesBytes, &limit)
	all.Commands = fitting(all.Commands, limit, &limit)
	all.More = len(all.Plugins) < plugins || len(all.Overrides) < overrides || len(all.Commands) < commands
	if !b.leads() {
		return nil
	}
	return all
}

// channelState returns a bus.ChannelState. It is nil after the leadership is lost: another bot may be in the channel,
// and two replies would be one too many.
func (b *Bot) channelState(ctx context.Context) any {
	state := b.emptyState()
	joined := b.inSession(ctx, func(s *session) { s.describe(&state, bus.PluginThings...) })
	if !joined {
		state.FeedPosition, state.At = b.feed.position(), time.Now().UnixMilli()
	}
	state.Check, state.Joined = b.Check(), joined
	if !b.leads() {
		return nil
	}
	bound(&state, int(b.feed.conn.NATS().MaxPayload()))
	return state
}

// emptyState returns a state without what is in the channel.
func (b *Bot) emptyState() bus.ChannelState {
	return bus.ChannelState{
		Success: true, Server: b.config.Channel.Server, Channel: b.config.Channel.Name,
		Users: []bus.ChannelUser{}, Next: []bus.QueuedMedia{},
	}
}

// bound leaves out users and items that do not fit into a message.
func bound(state *bus.ChannelState, maxPayload int) {
	limit := min(bus.MaxChannelStateBytes, maxPayload) - stateOverhead
	state.Next = fitting(state.Next, maxNextBytes, &limit)
	if poll := state.Poll; poll != nil && len(fitting([]bus.Poll{*poll}, maxPollBytes, &limit)) == 0 {
		state.Poll = nil
	}
	state.Users = fitting(state.Users, bus.MaxChannelStateBytes, &limit)
}

// describe sets parts of a state, beside what it has in any case.
func (s *session) describe(state *bus.ChannelState, things ...bus.PluginThing) {
	state.FeedPosition, state.At, state.Self = s.feed.position(), time.Now().UnixMilli(), s.room.Self
	for _, thing := range things {
		switch thing {
		case bus.StateUsers:
			s.describeUsers(state)
		case bus.StateMedia:
			s.describeMedia(state)
		case bus.StatePlaylist:
			state.PlaylistItems = s.room.Playlist.Count
			for _, item := range s.room.Playlist.Next(bus.MaxNextItems) {
				state.Next = append(state.Next, queuedMedia(item))
			}
		case bus.StatePoll:
			state.Poll = busPoll(s.room.Poll)
		}
	}
}

func (s *session) describeUsers(state *bus.ChannelState) {
	state.Connected, state.UserCount = s.room.Connected(), len(s.room.Users)
	for _, user := range s.room.Users.Sorted() {
		state.Users = append(state.Users, bus.ChannelUser{
			Name: user.Name, Rank: user.Rank, AFK: user.AFK, Muted: user.Muted})
	}
}

func (s *session) describeMedia(state *bus.ChannelState) {
	playback := s.room.Playback
	state.PlaybackLeader = playback.Leader
	if playback.Media.ID != "" {
		media, uid := s.playing()
		state.Playing = &bus.PlayingMedia{
			UID: uid, Media: media, Position: playback.Position(time.Now()), Paused: playback.Paused}
	}
}

// busPoll returns the last poll of a channel, nil if there was none.
func busPoll(last *room.Poll) *bus.Poll {
	if last == nil {
		return nil
	}
	poll := &bus.Poll{
		Title: cut(cytube.PlainText(last.Title)), Options: []string{}, Counts: last.Votes, Obscured: last.Obscured,
		Initiator: last.By, Open: last.Open,
	}
	for _, option := range last.Options {
		poll.Options = append(poll.Options, cut(cytube.PlainText(option)))
	}
	if !last.Opened.IsZero() {
		poll.Opened = last.Opened.UnixMilli()
	}
	return poll
}

// playing returns what plays, and the UID of the item, or 0. The server names both the item and who queued it only in
// the playlist.
func (s *session) playing() (playing bus.Media, uid int) {
	media := s.room.Playback.Media
	if item, found := s.room.Playlist.Playing(); found && item.Media.ID == media.ID && item.Media.Type == media.Type {
		return busMedia(media, item.QueuedBy), item.UID
	}
	return busMedia(media, ""), 0
}

func queuedMedia(item cytube.Item) bus.QueuedMedia {
	return bus.QueuedMedia{UID: item.UID, Media: busMedia(item.Media, item.QueuedBy)}
}

func busMedia(media cytube.Media, queuedBy string) bus.Media {
	return bus.Media{
		Type: cut(media.Type), ID: cut(media.ID),
		Title: cut(media.Title), Seconds: media.Seconds, QueuedBy: cut(queuedBy),
	}
}

// cut returns the beginning of a text that a server has sent.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// fitting returns the first values that fit into most bytes as JSON, and into limit, of which it takes what they need.
func fitting[T any](values []T, most int, limit *int) []T {
	for i, value := range values {
		data, err := bus.Encode(value)
		size := len(data) + 1
		if err != nil || size > most || size > *limit {
			return values[:i]
		}
		most, *limit = most-size, *limit-size
	}
	return values
}
