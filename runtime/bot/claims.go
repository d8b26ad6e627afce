package bot

import (
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// A bot can die after it has said a line and before it could tell. So each line is claimed right before it
// is said, and whoever gets a line that somebody had before looks for it among the lines that the server
// repeats: those under our name that this process did not say itself.

// replayLength is how many lines a CyTube server repeats to whoever joins.
const replayLength = 15

// arrivalInChannel is what the server repeated when the bot came.
type arrivalInChannel struct {
	at time.Time
	// lines is how many, and oldest is when the first was said.
	lines  int
	oldest time.Time
}

// arrived notes the end of a replay.
func (l *ledger) arrived(a arrivalInChannel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrivals = append(l.arrivals, a)
	if len(l.arrivals) > maxHeard {
		l.arrivals = slices.Delete(l.arrivals, 0, 1)
	}
}

// reaches says whether everything that was said under our name since a moment is known: the bot has been
// here since, or what the server repeated when it came next goes back so far.
func (l *ledger) reaches(since time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.arrivals {
		if a.at.After(since) {
			return a.lines < replayLength || !a.oldest.After(since)
		}
	}
	return true
}

// saidBefore counts the parts of a line that were said by another process of ours since a moment, and takes
// them: they answer for one line only.
func (l *ledger) saidBefore(parts []string, since time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := 0
	l.foreign = slices.DeleteFunc(l.foreign, func(h heardLine) bool {
		matches := found < len(parts) && h.shown == shownAs(parts[found]) && !h.at.Before(since.Add(-clockSkew))
		if matches {
			found++
		}
		return matches
	})
	return found
}

// claimedBefore is since when a line may have been said by another process, and the zero time when it cannot
// have been. A service that does not claim tells only since when it waits.
func claimedBefore(line bus.OutboundMessage) time.Time {
	if line.LeaseSeconds == 0 {
		return time.Unix(line.Timestamp, 0)
	}
	return line.ClaimedSince.Time
}

// recall looks before a line is said whether it was said before, and answers false when that cannot be known.
// Then it is not said: somebody can queue it again, but nobody can take back a line.
func (o *outbound) recall(key lineKey, line bus.OutboundMessage, parts []string) (sure bool) {
	known := o.bot.ledger.get(key)
	if known.parts == 0 {
		return o.recallOthers(key, line, parts)
	}
	return known.overdue == "" || o.bot.ledger.reaches(known.sent)
}

// recallOthers is recall for a line that this process did not try.
func (o *outbound) recallOthers(key lineKey, line bus.OutboundMessage, parts []string) (sure bool) {
	since := claimedBefore(line)
	found := 0
	if !since.IsZero() {
		found = o.bot.ledger.saidBefore(parts, since)
	}
	o.bot.ledger.change(key, func(l *ledgerLine) { l.said, l.parts = found, len(parts) })
	if line.LeaseSeconds == 0 || since.IsZero() || found == len(parts) {
		return true
	}
	return o.bot.ledger.reaches(since) && !isCommand(line)
}

// isCommand is true for what does not come back as it was said, so that nobody knows whether it worked.
func isCommand(line bus.OutboundMessage) bool {
	return strings.HasPrefix(strings.TrimSpace(line.Message), "/")
}
