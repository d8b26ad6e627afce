package cytube

import (
	"encoding/json"
	"strings"
	"time"
)

var channelDecoders = map[string]decoder{
	Permissions{}.EventName():    as(func(ranks map[string]float64) Event { return Permissions{Ranks: ranks} }),
	ChannelOptions{}.EventName(): as(wireOptions.event),
	CSSJS{}.EventName():          as(func(c wireCSSJS) Event { return CSSJS(c) }),
	SetMOTD{}.EventName():        as(func(html string) Event { return SetMOTD{HTML: html} }),
	DrinkCount{}.EventName():     as(func(count int) Event { return DrinkCount{Count: count} }),
	EmoteList{}.EventName():      as(func(emotes []Emote) Event { return EmoteList{Emotes: emotes} }),
	UpdateEmote{}.EventName():    as(func(emote Emote) Event { return UpdateEmote{Emote: emote} }),
	RenameEmote{}.EventName():    as(func(r wireRename) Event { return RenameEmote{Old: r.Old, Emote: r.Emote} }),
	RemoveEmote{}.EventName():    as(func(emote Emote) Event { return RemoveEmote{Name: emote.Name} }),
	NewPoll{}.EventName():        as(func(p wirePoll) Event { return NewPoll{Poll: p.poll()} }),
	UpdatePoll{}.EventName():     as(func(p wirePoll) Event { return UpdatePoll{Poll: p.poll()} }),
	ClosePoll{}.EventName():      func(json.RawMessage) (Event, error) { return ClosePoll{}, nil },
	ClearChat{}.EventName():      as(func(c wireClear) Event { return ClearChat{By: c.ClearedBy} }),
}

var refusalDecoders = map[string]decoder{
	ErrorMsg{}.EventName():     as(func(e wireRefusal) Event { return ErrorMsg{Message: e.Msg} }),
	NoFlood{}.EventName():      as(func(e wireRefusal) Event { return NoFlood{Action: e.Action, Message: e.Msg} }),
	Cooldown{}.EventName():     as(func(ms float64) Event { return Cooldown{Wait: millis(ms)} }),
	SpamFiltered{}.EventName(): as(func(s wireSpam) Event { return SpamFiltered(s) }),
}

type wireOptions struct {
	PageTitle     string  `json:"pagetitle"`
	AllowVoteskip bool    `json:"allow_voteskip"`
	VoteskipRatio float64 `json:"voteskip_ratio"`
	AFKTimeout    float64 `json:"afk_timeout"` // seconds
	Antiflood     bool    `json:"chat_antiflood"`
	Flood         struct {
		Burst     float64 `json:"burst"`
		Sustained float64 `json:"sustained"` // a second
		Cooldown  float64 `json:"cooldown"`  // seconds
	} `json:"chat_antiflood_params"`
}

func (o wireOptions) event() Event {
	options := ChannelOptions{
		PageTitle: o.PageTitle, AllowVoteskip: o.AllowVoteskip, VoteskipRatio: o.VoteskipRatio,
		AFKTimeout: millis(o.AFKTimeout * 1000),
	}
	if o.Antiflood {
		options.Flood = &FloodLimit{
			Burst: int(o.Flood.Burst), Sustained: o.Flood.Sustained, Cooldown: millis(o.Flood.Cooldown * 1000),
		}
	}
	return options
}

// maxWait bounds what a server makes us wait: a number out of all measure must not stop the bot for ever.
const maxWait = 24 * time.Hour

// millis keeps a number of milliseconds within 0 and maxWait; a number that is none is 0.
func millis(ms float64) time.Duration {
	if !(ms > 0) {
		return 0
	}
	return time.Duration(min(ms, float64(maxWait.Milliseconds())) * float64(time.Millisecond))
}

type wireCSSJS struct {
	CSS string `json:"css"`
	JS  string `json:"js"`
}

type wireRename struct {
	Old string `json:"old"`
	Emote
}

type wirePoll struct {
	Title     string            `json:"title"`
	Options   []string          `json:"options"`
	Counts    []json.RawMessage `json:"counts"` // numbers, or texts like "3?"
	Initiator string            `json:"initiator"`
}

func (p wirePoll) poll() Poll {
	poll := Poll{Title: p.Title, Options: p.Options, Initiator: p.Initiator}
	for _, count := range p.Counts {
		poll.Counts = append(poll.Counts, strings.Trim(string(count), `"`))
	}
	return poll
}

type wireClear struct {
	ClearedBy string `json:"clearedBy"`
}

type wireRefusal struct {
	Action string `json:"action"`
	Msg    string `json:"msg"`
}

type wireSpam struct {
	Reason string `json:"reason"`
}
