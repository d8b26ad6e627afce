package simulator

import (
	"encoding/json"
	"fmt"
)

// Do lets a person of the audience send an event, as a client would over a socket, for events without a method below.
// It returns what happened. If the server refuses, the error has its message.
func (c *Channel) Do(user, event string, payload any) ([]Entry, error) {
	raw, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("payload of event %s: %w", event, err)
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	person, err := c.person(user)
	if err != nil {
		return nil, err
	}
	return c.watch(person, event, func() { person.handle(event, raw) })
}

// watch returns the entries that were recorded during an action.
func (c *Channel) watch(person *client, what string, do func()) ([]Entry, error) {
	before := c.log.last
	name := person.name
	person.refusal = ""
	do()
	entries := c.log.after(before)
	switch {
	case person.refusal != "":
		return entries, fmt.Errorf("%s of user %q in channel %s: %w: %s", what, name, c.name, ErrRefused, person.refusal)
	case len(entries) == 0:
		return nil, fmt.Errorf("%s of user %q in channel %s: %w: nothing happened", what, name, c.name, ErrRefused)
	}
	return entries, nil
}

// one returns the entry of an action that makes one entry, or one entry of a kind.
func one(entries []Entry, err error, kind Kind) (Entry, error) {
	if err != nil {
		return Entry{}, err
	}
	for _, e := range entries {
		if e.Kind == kind {
			return e, nil
		}
	}
	return entries[len(entries)-1], nil
}

// Say lets a person of the audience say a line of plain text or run a chat command, such as "/me" or a moderator's. The
// entry has the line as clients saw it, or the effect of the command.
func (c *Channel) Say(user, text string) (Entry, error) {
	entries, err := c.Do(user, "chatMsg", map[string]string{"msg": text})
	return one(entries, err, KindChat)
}

// PM lets a person of the audience send a private message to a user in the user list.
func (c *Channel) PM(user, to, text string) (Entry, error) {
	entries, err := c.Do(user, "pm", pmRequest{To: to, Msg: text})
	return one(entries, err, KindPM)
}

// SetAFK lets a person of the audience go away or come back.
func (c *Channel) SetAFK(user string, afk bool) error {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	person, err := c.person(user)
	if err != nil {
		return err
	}
	person.setAFK(afk)
	return nil
}

// The positions for a new item in the playlist.
const (
	QueueNext = "next"
	QueueEnd  = "end"
)

// Queue lets a person of the audience add an item to the playlist, at QueueNext or QueueEnd. It returns the item's uid.
// Of the media only ID, Type and Temp are used; the rest is from Options.Media.
func (c *Channel) Queue(user string, media Media, position string) (int, error) {
	entries, err := c.Do(user, "queue", map[string]any{
		"id": media.ID, "type": media.Type, "pos": position, "temp": media.Temp,
	})
	e, err := one(entries, err, KindQueue)
	return e.Count, err
}

// Move lets a person of the audience move an item behind another.
func (c *Channel) Move(user string, uid, after int) error {
	return c.do(user, "moveMedia", map[string]int{"from": uid, "after": after})
}

// SetTemp lets a person of the audience set whether an item is removed after it was shown.
func (c *Channel) SetTemp(user string, uid int, temp bool) error {
	return c.do(user, "setTemp", tempRequest{UID: uid, Temp: temp})
}

// Delete lets a person of the audience remove an item from the playlist.
func (c *Channel) Delete(user string, uid int) error { return c.do(user, "delete", uid) }

// JumpTo lets a person of the audience play an item now.
func (c *Channel) JumpTo(user string, uid int) error { return c.do(user, "jumpTo", uid) }

// ToggleLock lets a person of the audience lock or unlock the playlist.
func (c *Channel) ToggleLock(user string) error { return c.do(user, "togglePlaylistLock", nil) }

// SetMOTD lets a person of the audience change the message of the day, HTML.
func (c *Channel) SetMOTD(user, motd string) error {
	return c.do(user, "setMotd", motdRequest{MOTD: motd})
}

// AssignLeader lets a person of the audience make a user the leader. An empty name removes the leader.
func (c *Channel) AssignLeader(user, leader string) error {
	return c.do(user, "assignLeader", nameFrame{Name: leader})
}

// Poll lets a person of the audience start a poll.
func (c *Channel) Poll(user, title string, options ...string) error {
	opts := []any{}
	for _, option := range options {
		opts = append(opts, option)
	}
	return c.do(user, "newPoll", newPollRequest{Title: title, Opts: opts})
}

// Vote lets a person of the audience vote for an option, numbered from 0.
func (c *Channel) Vote(user string, option int) error {
	return c.do(user, "vote", voteRequest{Option: option})
}

// ClosePoll lets a person of the audience end the poll.
func (c *Channel) ClosePoll(user string) error { return c.do(user, "closePoll", nil) }

// UpdateEmote lets a person of the audience add or change an emote; the server sets its Source.
func (c *Channel) UpdateEmote(user string, emote Emote) error {
	return c.do(user, "updateEmote", map[string]string{"name": emote.Name, "image": emote.Image})
}

// Voteskip lets a person of the audience vote to skip the current item.
func (c *Channel) Voteskip(user string) error { return c.do(user, "voteskip", nil) }

// SetRank lets a person of the audience change a user's rank.
func (c *Channel) SetRank(user, of string, rank float64) error {
	return c.do(user, "setChannelRank", rankFrame{Name: of, Rank: rank})
}

func (c *Channel) do(user, event string, payload any) error {
	_, err := c.Do(user, event, payload)
	return err
}
