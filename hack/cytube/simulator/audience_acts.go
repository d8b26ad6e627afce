package simulator

import (
	"encoding/json"
	"fmt"
)

// Do lets somebody of the audience send an event, as a client would over a socket; what the methods below do not
// have is done with it. It returns what happened. The error has the server's words if it refused.
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

// watch returns what happened while somebody did something.
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

// one is for what makes one entry, or one of a kind among others.
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

// Say lets somebody of the audience say a line, as plain text; "/me" and the like work, and so do moderators'
// commands. The entry has the line as clients saw it, or what the command did.
func (c *Channel) Say(user, text string) (Entry, error) {
	entries, err := c.Do(user, "chatMsg", map[string]string{"msg": text})
	return one(entries, err, KindChat)
}

// PM lets somebody of the audience send a private message to anybody in the user list.
func (c *Channel) PM(user, to, text string) (Entry, error) {
	entries, err := c.Do(user, "pm", pmRequest{To: to, Msg: text})
	return one(entries, err, KindPM)
}

// SetAFK lets somebody of the audience go away or come back.
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

// Where the playlist takes a new item.
const (
	QueueNext = "next"
	QueueEnd  = "end"
)

// Queue lets somebody of the audience add to the playlist, at QueueNext or QueueEnd. It returns the item's uid. Of
// the media only ID, Type and Temp count; the rest is Options.Media's.
func (c *Channel) Queue(user string, media Media, position string) (int, error) {
	entries, err := c.Do(user, "queue", map[string]any{
		"id": media.ID, "type": media.Type, "pos": position, "temp": media.Temp,
	})
	e, err := one(entries, err, KindQueue)
	return e.Count, err
}

// Move lets somebody of the audience put an item behind another.
func (c *Channel) Move(user string, uid, after int) error {
	return c.do(user, "moveMedia", map[string]int{"from": uid, "after": after})
}

// SetTemp lets somebody of the audience say whether an item goes after it was shown.
func (c *Channel) SetTemp(user string, uid int, temp bool) error {
	return c.do(user, "setTemp", tempRequest{UID: uid, Temp: temp})
}

// Delete lets somebody of the audience take an item off the playlist.
func (c *Channel) Delete(user string, uid int) error { return c.do(user, "delete", uid) }

// JumpTo lets somebody of the audience show an item now.
func (c *Channel) JumpTo(user string, uid int) error { return c.do(user, "jumpTo", uid) }

// ToggleLock lets somebody of the audience lock or unlock the playlist.
func (c *Channel) ToggleLock(user string) error { return c.do(user, "togglePlaylistLock", nil) }

// SetMOTD lets somebody of the audience change the message of the day, HTML.
func (c *Channel) SetMOTD(user, motd string) error {
	return c.do(user, "setMotd", motdRequest{MOTD: motd})
}

// AssignLeader lets somebody of the audience make somebody the leader, or with an empty name nobody.
func (c *Channel) AssignLeader(user, leader string) error {
	return c.do(user, "assignLeader", nameFrame{Name: leader})
}

// Poll lets somebody of the audience ask the channel.
func (c *Channel) Poll(user, title string, options ...string) error {
	opts := []any{}
	for _, option := range options {
		opts = append(opts, option)
	}
	return c.do(user, "newPoll", newPollRequest{Title: title, Opts: opts})
}

// Vote lets somebody of the audience vote for the option of that number, from 0.
func (c *Channel) Vote(user string, option int) error {
	return c.do(user, "vote", voteRequest{Option: option})
}

// ClosePoll lets somebody of the audience end the poll.
func (c *Channel) ClosePoll(user string) error { return c.do(user, "closePoll", nil) }

// UpdateEmote lets somebody of the audience add or change an emote; the server makes its Source.
func (c *Channel) UpdateEmote(user string, emote Emote) error {
	return c.do(user, "updateEmote", map[string]string{"name": emote.Name, "image": emote.Image})
}

// Voteskip lets somebody of the audience vote to skip what is shown.
func (c *Channel) Voteskip(user string) error { return c.do(user, "voteskip", nil) }

// SetRank lets somebody of the audience change the rank of somebody.
func (c *Channel) SetRank(user, of string, rank float64) error {
	return c.do(user, "setChannelRank", rankFrame{Name: of, Rank: rank})
}

func (c *Channel) do(user, event string, payload any) error {
	_, err := c.Do(user, event, payload)
	return err
}
