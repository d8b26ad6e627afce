package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// userTimes knows for how long everybody was in a channel, and how many lines were written in each hour. Nothing that
// is stored says so: all joins and leaves have to be read for it, which are millions after some years. So it is counted
// beside the requests, some users at a time, and remembered.
type userTimes struct {
	mu       sync.Mutex
	known    map[store.Channel]*knownTimes
	running  map[store.Channel]*timesCount
	outdated int // counts the calls of forget
	most     int // maxKnownTimes, except in tests
	counts   sync.WaitGroup
}

// knownTimes are not changed once they are known.
type knownTimes struct {
	users   []store.UserTime           // the longest time first, and then by name
	byName  map[string]*store.UserTime // by the folded name: those, and others who are in the channel
	longest store.UserTime             // with the longest session
	hours   []store.HourCount          // of all users, ordered by time
	until   time.Time                  // until when they are good enough
}

// timesCount is a count that runs. Its other fields may be read when done is closed.
type timesCount struct {
	done     chan struct{}
	cancel   context.CancelFunc
	outdated int
	times    *knownTimes
	err      error
}

const (
	// timesKept is for how long times are good enough at least. Counting them may take a twentieth of the time.
	timesKept   = time.Second
	timesFactor = 20
	// timesWait is how long a request waits for a count while older times are known, and firstTimesWait while none are.
	timesWait      = 200 * time.Millisecond
	firstTimesWait = time.Second
	// timesTurn is how long a count keeps the turn of requests that read much.
	timesTurn = 50 * time.Millisecond
	// maxKnownTimes bounds the users whose times are remembered, of all channels. Of a channel with more, those are who
	// were there longest. Beside them, as many are remembered at most who are there.
	maxKnownTimes = 200_000
)

// errCounting is for a request that would have to wait for long until the times are known.
var errCounting = errors.New("the time that everybody was in the channel is being added up: try again in a moment")

// forget forgets all times: somebody must not be named any more.
func (t *userTimes) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = nil
	t.outdated++
}

// isCounting reports whether a count runs.
func (t *userTimes) isCounting() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.running) > 0
}

// stop ends all counts and forgets what is known. No request may be running.
func (t *userTimes) stop() {
	t.mu.Lock()
	for _, count := range t.running {
		count.cancel()
	}
	t.mu.Unlock()
	t.counts.Wait()
	t.forget()
}

// times returns the times of a channel as they are, or were a moment ago. errCounting: they are not known yet.
func (e *Engine) times(ctx context.Context, channel store.Channel) (*knownTimes, error) {
	known, count := e.startCount(ctx, channel.Fold())
	if count == nil {
		return known, nil
	}
	wait := firstTimesWait
	if known != nil {
		wait = timesWait
	}
	waiting := time.NewTimer(wait)
	defer waiting.Stop()
	select {
	case <-count.done:
		if e.queries.times.isOutdated(count) { // somebody was forgotten meanwhile
			return nil, errCounting
		}
		if count.err == nil || known == nil {
			return count.times, count.err
		}
	case <-waiting.C:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the times of users: %w", ctx.Err())
	}
	if known == nil {
		return nil, errCounting
	}
	return known, nil
}

func (t *userTimes) isOutdated(count *timesCount) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return count.outdated != t.outdated
}

// startCount returns the times that are known, and the count that runs if they are not good enough.
func (e *Engine) startCount(ctx context.Context, channel store.Channel) (*knownTimes, *timesCount) {
	t := &e.queries.times
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.known[channel]
	if known != nil && time.Now().Before(known.until) {
		return known, nil
	}
	if running := t.running[channel]; running != nil {
		return known, running
	}
	counting, cancel := context.WithCancel(context.WithoutCancel(ctx)) // others wait for it too
	count := &timesCount{done: make(chan struct{}), cancel: cancel, outdated: t.outdated}
	if t.running == nil {
		t.running = map[store.Channel]*timesCount{}
	}
	t.running[channel] = count
	t.counts.Go(func() {
		defer cancel()
		count.times, count.err = e.countTimes(counting, channel)
		t.finish(channel, count)
	})
	return known, count
}

// finish remembers what was counted.
func (t *userTimes) finish(channel store.Channel, count *timesCount) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer close(count.done)
	delete(t.running, channel)
	if count.err != nil || count.outdated != t.outdated {
		return
	}
	if t.known == nil {
		t.known = map[store.Channel]*knownTimes{}
	}
	t.known[channel] = count.times
	users := 0
	for _, times := range t.known {
		users += len(times.users)
	}
	for other, times := range t.known {
		if other != channel && users > t.most {
			users -= len(times.users)
			delete(t.known, other)
		}
	}
}

// countTimes reads the times of all users, some at a time: in between, the requests that read much have their turn.
func (e *Engine) countTimes(ctx context.Context, channel store.Channel) (*knownTimes, error) {
	known := &knownTimes{byName: map[string]*store.UserTime{}}
	hours := map[time.Time]int64{}
	began, reading := time.Now(), time.Duration(0)
	inTurn := func(read func() error) error {
		end, ok := e.queries.begin(ctx, readsMuch)
		if !ok {
			return fmt.Errorf("waiting for a turn to read the times of users: %w", ctx.Err())
		}
		defer end()
		took := time.Now()
		defer func() { reading += time.Since(took) }()
		return read()
	}
	var query store.TimesQuery
	err := inTurn(func() (err error) { // once: it may take longer than the turns
		query.Watches, err = e.store.Watches(ctx, channel)
		return err
	})
	for more := true; more && err == nil; {
		err = inTurn(func() (err error) {
			query.After, more, err = e.countSome(ctx, channel, query, known, hours)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	known.order(e.queries.times.most)
	for at, lines := range hours {
		known.hours = append(known.hours, store.HourCount{At: at, Lines: lines})
	}
	slices.SortFunc(known.hours, func(a, b store.HourCount) int { return a.At.Compare(b.At) })
	known.until = began.Add(max(timesKept, timesFactor*reading))
	return known, nil
}

// countSome reads the times of the users behind a name, as many as it can in a turn. It returns the last name.
func (e *Engine) countSome(
	ctx context.Context, channel store.Channel, query store.TimesQuery, known *knownTimes, hours map[time.Time]int64,
) (to string, more bool, err error) {
	query.Until = time.Now().Add(timesTurn)
	users, err := e.store.UserTimes(ctx, channel, query)
	if err != nil {
		return "", false, err
	}
	known.add(users, e.queries.times.most)
	if more = len(users) > 0; more {
		to = store.Fold(users[len(users)-1].Username)
	}
	counts, err := e.store.ChannelHours(ctx, channel, query.After, to)
	for _, count := range counts {
		hours[count.At] += count.Lines
	}
	return to, more, err
}

// add adds users who were read, of whom most are to be kept.
func (k *knownTimes) add(users []store.UserTime, most int) {
	for _, user := range users {
		length, longest := user.Longest.Length(), k.longest.Longest.Length()
		if length > longest || length == longest && store.Fold(user.Username) < store.Fold(k.longest.Username) {
			k.longest = user
		}
	}
	if k.users = append(k.users, users...); len(k.users) > most+most/2 { // rarely: it takes long
		k.leaveOut(most)
	}
}

// order orders the users when all are read.
func (k *knownTimes) order(most int) {
	k.leaveOut(most)
	for i := range k.users {
		k.byName[store.Fold(k.users[i].Username)] = &k.users[i]
	}
}

// leaveOut orders the users, and leaves out those with the shortest times if they are too many.
func (k *knownTimes) leaveOut(most int) {
	slices.SortFunc(k.users, func(a, b store.UserTime) int {
		return cmp.Or(cmp.Compare(b.Connected.Milliseconds(), a.Connected.Milliseconds()),
			strings.Compare(store.Fold(a.Username), store.Fold(b.Username)))
	})
	kept := min(most, len(k.users))
	for _, user := range k.users[kept:] {
		if user.SessionStart != nil && len(k.byName) < most {
			k.byName[store.Fold(user.Username)] = &user
		}
	}
	k.users = slices.Delete(k.users, kept, len(k.users))
}

// complete adds to users what is derived from their sessions.
func (k *knownTimes) complete(users []store.User) {
	for i, user := range users {
		if times := k.byName[store.Fold(user.Username)]; times != nil {
			users[i].Connected, users[i].SessionStart = times.Connected, times.SessionStart
		}
	}
}
