package simulator

import (
	"fmt"
	"math"
	"time"
)

// Limits are what CyTube bears from one visitor or one address. The zero value limits nothing but the length of a
// line, which suits most tests; [CyTubeLimits] are those of the real server. The audience is not limited: it is there
// to make traffic.
type Limits struct {
	// ConnectBurst is how many connections an address may open at once, and ConnectInterval how long it takes until
	// it may open one more. Beyond that the namespace is refused with "Rate limit exceeded". Zero burst: no limit.
	ConnectBurst    int
	ConnectInterval time.Duration
	// Connections is how many connections an address may hold; the next is kicked. Zero: no limit.
	Connections int
	// GuestLoginDelay is the least time between two guest logins from one address. Zero: no limit.
	GuestLoginDelay time.Duration
	// Chat is the flood limit of chat lines and private messages together.
	Chat Flood
	// MessageLength is the longest line in UTF-16 code units; the rest is cut off. Zero: 320.
	MessageLength int
	// Queue is the flood limit of playlist additions, QueueModerator that of users with rank 2 and more.
	Queue, QueueModerator Flood
}

// Flood lets Burst things happen at once and then Sustained per second. After Cooldown without anything the burst may
// be used again. Zero burst: no limit.
type Flood struct {
	Burst     int
	Sustained float64
	Cooldown  time.Duration
}

// CyTubeLimits returns the limits of CyTube 3.86 as it is installed.
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

// wait is what a refused client is told to wait, in milliseconds.
func (f Flood) wait() float64 { return 1000 / f.Sustained }

// floodLimiter counts one visitor's things.
type floodLimiter struct {
	count int
	last  time.Time
}

// throttle counts one more, and is true when it is one too many.
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

// tokenBucket counts the connections of one address.
type tokenBucket struct {
	count  int
	refill time.Time
}

// take takes a token, and is false when there is none. A refill counts from the last one, and what is left of an
// interval is lost, as in CyTube.
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

// mayConnect takes a connection from what the address may open.
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

// tooMany says that the address holds as many connections as it may.
func (s *Server) tooMany(address string) bool {
	return s.options.Limits.Connections > 0 && s.perAddress[address] >= s.options.Limits.Connections
}

// guestTooSoon says that the address had its guest login already.
func (s *Server) guestTooSoon(address string) bool {
	last, known := s.guestLogins[address]
	return known && time.Since(last) < s.options.Limits.GuestLoginDelay
}
