package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// maxRemembered is the number of chat lines that are remembered. CyTube repeats 15.
	maxRemembered = 256
	// recentLimit is the number of stored lines that are compared with those 15. The Python bot stored each line twice,
	// and its service returns the oldest lines of the earliest second.
	recentLimit = 100
	// maxClockDifference is how far the clock of the CyTube server may be ahead of the database service's, which records
	// when it stored a line.
	maxClockDifference = 5 * time.Second
)

// replayedLines finds out which chat lines a service without IDs has already: it would store and count them again each
// time the bot joins, because the CyTube server then repeats its last lines. Only Run uses it.
type replayedLines struct {
	requests *bus.Requester
	channel  bus.Origin
	log      *slog.Logger
	// unknown is set while the service does not tell what it has.
	unknown bool
	// known are the messages with chat lines that the service has got, the latest last.
	known []bus.Message
}

// remember notes that the service has got messages.
func (l *replayedLines) remember(messages ...bus.Message) {
	for _, m := range messages {
		if m.Suffix == bus.MessageLog {
			l.known = append(l.known, m)
		}
	}
	l.known = slices.Delete(l.known, 0, max(0, len(l.known)-maxRemembered))
}

// withoutStored returns the messages of a batch that are not chat lines which the service has already: those that this
// process has published to it, and replayed lines that another process has. The error means that it is unknown, and
// that the batch must be tried again.
func (l *replayedLines) withoutStored(ctx context.Context, batch []bus.Message) ([]bus.Message, error) {
	stored, err := l.stored(ctx, batch)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, m := range l.known {
		known[m.ID] = true
	}
	var left []bus.Message
	for _, m := range batch {
		switch {
		case m.Suffix != bus.MessageLog:
			left = append(left, m)
			continue
		case known[m.ID]: // also a line that waited for the service while the bot joined again
		case m.Replayed && stored.take(m):
			l.remember(m)
		default:
			left = append(left, m)
		}
		known[m.ID] = true
	}
	return left, nil
}

// stored returns what the service has stored last, without the rows of known lines, if the batch has replayed lines
// that are not known. A row of a known line must not be taken for a line that repeats it and was missed: the known one
// may have been in an earlier batch.
func (l *replayedLines) stored(ctx context.Context, batch []bus.Message) (*storedLines, error) {
	if !slices.ContainsFunc(batch, func(m bus.Message) bool { return m.Replayed && !l.knows(m) }) {
		return &storedLines{}, nil
	}
	request, recent := bus.RecentChatRequest{Limit: recentLimit, Origin: l.channel}, bus.RecentLines{}
	err := l.requests.Request(ctx, bus.StatsRecentChat, request, &recent)
	switch {
	case err == nil:
		l.unknown = false
	case ctx.Err() != nil || errors.Is(err, bus.ErrNotConnected):
		return nil, fmt.Errorf("looking for lines that the database service has: %w", err)
	case !l.unknown:
		l.unknown = true
		l.log.WarnContext(ctx, viaNATS+"the database service does not tell which lines it has: those that the CyTube "+
			"server repeats are published, and may be stored again", "error", err)
	}
	stored := &storedLines{recent}
	for _, m := range slices.Backward(l.known) {
		stored.take(m)
	}
	return stored, nil
}

func (l *replayedLines) knows(m bus.Message) bool {
	return slices.ContainsFunc(l.known, func(known bus.Message) bool { return known.ID == m.ID })
}

// storedLines are rows of the service that have not been found to be one of the replayed lines.
type storedLines struct{ rows bus.RecentLines }

// take reports whether a line is among the rows, and removes that row: each stands for one line. A row that was stored
// before the line was said is of an earlier line with the same text.
func (s *storedLines) take(m bus.Message) bool {
	var line bus.MessagePayload
	if len(s.rows) == 0 || json.Unmarshal(m.Data, &line) != nil {
		return false
	}
	said := line.Timestamp.Add(-maxClockDifference).Unix()
	i := slices.IndexFunc(s.rows, func(row bus.RecentLine) bool {
		return row.Username == line.Username && row.Message == line.Message && row.Timestamp >= said
	})
	if i < 0 {
		return false
	}
	s.rows = slices.Delete(s.rows, i, i+1)
	return true
}
