package simulator

import (
	"fmt"
	"math"
	"time"
)

// Limits limit visitors and addresses. The zero value limits only the length of a line, which suits most tests;
// [CyTubeLimits] returns those of the real server. They do not apply to the audience.
type Limits struct {
	// ConnectBurst is the number of connections that an address may open at once, and ConnectInterval the time until it
	// may open another one. Further connections get the error "Rate limit exceeded". Zero burst: no limit.
	ConnectBurst    int
	ConnectInterval time.Duration
	// Connections is the number of connections that an address may have; the next one is kicked. Zero: no limit.
	Connections int
	// GuestLoginDelay is the minimum time between two guest logins from one address. Zero: no limit.
	GuestLoginDelay time.Duration
	// Chat is the flood limit for chat lines and private messages together.
	Chat Flood
	// MessageLength is the maximum length of a line in UTF-16 code units; longer lines are truncated. Zero: 320.
	MessageLength int
	// Queue is the flood limit for playlist additions, QueueModerator that for users with rank 2 and more.
	Queue, QueueModerator Flood
}

// Flood allows Burst actions at once and then Sustained actions per second. After Cooldown without actions, the burst
// is allowed again. Zero burst: no limit.
type Flood struct {
	Burst     int
	Sustained float64
	Cooldown  time.Duration
}

// CyTubeLimits returns the default limits of CyTube 3.86.
func CyTubeLimits() Limits {
	return Limits{
		ConnectBurst: 5, ConnectInterval: 10 * time.Second, Connections: 10,
		GuestLoginDelay: time.Minute,
		Chat:            Flood{Burst: 20, Sustained: 10, Cooldown: 2 * time.Second},
		MessageLength:   defaultMessageLength,
		Queue:           Flood{Burst: 3, Sustained: 1, Cooldown: 3 * time.Second},
		QueueModerator:  Flood{Burst: 10, Sustained: 2, Cooldown: 5 * time.Second},
	}
}

func (l Limits) validate() error {
	if l.ConnectBurst < 0 || l.ConnectInterval < 0 || l.Connections < 0 || l.GuestLoginDelay < 0 ||
		l.MessageLength < 0 {
		return fmt.Errorf("limits %+v: none can be negative", l)
	}
	for name, flood := range map[string]Flood{"chat": l.Chat, "queue": l.Queue, "queue moderator": l.QueueModerator} {
		if err := flood.validate(); err != nil {
			return fmt.Errorf("%s limit: %w", name, err)
		}
	}
	return nil
}

func (f Flood) validate() error {
	if f.Burst < 0 || f.Cooldown < 0 || f.Burst > 0 && f.Sustained <= 0 {
		return fmt.Errorf("%+v: expected a burst of 0, or one above 0 with a sustained rate above 0", f)
	}
	return nil
}

// wait is the time that a refused client is told to wait, in milliseconds.
func (f Flood) wait() float64 { return 1000 / f.Sustained }

// floodLimiter counts a visitor's actions.
type floodLimiter struct {
	count int
	last  time.Time
}

// throttle counts an action and reports whether it exceeds the limit.
func (l *floodLimiter) throttle(f Flood, now time.Time) bool {
	since := now.Sub(l.last)
	switch {
	case f.Burst == 0:
		return false
	case since > f.Cooldown:
		l.count = 1
	case l.count < f.Burst:
		l.count++
	case since.Seconds() < 1/f.Sustained:
		return true
	}
	l.last = now
	return false
}

// tokenBucket counts the connections of an address.
type tokenBucket struct {
	count  int
	refill time.Time
}

// take takes a token and reports whether there was one. As in CyTube, a refill starts at the last one, and the rest of
// an interval is lost.
func (b *tokenBucket) take(burst int, interval time.Duration, now time.Time) bool {
	if interval > 0 {
		if more := int(math.Floor(now.Sub(b.refill).Seconds() / interval.Seconds())); more > 0 {
			b.count, b.refill = min(burst, b.count+more), now
		}
	}
	if b.count == 0 {
		return false
	}
	b.count--
	return true
}

// mayConnect counts a new connection and reports whether the address may open it.
func (s *Server) mayConnect(address string) bool {
	limits := s.options.Limits
	if limits.ConnectBurst == 0 {
		return true
	}
	bucket := s.connects[address]
	if bucket == nil {
		bucket = &tokenBucket{count: limits.ConnectBurst, refill: time.Now()}
		s.connects[address] = bucket
	}
	return bucket.take(limits.ConnectBurst, limits.ConnectInterval, time.Now())
}

// tooMany reports whether the address has the maximum number of connections.
func (s *Server) tooMany(address string) bool {
	return s.options.Limits.Connections > 0 && s.perAddress[address] >= s.options.Limits.Connections
}

// guestTooSoon reports whether the address's last guest login was too recent.
func (s *Server) guestTooSoon(address string) bool {
	last, known := s.guestLogins[address]
	return known && time.Since(last) < s.options.Limits.GuestLoginDelay
}
