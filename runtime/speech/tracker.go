package speech

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// maxHeard bounds the bot's own lines that are remembered. It is more than a server repeats.
	maxHeard = 64
	// clockSkew is how far the CyTube server's clock may be behind the bot's.
	clockSkew = time.Minute
	// forgetAfter is when a line that is no longer handed out is forgotten. By then its report has long been stored.
	forgetAfter = time.Hour
)

// Tracker remembers the results of the lines that this process was given, and what was said under the bot's name. It
// outlives a session, because a line can be said just before the connection breaks. Only the goroutine of the Speaker
// that is running uses it.
type Tracker struct {
	lines map[lineID]*line
	// heard are the bot's own lines as they came in, to ignore them when the server repeats them.
	heard []ownLine
	// saidByOthers are lines under the bot's name that the server repeated and that this process did not say.
	saidByOthers []ownLine
	replays      []replay
	length       *maxLength
}

// ownLine is a line under the bot's name, as it looks in the channel, with the server's time.
type ownLine struct {
	shown string
	at    time.Time
}

// replay summarizes the chat history that the server repeated on a join.
type replay struct {
	joinedAt time.Time
	// oldest is the time of the first line. Zero: there was no line.
	oldest time.Time
}

// NewTracker returns an empty Tracker. A process needs one for each channel. maxMessageLength is the maximum length of
// a line in UTF-16 code units. 0: cytube.MaxLine, and less if the server turns out to cut lines earlier.
func NewTracker(maxMessageLength int) *Tracker {
	return &Tracker{lines: map[lineID]*line{}, length: newMaxLength(maxMessageLength)}
}

// claim takes a line that the service handed out and begins an attempt at it, if one is due: then the line is in the
// state claimed, or said if nothing of it is left to say.
//
// safe is false for a line of which a part may have been said already and nobody can know. It must be abandoned: it can
// be queued again, but what was said twice cannot be taken back.
func (t *Tracker) claim(m bus.OutboundMessage, now time.Time) (l *line, due, safe bool) {
	l, known := t.lines[idOf(m)]
	if !known {
		maps.DeleteFunc(t.lines, func(_ lineID, old *line) bool { return now.Sub(old.usedAt) > forgetAfter })
		l = newLine(m, t.length)
		t.lines[l.lineID] = l
	}
	lastHandedOut := l.usedAt
	l.usedAt = now
	if !l.mayTry(m.RetryCount, now) {
		return l, false, true
	}
	l.retryCount = m.RetryCount
	if known {
		// This bot may have been away since, and another one may have said the line.
		t.markSaidByOthers(l, lastHandedOut)
		safe = l.missing.Text == "" || t.historyCovers(l.sentAt)
	} else {
		safe = t.markAlreadySaid(l, m)
	}
	l.on(handedOut)
	if l.complete() && !l.tooLong {
		l.on(completed)
	}
	return l, true, safe
}

// markAlreadySaid notes which parts of a line another process said, and reports whether that is known.
func (t *Tracker) markAlreadySaid(l *line, m bus.OutboundMessage) (safe bool) {
	since := maybeSaidSince(m)
	if since.IsZero() {
		return true
	}
	t.markSaidByOthers(l, since)
	if m.LeaseSeconds == 0 || l.complete() {
		return true
	}
	return t.historyCovers(since) && !l.command
}

// maybeSaidSince returns since when another process may have said a line, or the zero time if none can have said it. A
// service without claims, like the Python one, only states since when the line waits.
func maybeSaidSince(m bus.OutboundMessage) time.Time {
	if m.LeaseSeconds == 0 {
		return time.Unix(m.Timestamp, 0)
	}
	return m.ClaimedSince.Time
}

// markSaidByOthers marks the next parts of a line that others said since a time, however they have split it. Each of
// their lines confirms one part only, so they are removed.
func (t *Tracker) markSaidByOthers(l *line, since time.Time) {
	t.saidByOthers = slices.DeleteFunc(t.saidByOthers, func(own ownLine) bool {
		if l.complete() || own.at.Before(since.Add(-clockSkew)) {
			return false
		}
		part := l.unsplit()
		match := own.shown == part.shown() || isBeginning(part, own.shown)
		if match {
			c, _ := findCut(part, own.shown) // not maxLength.compare: the other one may have split it here
			l.markAppeared(part, c.rest)
		}
		return match
	})
}

// beginsWith returns a function that reports whether a text is what may be left of a message.
func beginsWith(shown string) func(Message) bool {
	return func(m Message) bool { return isBeginning(m, shown) }
}

// historyCovers reports whether everything that was said under the bot's name since a time is known: the bot has
// been in the channel since, or the history that it got on the next join goes back that far. A short or empty history
// proves nothing: CyTube empties it when a moderator clears the chat.
func (t *Tracker) historyCovers(since time.Time) bool {
	for _, r := range t.replays {
		if r.joinedAt.After(since) {
			return !r.oldest.IsZero() && !r.oldest.After(since)
		}
	}
	return true
}

// joined notes the end of the history that the server repeats on a join.
func (t *Tracker) joined(r replay) {
	t.replays = appendBounded(t.replays, r)
	t.length.forget(r.joinedAt)
}

// hear notes a line of the bot that was said now.
func (t *Tracker) hear(shown string, at time.Time) {
	t.heard = appendBounded(t.heard, ownLine{shown, at})
}

// appeared looks for the missing part that a new line of the bot matches, and marks it as said. It returns nil if none
// matches.
func (t *Tracker) appeared(shown string, matches func(Message) bool) *line {
	return t.match(shown, time.Time{}, matches)
}

// repeated is like appeared for a line that the server repeats on joining, with the server's time of it. A line that
// matches nothing and is new to this process was said by another one.
func (t *Tracker) repeated(shown string, at time.Time) *line {
	same := func(own ownLine) bool { return own.shown == shown && own.at.Equal(at) }
	if slices.ContainsFunc(t.heard, same) {
		return nil
	}
	looksAlike := func(m Message) bool { return m.shown() == shown }
	for _, matches := range []func(Message) bool{looksAlike, beginsWith(shown)} {
		if l := t.match(shown, at, matches); l != nil {
			t.hear(shown, at)
			return l
		}
	}
	if !slices.ContainsFunc(t.saidByOthers, same) {
		t.saidByOthers = appendBounded(t.saidByOthers, ownLine{shown, at})
	}
	return nil
}

// match marks the missing part that a line matches as said, that of the oldest line if several do. A line that was said
// before the part was sent does not match; the zero time is now.
func (t *Tracker) match(shown string, at time.Time, matches func(Message) bool) *line {
	byID := func(a, b lineID) int { return cmp.Or(cmp.Compare(a.enqueuedAt, b.enqueuedAt), cmp.Compare(a.id, b.id)) }
	for _, id := range slices.SortedFunc(maps.Keys(t.lines), byID) {
		l := t.lines[id]
		tooOld := !at.IsZero() && at.Before(l.sentAt.Add(-clockSkew))
		if l.missing.Text != "" && matches(l.missing) && !tooOld {
			c, _ := t.length.compare(l.missing, shown)
			l.markAppeared(l.missing, c.rest)
			return l
		}
	}
	return nil
}

func appendBounded[T any](list []T, item T) []T {
	list = append(list, item)
	return slices.Delete(list, 0, max(0, len(list)-maxHeard))
}
