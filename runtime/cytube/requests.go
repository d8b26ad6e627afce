package cytube

import (
	"context"
	"strings"
)

// The requests of a client. The server acknowledges none of them: the event that it sends to everybody shows that a
// request succeeded, and it refuses many requests silently.

// Say says a line in the channel, at most MaxLine long; the server cuts off the rest. It is never a command: the server
// takes a line for one that begins with "/", so such a line gets a space in front. A line that was said comes back as a
// ChatMessage.
func (c *Conn) Say(ctx context.Context, text string) error {
	return c.send(ctx, "chatMsg", chatLine{Msg: Unexecuted(text)})
}

// Unexecuted returns a line as Say sends it.
func Unexecuted(text string) string {
	if strings.HasPrefix(text, "/") {
		return " " + text
	}
	return text
}

// Command has the server execute a line that begins with "/", such as "/me waves", with the bot's rank. It is at most
// MaxLine long. Whether anything comes back depends on the command; the server says a line that is no command it knows.
func (c *Conn) Command(ctx context.Context, text string) error {
	return c.send(ctx, "chatMsg", chatLine{Msg: text})
}

// PM sends a private message, at most MaxLine long. It comes back as a PM.
func (c *Conn) PM(ctx context.Context, to, text string) error {
	return c.send(ctx, "pm", chatLine{To: to, Msg: text})
}

// Enqueue adds media to the end of the playlist; only ID and Type are used. It comes back as a Queue.
func (c *Conn) Enqueue(ctx context.Context, media Media, temp bool) error {
	return c.send(ctx, "queue", queueRequest{ID: media.ID, Type: media.Type, Pos: "end", Temp: temp})
}

// Delete removes an item from the playlist.
func (c *Conn) Delete(ctx context.Context, uid int) error { return c.send(ctx, "delete", uid) }

// Move moves an item of the playlist. It comes back as a MoveVideo.
func (c *Conn) Move(ctx context.Context, uid int, after Place) error {
	return c.send(ctx, "moveMedia", moveRequest{From: uid, After: after.onWire()})
}

// JumpTo plays an item now. It comes back as a SetCurrent.
func (c *Conn) JumpTo(ctx context.Context, uid int) error { return c.send(ctx, "jumpTo", uid) }

// PlayNext plays the next item now.
func (c *Conn) PlayNext(ctx context.Context) error { return c.send(ctx, "playNext", nil) }

// Voteskip votes for skipping the current item.
func (c *Conn) Voteskip(ctx context.Context) error { return c.send(ctx, "voteskip", nil) }

// AssignLeader makes a user the leader of playback, spelled as in the user list. Empty: the server leads. The server
// kicks a client that has no permission for it.
func (c *Conn) AssignLeader(ctx context.Context, name string) error {
	return c.send(ctx, "assignLeader", leaderRequest{Name: name})
}

// Lead sends the position of playback, as its leader.
func (c *Conn) Lead(ctx context.Context, media Media, position float64, paused bool) error {
	return c.send(ctx, "mediaUpdate", leadRequest{
		ID: media.ID, Type: media.Type, CurrentTime: position, Paused: paused,
	})
}

// Kick kicks a user, with the chat command for it. The user leaves; there is no other answer.
func (c *Conn) Kick(ctx context.Context, name, reason string) error {
	return c.Command(ctx, strings.TrimSpace("/kick "+name+" "+reason))
}

// ClearChat clears the chat, with the chat command for it.
func (c *Conn) ClearChat(ctx context.Context) error { return c.Command(ctx, "/clear") }

// ToggleAFK marks the bot as away from keyboard or back, with the chat command for it.
func (c *Conn) ToggleAFK(ctx context.Context) error { return c.Command(ctx, "/afk") }

// ShufflePlaylist shuffles the playlist. It comes back as a Playlist.
func (c *Conn) ShufflePlaylist(ctx context.Context) error { return c.send(ctx, "shufflePlaylist", nil) }

// Poll is a question with options to vote for. The server closes the poll that is open before it opens one.
type Poll struct {
	// Title has at most MaxPollText bytes, and so has each of at most MaxPollOptions options, which are not empty.
	Title   string   `json:"title"`
	Options []string `json:"opts"`
	// Obscured hides the votes until the poll is closed.
	Obscured bool `json:"obscured"`
}

// Limits of polls.
const (
	MaxPollOptions = 50
	MaxPollText    = 255
)

// OpenPoll opens a poll. It comes back as a NewPoll.
func (c *Conn) OpenPoll(ctx context.Context, poll Poll) error { return c.send(ctx, "newPoll", poll) }

// ClosePoll closes the poll that is open. It comes back as a PollClosed.
func (c *Conn) ClosePoll(ctx context.Context) error { return c.send(ctx, "closePoll", nil) }

type chatLine struct {
	To   string   `json:"to,omitempty"`
	Msg  string   `json:"msg"`
	Meta struct{} `json:"meta"`
}

type queueRequest struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Pos  string `json:"pos"`
	Temp bool   `json:"temp"`
}

type moveRequest struct {
	From  int `json:"from"`
	After any `json:"after"`
}

type leaderRequest struct {
	Name string `json:"name"`
}

type leadRequest struct {
	ID          string  `json:"id"`
	Type        string  `json:"type"`
	CurrentTime float64 `json:"currentTime"`
	Paused      bool    `json:"paused"`
}
