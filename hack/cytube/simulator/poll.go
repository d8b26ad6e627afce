package simulator

import (
	"fmt"
	"strings"
	"time"
)

const (
	maxPollOptions = 50
	maxPollText    = 255
)

// poll is a poll in which each address has one vote. The server's lock guards it.
type poll struct {
	title, initiator string
	options          []string
	obscured, retain bool
	started          int64 // Unix ms
	votes            map[string]int
	timer            *timer
}

// newPollRequest is the payload of newPoll.
type newPollRequest struct {
	Title    string   `json:"title"`
	Timeout  *float64 `json:"timeout,omitempty"` // seconds
	Obscured bool     `json:"obscured"`
	Retain   bool     `json:"retainVotes,omitempty"`
	Opts     []any    `json:"opts"`
}

func (p *poll) frame(seesHidden bool) pollFrame {
	counts := make([]int, len(p.options))
	for _, option := range p.votes {
		counts[option]++
	}
	f := pollFrame{Title: p.title, Options: p.options, Initiator: p.initiator, Timestamp: p.started, Counts: []any{}}
	for _, n := range counts {
		switch {
		case !p.obscured:
			f.Counts = append(f.Counts, n)
		case seesHidden:
			f.Counts = append(f.Counts, fmt.Sprint(n, "?"))
		default:
			f.Counts = append(f.Counts, "?")
		}
	}
	return f
}

func (c *Channel) sendPoll(event string, to ...*client) {
	for _, m := range to {
		m.emit(event, c.poll.frame(m.may("viewhiddenpoll")))
	}
}

func (c *client) handleNewPoll(request newPollRequest) {
	if !c.allowed("pollctl") {
		return
	}
	c.handleClosePoll()
	words := checkPoll(request)
	if words == "" && request.Timeout != nil && (*request.Timeout < 1 || *request.Timeout > 86400) {
		words = "Poll timeout must be between 1 and 86400 seconds"
	}
	if words != "" {
		c.emit("errorMsg", errorFrame{Msg: words})
		return
	}
	c.openPoll(request)
}

func (c *client) pollCommand(rest string, obscured bool) {
	if !c.allowed("pollctl") {
		return
	}
	c.handleClosePoll()
	request := newPollRequest{Obscured: obscured}
	for i, part := range strings.Split(" "+rest, ",") { // CyTube keeps the blank after the command
		if i == 0 {
			request.Title = part
		} else {
			request.Opts = append(request.Opts, part)
		}
	}
	if words := checkPoll(request); words != "" {
		c.emit("errorMsg", errorFrame{Msg: "Error creating poll: " + words})
		return
	}
	c.openPoll(request)
}

func checkPoll(request newPollRequest) string {
	switch {
	case len(request.Title) > maxPollText:
		return "Poll title must be no more than 255 characters long."
	case len(request.Opts) > maxPollOptions:
		return fmt.Sprintf("Polls are limited to a maximum of %d options.", maxPollOptions)
	}
	for _, option := range request.Opts {
		text, isText := option.(string)
		if !isText {
			return "Poll options must be strings."
		}
		if text == "" || len(text) > maxPollText {
			return "Poll options must be 1-255 characters long."
		}
	}
	return ""
}

func (c *client) openPoll(request newPollRequest) {
	p := &poll{
		title: escapeAll.Replace(request.Title), initiator: c.name, options: []string{}, obscured: request.Obscured,
		retain: request.Retain, started: time.Now().UnixMilli(), votes: map[string]int{},
	}
	for _, option := range request.Opts {
		p.options = append(p.options, escapeAll.Replace(fmt.Sprint(option)))
	}
	channel := c.channel
	if request.Timeout != nil {
		p.timer = c.srv.after(time.Duration(*request.Timeout*float64(time.Second)), channel.closePoll)
	}
	channel.poll = p
	channel.record(Entry{Kind: KindPoll, User: c.name, Text: p.title})
	channel.sendPoll("newPoll", channel.members...)
}

type voteRequest struct {
	Option int `json:"option"`
}

func (c *client) handleVote(request voteRequest) {
	p := c.channel.poll
	if !c.allowed("pollvote") {
		return
	}
	if p == nil || request.Option < 0 || request.Option >= len(p.options) {
		c.refused("ignored: no poll, or no such option")
		return
	}
	if old, voted := p.votes[c.address]; voted && old == request.Option {
		c.refused("ignored: voted like that before")
		return
	}
	p.votes[c.address] = request.Option
	c.channel.record(Entry{Kind: KindVote, User: c.name, Count: request.Option})
	c.channel.sendPoll("updatePoll", c.channel.members...)
}

func (c *client) handleClosePoll() {
	if c.allowed("pollctl") {
		c.channel.closePoll()
	}
}

func (c *Channel) closePoll() {
	p := c.poll
	if p == nil {
		return
	}
	if p.obscured {
		p.obscured = false
		c.broadcast("updatePoll", p.frame(true))
	}
	p.timer.stop()
	c.poll = nil
	c.record(Entry{Kind: KindPollClose})
	c.broadcast("closePoll", nil)
}

// unvotePoll removes the vote of a user who has left, unless the poll retains votes.
func (c *Channel) unvotePoll(address string) {
	if c.poll == nil || c.poll.retain {
		return
	}
	if _, voted := c.poll.votes[address]; voted {
		delete(c.poll.votes, address)
		c.sendPoll("updatePoll", c.members...)
	}
}
