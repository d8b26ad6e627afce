package bot

import (
	"context"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

const (
	// maxNextBytes bounds what ChannelState.Next takes of a reply, and stateOverhead what is neither users nor items.
	maxNextBytes  = 64 << 10
	stateOverhead = 8 << 10
	// maxMediaText bounds each text of media, in bytes.
	maxMediaText = 1 << 10
)

// answering calls f, and replies meanwhile to the requests for the state of the channel. Only the bot that leads calls
// it, so that without one there is no responder and nobody waits.
func (b *Bot) answering(ctx context.Context, f func()) {
	if b.feed.conn == nil {
		f()
		return
	}
	ctx, stop := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer stop()
	subject := b.feed.subjects.Subject(bus.ChannelGet(b.config.Channel.Name))
	serving.Go(func() {
		if err := b.feed.conn.Serve(ctx, subject, b.channelState); err != nil {
			b.log.ErrorContext(ctx, "[NATS] cannot answer requests for the state of the channel", "error", err)
		}
	})
	f()
}

// channelState returns a bus.ChannelState. It is nil after the leadership is lost: another bot may be in the channel,
// and two replies would be one too many.
func (b *Bot) channelState(ctx context.Context) any {
	state := b.emptyState()
	joined := b.look(ctx, func(s *session) { s.describe(&state) })
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
	state.Users = fitting(state.Users, bus.MaxChannelStateBytes, &limit)
}

// describe sets what a state has of the channel.
func (s *session) describe(state *bus.ChannelState) {
	now, r := time.Now(), s.room
	state.FeedPosition, state.At = s.feed.position(), now.UnixMilli()
	state.Self, state.Connected, state.UserCount = r.Self, r.Connected(), len(r.Users)
	state.PlaybackLeader, state.PlaylistItems = r.Playback.Leader, r.Playlist.Count
	for _, user := range r.Users.Sorted() {
		state.Users = append(state.Users, bus.ChannelUser{
			Name: user.Name, Rank: user.Rank, AFK: user.AFK, Muted: user.Muted})
	}
	for _, item := range r.Playlist.Next(bus.MaxNextItems) {
		state.Next = append(state.Next, queuedMedia(item))
	}
	if r.Playback.Media.ID != "" {
		state.Playing = &bus.PlayingMedia{
			Media: s.playing(), Position: r.Playback.Position(now), Paused: r.Playback.Paused}
	}
}

// playing returns what plays. The server names who queued it only in the playlist.
func (s *session) playing() bus.Media {
	media, queuedBy := s.room.Playback.Media, ""
	if item, found := s.room.Playlist.Playing(); found && item.Media.ID == media.ID && item.Media.Type == media.Type {
		queuedBy = item.QueuedBy
	}
	return busMedia(media, queuedBy)
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
	if len(text) <= maxMediaText {
		return text
	}
	return strings.ToValidUTF8(text[:maxMediaText], "") + "…"
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
