package bot

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// lineKey is an outbound line. The time is part of it because a new database begins its ids anew.
type lineKey struct{ id, enqueued int64 }

// ledger remembers what became of outbound lines, longer than a stay in the channel: a line can be said
// just before the connection breaks.
type ledger struct {
	mu    sync.Mutex
	lines map[lineKey]*ledgerLine
	// heard are our own lines, as many as a server repeats and more.
	heard []heardLine
	// foreign are lines under our name that the server repeated and this process did not say.
	foreign  []heardLine
	arrivals []arrivalInChannel
}

type heardLine struct {
	shown string
	at    time.Time
}

const maxHeard = 64

// hear notes a line of ours, so that it is known when the server repeats it.
func (l *ledger) hear(shown string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, heardLine{shown, at})
	if len(l.heard) > maxHeard {
		l.heard = slices.Delete(l.heard, 0, len(l.heard)-maxHeard)
	}
}

type ledgerLine struct {
	// said counts the parts that were said, of parts.
	said, parts int
	done        bool
	// overdue is how the part looks that was sent and did not come back, empty when there is none.
	overdue string
	// sent is when that part was sent at the earliest.
	sent time.Time
	// failures and notBefore are for a service that takes no failures.
	failures  int
	notBefore time.Time
	touched   time.Time
}

// retryBase is the unit of the waits after failures: 2, 4 and 8 of it.
const retryBase = time.Minute

// failed notes a failure that the service would not take.
func (l *ledgerLine) failed(permanent bool, now time.Time) {
	l.failures++
	if permanent {
		l.failures = outboundMaxRetries
	}
	l.notBefore = now.Add(retryBase << l.failures)
}

// isHeld is true for a line that is not to be tried now, or never again.
func (l *ledgerLine) isHeld(now time.Time) bool {
	return !l.done && (l.failures >= outboundMaxRetries || now.Before(l.notBefore))
}

// forgetLine is when a line is no longer remembered. By then the service has long stored what became
// of it.
const forgetLine = time.Hour

func newLedger() *ledger { return &ledger{lines: map[lineKey]*ledgerLine{}} }

// change changes or reads what is known of a line.
func (l *ledger) change(key lineKey, change func(*ledgerLine)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	line := l.lines[key]
	if line == nil {
		maps.DeleteFunc(l.lines, func(_ lineKey, old *ledgerLine) bool { return now.Sub(old.touched) > forgetLine })
		line = &ledgerLine{}
		l.lines[key] = line
	}
	line.touched = now
	change(line)
}

func (l *ledger) get(key lineKey) ledgerLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	if line := l.lines[key]; line != nil {
		return *line
	}
	return ledgerLine{}
}

// appeared takes a line of ours that nothing waits for, and says whether it was an overdue one: that
// part has been said after all. The oldest goes first.
func (l *ledger) appeared(shown string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settle(shown, time.Time{})
}

// clockSkew is how far the server's clock may be behind ours.
const clockSkew = time.Minute

// repeated is appeared for a line that the server repeats to whoever joins, with the server's time of it. One
// that nothing is known of is noted: another process of ours said it.
func (l *ledger) repeated(shown string, said time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(l.heard, func(h heardLine) bool { return h.shown == shown && h.at.Equal(said) }) {
		return false
	}
	if l.settle(shown, said) {
		return true
	}
	if !slices.Contains(l.foreign, heardLine{shown, said}) {
		l.foreign = append(l.foreign, heardLine{shown, said})
		l.foreign = l.foreign[max(0, len(l.foreign)-maxHeard):]
	}
	return false
}

// settle finds the overdue line. One that was said before ours was sent is another; the zero time is now.
func (l *ledger) settle(shown string, said time.Time) bool {
	keys := slices.SortedFunc(maps.Keys(l.lines), func(a, b lineKey) int { return int(a.id - b.id) })
	for _, key := range keys {
		line := l.lines[key]
		before := !said.IsZero() && said.Before(line.sent.Add(-clockSkew))
		if line.overdue != "" && line.overdue == shown && !before {
			line.overdue = ""
			line.said++
			return true
		}
	}
	return false
}

// finished are the lines that were said to the end while nobody waited.
func (l *ledger) finished() []lineKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	var keys []lineKey
	for key, line := range l.lines {
		if !line.done && line.parts > 0 && line.said >= line.parts {
			keys = append(keys, key)
		}
	}
	return keys
}

// held counts the lines that are not to be tried now.
func (l *ledger) held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := 0
	for _, line := range l.lines {
		if line.isHeld(time.Now()) {
			count++
		}
	}
	return count
}
