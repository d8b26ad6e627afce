package bot

import (
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

// serverLimit is a limit of the server on what comes from one address, as a token bucket. Each of many bots behind one
// address sees only its own refusals.
type serverLimit struct {
	// Interval is the time after which the server admits one more.
	Interval time.Duration
	// Burst is how many it admits at once when none has come for long.
	Burst int
}

// cytubeLimits returns the limits of a CyTube server by the reason of the refusal (src/io/ioserver.js and src/user.js
// of calzoneman/sync). It also refuses more than ten connections at once of one address. How long that lasts is
// unknown, but each try counts as a new connection.
func cytubeLimits() map[status.Reason]serverLimit {
	return map[status.Reason]serverLimit{
		status.ReasonConnectionLimited: {Interval: 10 * time.Second, Burst: 5},
		status.ReasonLoginLimited:      {Interval: time.Minute, Burst: 1}, // of guests
	}
}

// limitOf returns the limit that a refusal is about, and whether it is about one. The interval that the server states
// takes precedence, whatever the reason: a server that is being maintained states one, too.
func (t timings) limitOf(cause *cytube.Error) (limit serverLimit, limited bool) {
	limit, limited = t.Limits[cause.Reason]
	if cause.RetryAfter > 0 {
		return serverLimit{Interval: cause.RetryAfter, Burst: unstatedBurst(cause.RetryAfter)}, true
	}
	return limit, limited
}

const (
	// maxSpread bounds the time over which many bots spread their tries.
	maxSpread = 3 * time.Second
	// maxSaving bounds the time in which a server that states only an interval is left to save a burst: longer waits
	// than the server demands are only worth it while they are short.
	maxSaving = 50 * time.Second
	// maxUnstatedBurst is that of CyTube. A server that cannot save as many admits fewer of those who come together.
	maxUnstatedBurst = 5
)

// unstatedBurst returns the burst to assume of a server that states only an interval.
func unstatedBurst(interval time.Duration) int {
	return int(min(max(maxSaving/interval, 1), maxUnstatedBurst))
}

// pause returns how long to wait after the given number of refusals in a row, the last of them now.
//
// The first wait is the interval, because usually only a few bots wait. Whoever is refused again competes with many.
// Then all try within the same few seconds, once in the time in which the server saves a whole burst. Tries that are
// spread evenly need more refusals for the same: the server admits one after each whole interval and forgets what has
// passed of the next. The clocks of the bots' machines make these times the same for all of them. A server that saves
// no burst is only waited for as long as it demands.
func (l serverLimit) pause(refusals int, now time.Time) time.Duration {
	spread := min(l.Interval*3/10, maxSpread)
	if refusals <= 1 || l.Burst <= 1 {
		return l.Interval + backoff.Jitter(spread)
	}
	period := time.Duration(l.Burst)*l.Interval + spread
	earliest := now.Add(l.Interval)
	next := earliest.Truncate(period)
	if next.Before(earliest) {
		next = next.Add(period)
	}
	return next.Sub(now) + backoff.Jitter(spread)
}
