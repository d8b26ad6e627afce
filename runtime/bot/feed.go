package bot

import (
	"context"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cytube"
)

// feedBuffer is how many events wait for NATS to take them. More are dropped: who watches wants to see
// what happens now.
const feedBuffer = 1024

// feed publishes the channel's events for anyone to watch: core NATS, best effort, only while connected.
// They never go through the ordered buffer of what is to be stored. offer never blocks.
type feed struct {
	conn     *bus.Conn
	subjects bus.Subjects
	token    string
	metrics  *metrics
	queue    chan feedItem
}

type feedItem struct {
	event publishedEvent
	at    time.Time
}

// newFeed makes a feed of a channel's events. conn may be nil: then there is none.
func newFeed(conn *bus.Conn, subjects bus.Subjects, channel string, m *metrics) *feed {
	return &feed{
		conn: conn, subjects: subjects, token: subjectToken(channel), metrics: m,
		queue: make(chan feedItem, feedBuffer),
	}
}

// maxToken bounds a name that a server made up.
const maxToken = 64

// subjectToken makes a name one token of a subject, in lower case because CyTube takes two spellings of a
// channel for one.
func subjectToken(name string) string {
	token := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, name)
	return token[:min(len(token), maxToken)]
}

// suffix is the subject of an event without the prefix. The event's name keeps its spelling.
func (f *feed) suffix(event string) bus.Suffix {
	return bus.Suffix("events.cytube." + strings.ToLower(f.token) + "." + subjectToken(event))
}

// What became of an event: the values of the label outcome.
const (
	feedPublished    = "published"
	feedDisconnected = "disconnected"
	feedFull         = "buffer_full"
	feedFailed       = "failed"
)

func (f *feed) offer(event publishedEvent, at time.Time) {
	if f.conn == nil {
		return
	}
	if !f.conn.Connected() {
		f.metrics.feed.WithLabelValues(feedDisconnected).Inc()
		return
	}
	select {
	case f.queue <- feedItem{event, at}:
	default:
		f.metrics.feed.WithLabelValues(feedFull).Inc()
	}
}

// run publishes until ctx ends. What waits then is published too.
func (f *feed) run(ctx context.Context) {
	for {
		select {
		case item := <-f.queue:
			f.publish(item)
		case <-ctx.Done():
			for len(f.queue) > 0 {
				f.publish(<-f.queue)
			}
			return
		}
	}
}

func (f *feed) publish(item feedItem) {
	item.event.PlatformData = withoutPrivate(item.event.PlatformData)
	data, err := bus.Encode(item.event)
	if err == nil {
		err = f.conn.NATS().Publish(f.subjects.Subject(f.suffix(item.event.Event)), data)
	}
	if err != nil {
		// Larger than NATS takes, or the connection broke a moment ago.
		f.metrics.feed.WithLabelValues(feedFailed).Inc()
		return
	}
	f.metrics.feed.WithLabelValues(feedPublished).Inc()
	f.metrics.latency.Observe(time.Since(item.at).Seconds())
}

// publish gives the feed an event as the channel was before the event changed it: who leaves is in
// the user list still.
func (s *session) publish(arrived cytube.Arrival) {
	event, ok := s.published(arrived)
	if !ok {
		return
	}
	event.Server, event.Channel = s.config.Channel.Server, s.config.Channel.Name
	event.Replayed = !s.joined && event.Event == eventMessage
	if event.Timestamp == 0 {
		event.Timestamp = arrived.At.Unix()
	}
	s.feed.offer(event, arrived.At)
}
