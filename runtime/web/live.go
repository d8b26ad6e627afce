package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

const (
	// feedBuffer is how many events of the channel may wait while the state is requested. nats.go drops further ones,
	// which the counter of the events tells.
	feedBuffer = 4096
	// stateDelay collects the events that come together, such as those of a join, into one request for the state.
	stateDelay = 100 * time.Millisecond
	// stateInterval is how often the state is requested without a reason: a bot that has lost its channel sends no events.
	// retryInterval is how often while it cannot be had.
	stateInterval = 5 * time.Second
	retryInterval = 2 * time.Second
	// liveLines is how many lines of chat an open page begins with.
	liveLines = 100
	// rereadInterval is how often the lines are read from the database without a reason: those of somebody who was
	// forgotten there must vanish from the pages too, and a page on which nobody does anything must say that the database
	// is away.
	rereadInterval = 20 * time.Second
	// storingTime is how long a line that was just said may take until it is stored.
	storingTime = time.Minute
)

// chatLine is a line of chat on a page.
type chatLine struct {
	// ID is that of the stored line. Empty: the line has just been said, at HeardAt by the clock of this machine.
	ID       string
	HeardAt  time.Time
	AtMS     int64
	Username string
	Message  string // HTML as CyTube sent it
}

// same reports whether two lines are one, of which one was read from the database and the other just said.
func (l chatLine) same(other chatLine) bool {
	return l.AtMS == other.AtMS && l.Username == other.Username && l.Message == other.Message
}

// live is what the pages know of the channel at the moment: from the bot's answers and its feed.
type live struct {
	mu sync.Mutex
	// state is the bot's last answer, nil if it never gave one. It arrived at stateAt.
	state   *bus.ChannelState
	stateAt time.Time
	// trouble is why nothing is live, and since when. Empty: everything is.
	trouble      string
	troubleSince time.Time
	// lines are the newest lines, the oldest first.
	lines []chatLine
	// awaySince is since when the database does not answer. Zero: it does, as far as is known.
	awaySince time.Time
	// version is higher after every change of the lines. It starts anew with the process, which is why a page that may
	// have been loaded from another one is asked for epoch too.
	version uint64
	epoch   string
	// reread makes the lines be read from the database.
	reread chan struct{}
}

func newLive() *live {
	return &live{trouble: "the page has just started", epoch: rand.Text(), reread: make(chan struct{}, 1)}
}

// rereadSoon makes the lines be read from the database again.
func (l *live) rereadSoon() {
	select {
	case l.reread <- struct{}{}:
	default:
	}
}

// noteDatabase remembers whether the database answers. The open pages are told with the next lines that are read, which
// is soon after a change.
func (l *live) noteDatabase(answers bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if answers == l.awaySince.IsZero() {
		return
	}
	if l.awaySince = now; answers {
		l.awaySince = time.Time{}
	}
	l.rereadSoon()
}

// databaseAway returns since when the database does not answer, in milliseconds since 1970 UTC. 0: it does.
func (l *live) databaseAway() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.awayMS()
}

// awayMS is databaseAway for who holds the lock.
func (l *live) awayMS() int64 {
	if l.awaySince.IsZero() {
		return 0
	}
	return l.awaySince.UnixMilli()
}

// follower keeps live up to date and tells the open pages.
type follower struct {
	server *Server
	live   *live
	hub    *hub
	// last is the position of the last event.
	last bus.FeedPosition
	// telling is held from a change of the lines until the hub has it. Otherwise a list of lines could come behind a line
	// that is not in it, which would vanish from the open pages. It is held likewise while it is said what is not live.
	telling sync.Mutex
	// unstored is when the database last did not answer, and away is what the open pages were told of it: since when.
	// rereadLines alone uses them.
	unstored time.Time
	away     int64
}

// follow keeps the live state up to date until ctx ends.
func (s *Server) follow(ctx context.Context) error {
	f := &follower{server: s, live: s.live, hub: s.hub}
	defer s.hub.close()
	events := make(chan *nats.Msg, feedBuffer)
	feed := s.options.Subjects.Subject(bus.FeedOf(s.options.Channel.Name))
	subscription, err := s.options.Conn.NATS().ChanSubscribe(feed, events)
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", feed, err)
	}
	defer func() { _ = subscription.Unsubscribe() }() // it fails only if the connection is closed
	wake := make(chan struct{}, 1)
	defer s.options.Conn.NotifyChange(wake)()
	var rereading sync.WaitGroup
	rereading.Go(func() { f.rereadLines(ctx) })
	defer rereading.Wait()
	f.run(ctx, events, wake)
	return nil
}

// run applies events, and requests the state of the channel when it may be another.
func (f *follower) run(ctx context.Context, events <-chan *nats.Msg, wake <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	soon := false // the state is about to be requested because of an event
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
			f.live.rereadSoon()
			timer.Reset(0)
		case message := <-events:
			if f.apply(message) && !soon {
				soon = true
				timer.Reset(stateDelay)
			}
		case <-timer.C:
			soon = false
			if f.refresh(ctx) {
				timer.Reset(stateInterval)
			} else {
				timer.Reset(retryInterval)
			}
		}
	}
}

// apply handles an event of the feed. It reports whether the state has to be requested.
func (f *follower) apply(message *nats.Msg) (changed bool) {
	var event feedEvent
	if err := json.Unmarshal(message.Data, &event); err != nil {
		return false // not from a bot of ours
	}
	if !isNext(event.FeedPosition, f.last) {
		f.live.rereadSoon() // lines may have been missed
		changed = true
	}
	f.last = event.FeedPosition
	if event.Event == messageEvent && !event.Replayed {
		f.addLine(chatLine{AtMS: event.at(), HeardAt: time.Now(), Username: event.User, Message: event.Content})
	}
	return changed || stateEvents[event.Event]
}

func (f *follower) addLine(line chatLine) {
	f.telling.Lock()
	defer f.telling.Unlock()
	if version, added := f.live.add(line); added {
		f.send("line", line, version)
	}
}

// add appends a line unless it is known, and returns the version of the lines.
func (l *live) add(line chatLine) (version uint64, added bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(l.lines, line.same) {
		return l.version, false
	}
	l.lines = append(l.lines, line)
	if excess := len(l.lines) - liveLines; excess > 0 {
		l.lines = slices.Delete(l.lines, 0, excess)
	}
	l.version++
	return l.version, true
}

// refresh requests the state and tells the pages what has changed. It reports whether there is one.
func (f *follower) refresh(ctx context.Context) bool {
	s := f.server
	var state bus.ChannelState
	err := s.request(ctx, bus.ChannelGet(s.options.Channel.Name), s.origin(), &state)
	if ctx.Err() != nil {
		return false
	}
	trouble, present := troubleOf(&state, err), err == nil && state.Joined
	now := time.Now()
	f.live.mu.Lock()
	before, beforeAt, beforeTrouble := f.live.state, f.live.stateAt, f.live.trouble
	if present {
		f.live.state, f.live.stateAt = &state, now
	}
	if trouble != beforeTrouble {
		f.live.trouble, f.live.troubleSince = trouble, now
	}
	f.live.mu.Unlock()
	if trouble != beforeTrouble {
		f.sendState()
	}
	wasLive := beforeTrouble == ""
	if !present {
		if wasLive { // the position stands still, and the mark says so
			f.send("playing", s.liveView(), 0)
		}
		return false
	}
	if f.last.BotStart != 0 && f.last.BotStart != state.BotStart || before == nil {
		f.live.rereadSoon()
	}
	if !wasLive { // what the pages show is marked as not live, also if nothing else has changed
		before = nil
	}
	f.last = later(f.last, state.FeedPosition)
	f.sendChanges(before, beforeAt, &state, now)
	return true
}

// sendChanges tells the open pages what is another than before.
func (f *follower) sendChanges(before *bus.ChannelState, beforeAt time.Time, state *bus.ChannelState, now time.Time) {
	if before == nil || !samePlaying(before, beforeAt, state, now) {
		f.send("playing", f.server.liveView(), 0)
	}
	if before == nil || before.Connected != state.Connected || before.UserCount != state.UserCount ||
		!slices.Equal(before.Users, state.Users) {
		f.send("people", f.server.liveView(), 0)
	}
}

// later returns the position of what has been seen: that of the state, if it is ahead of the last event.
func later(last, state bus.FeedPosition) bus.FeedPosition {
	if last.BotStart == state.BotStart && last.Number > state.Number {
		return last
	}
	return state
}

// troubleOf says why nothing is live. Empty: it is.
func troubleOf(state *bus.ChannelState, err error) string {
	switch {
	case err == nil && state.Joined:
		return ""
	case err == nil:
		return "the bot is not in the channel: " + status.OneLine(state.Check.Message, maxMessage)
	case errors.Is(err, bus.ErrNotConnected):
		return "this page cannot reach the bot"
	case errors.Is(err, bus.ErrNoService):
		return "no bot is in the channel"
	case errors.Is(err, bus.ErrNoReply):
		return "the bot does not answer"
	}
	return "the bot's answer cannot be read"
}

// drift is by how much the playback may differ from where the open pages have moved it, before they are told.
const drift = 2 * time.Second

// samePlaying reports whether what plays is what the pages show.
func samePlaying(a *bus.ChannelState, aAt time.Time, b *bus.ChannelState, bAt time.Time) bool {
	if !slices.Equal(a.Next, b.Next) || (a.Playing == nil) != (b.Playing == nil) || a.PlaylistItems != b.PlaylistItems {
		return false
	}
	if a.Playing == nil {
		return true
	}
	if a.Playing.Media != b.Playing.Media || a.Playing.Paused != b.Playing.Paused {
		return false
	}
	off := b.Playing.Position - positionAt(a.Playing, aAt, bAt)
	return off < drift.Seconds() && off > -drift.Seconds()
}

// positionAt returns where the playback is at a time, when it was known at another.
func positionAt(playing *bus.PlayingMedia, known, now time.Time) float64 {
	position := playing.Position
	if !playing.Paused {
		position += now.Sub(known).Seconds()
	}
	if playing.Seconds > 0 {
		position = min(position, float64(playing.Seconds))
	}
	return max(0, position)
}

// rereadLines reads the newest lines from the database when it is woken, now and then, and again while it fails.
func (f *follower) rereadLines(ctx context.Context) {
	for {
		again := rereadInterval
		if !f.readLines(ctx) {
			again = retryInterval
		}
		select {
		case <-ctx.Done():
			return
		case <-f.live.reread:
		case <-time.After(again):
		}
	}
}

// readLines reads the newest lines and puts those that were said since behind them.
func (f *follower) readLines(ctx context.Context) bool {
	s := f.server
	var reply bus.ChatReply
	err := s.request(ctx, bus.QueryChat, bus.ChatRequest{Page: bus.Page{Limit: liveLines}, Origin: s.origin()}, &reply)
	s.logUnexpected(ctx, "chat", err)
	now := time.Now()
	if away := f.live.databaseAway(); away != f.away {
		f.away = away
		f.sendState()
	}
	if err != nil {
		f.unstored = now
		return false
	}
	f.telling.Lock()
	defer f.telling.Unlock()
	f.live.mu.Lock()
	merged := mergeLines(linesOf(reply.Items), f.live.lines, now, f.unstored)
	changed := !slices.EqualFunc(merged, f.live.lines, chatLine.same)
	f.live.lines = merged
	if changed {
		f.live.version++
	}
	f.live.mu.Unlock()
	if changed {
		content := s.liveView()
		f.send("lines", content, content.lines)
	}
	return true
}

// linesOf returns lines of a reply with the newest first in the order in which they were said.
func linesOf(items []bus.ChatItem) []chatLine {
	lines := make([]chatLine, 0, len(items))
	for _, item := range slices.Backward(items) {
		lines = append(lines, chatLine{ID: item.ID, AtMS: item.AtMS, Username: item.Username, Message: item.Message})
	}
	return lines
}

// mergeLines returns the stored lines and those of the others that are not stored yet. Another one that has had the
// time is not going to be stored, or is not any more: somebody was forgotten. unstored is when the database last did
// not answer.
func mergeLines(stored, others []chatLine, now, unstored time.Time) []chatLine {
	merged := slices.Clone(stored)
	for _, line := range others {
		hadTime := now.Sub(line.HeardAt) > storingTime && now.Sub(unstored) > storingTime
		tooOld := len(stored) >= liveLines && line.AtMS < stored[0].AtMS
		if line.ID == "" && !hadTime && !tooOld && !slices.ContainsFunc(stored, line.same) {
			merged = append(merged, line)
		}
	}
	slices.SortStableFunc(merged, func(a, b chatLine) int { return cmp.Compare(a.AtMS, b.AtMS) })
	return merged[max(0, len(merged)-liveLines):]
}

// sendState tells the open pages what is not live.
func (f *follower) sendState() {
	f.telling.Lock()
	defer f.telling.Unlock()
	f.send("state", f.server.liveView(), 0)
}

// send renders a part of the Now page and passes it on to the open pages. lines is the version of the lines that the
// part shows, 0 if it shows none.
func (f *follower) send(part string, data any, lines uint64) {
	if f.hub.count() == 0 {
		return
	}
	body, err := f.server.execute(nowFile, part, data)
	if err != nil {
		f.server.options.Log.Error("cannot render a part of a page", "part", part, "error", err)
		return
	}
	f.hub.send(message{body: sseMessage(part, body), lines: lines})
}
