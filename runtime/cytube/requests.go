package cytube

import (
	"context"
	"strings"
)

// What a client can ask of the server. None of it is acknowledged: that it was done is known when the
// event comes that tells everybody, and much of what is refused is refused without a word.

// Say says a line in the channel, at most MaxLine long; the server cuts off the rest. A line that
// starts with "/" is a command. That it was said is known only when it comes back as a ChatMessage.
func (c *Conn) Say(ctx context.Context, text string) error {
	return c.send(ctx, "chatMsg", chatLine{Msg: text})
}

// PM sends a private message, at most MaxLine long. It comes back as a PM.
func (c *Conn) PM(ctx context.Context, to, text string) error {
	return c.send(ctx, "pm", chatLine{To: to, Msg: text})
}

// Enqueue adds media to the end of the playlist; only ID and Type count. It comes back as a Queue.
func (c *Conn) Enqueue(ctx context.Context, media Media, temp bool) error {
	return c.send(ctx, "queue", queueRequest{ID: media.ID, Type: media.Type, Pos: "end", Temp: temp})
}

// Delete takes an item off the playlist.
func (c *Conn) Delete(ctx context.Context, uid int) error { return c.send(ctx, "delete", uid) }

// Move moves an item of the playlist. It comes back as a MoveVideo.
func (c *Conn) Move(ctx context.Context, uid int, after Place) error {
	return c.send(ctx, "moveMedia", moveRequest{From: uid, After: after.onWire()})
}

// JumpTo plays an item now. It comes back as a SetCurrent.
func (c *Conn) JumpTo(ctx context.Context, uid int) error { return c.send(ctx, "jumpTo", uid) }

// PlayNext plays the next item now.
func (c *Conn) PlayNext(ctx context.Context) error { return c.send(ctx, "playNext", nil) }

// Voteskip votes for skipping what plays.
func (c *Conn) Voteskip(ctx context.Context) error { return c.send(ctx, "voteskip", nil) }

// AssignLeader makes somebody lead what plays, spelled as in the user list. Empty: the server leads.
// Who has no permission for it is kicked.
func (c *Conn) AssignLeader(ctx context.Context, name string) error {
	return c.send(ctx, "assignLeader", leaderRequest{Name: name})
}

// Lead says as the leader how far the media has come and whether it pauses.
func (c *Conn) Lead(ctx context.Context, media Media, position float64, paused bool) error {
	return c.send(ctx, "mediaUpdate", leadRequest{
		ID: media.ID, Type: media.Type, CurrentTime: position, Paused: paused,
	})
}

// Kick kicks somebody, with the chat command for it. There is no answer but that they leave.
func (c *Conn) Kick(ctx context.Context, name, reason string) error {
	return c.Say(ctx, strings.TrimSpace("/kick "+name+" "+reason))
}

// ClearChat clears the chat, with the chat command for it.
func (c *Conn) ClearChat(ctx context.Context) error { return c.Say(ctx, "/clear") }

// ToggleAFK goes away from the keyboard or comes back, with the chat command for it.
func (c *Conn) ToggleAFK(ctx context.Context) error { return c.Say(ctx, "/afk") }

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
