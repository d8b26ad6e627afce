package plugintest

import (
	"slices"

	"rosey.dev/rosey/runtime/bus"
)

// Polls makes a poll the last one of the channel. Nil: there was none.
func (r *Room) Polls(last *bus.Poll) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Poll = last
}

// Poll returns the last poll of the channel. Nil: there was none.
func (r *Room) Poll() *bus.Poll {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Poll
}

// OpenPoll opens a poll as somebody in the channel would. One that is open is closed. What the plugin opens is there
// too.
func (r *Room) OpenPoll(by, title string, options ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.openPoll(bus.Poll{Title: title, Options: options, Initiator: by})
}

// openPoll is OpenPoll. The caller holds the lock.
func (r *Room) openPoll(one bus.Poll) {
	r.polls++
	r.votes = make([]int, len(one.Options))
	one.Opened, one.Open = r.clock.Now().UnixMilli()+int64(r.polls), true // no two have the same
	r.state.Poll = r.counted(one)
}

// Vote sets the votes by option of the poll that is open.
func (r *Room) Vote(counts ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.votes = counts
	r.state.Poll = r.counted(*r.state.Poll)
}

// ClosePoll closes the poll that is open, if there is one.
func (r *Room) ClosePoll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closePoll()
}

// closePoll is ClosePoll. The caller holds the lock.
func (r *Room) closePoll() {
	if r.state.Poll != nil && r.state.Poll.Open {
		one := *r.state.Poll
		one.Open = false
		r.state.Poll = r.counted(one)
	}
}

// counted returns a poll with the votes, as far as the bot sees them.
func (r *Room) counted(one bus.Poll) *bus.Poll {
	one.Counts = nil
	if !one.Obscured || !one.Open {
		one.Counts = slices.Clone(r.votes)
	}
	return &one
}
