package simulator

import (
	"strings"
	"time"
)

type pmRequest struct {
	To  string `json:"to"`
	Msg string `json:"msg"`
}

// handlePM sends a private message to both users, or an error to the sender.
func (c *client) handlePM(request pmRequest) {
	to, text := strings.ToLower(request.To), request.Msg
	fail := func(words string) { c.emit("errorMsg", errorFrame{Msg: words}) }
	switch {
	case c.name == "":
		fail("You must be signed in to send PMs")
		return
	case c.tooNew(text):
		return
	case strings.EqualFold(to, c.name):
		fail("You can't PM yourself!")
		return
	case !validUserName.MatchString(to):
		fail("PM failed: " + to + " isn't a valid username.")
		return
	case c.flooded(false):
		return
	}
	other := c.channel.named(to)
	if other == nil {
		fail("PM failed: " + to + " isn't connected to this channel.")
		return
	}
	text = c.truncate(text)
	f := chatFrame{Username: c.name, Msg: formatMessage(text), Time: time.Now().UnixMilli(), To: other.name}
	if strings.HasPrefix(text, ">") {
		f.Meta.AddClass = "greentext"
	}
	other.emit("pm", f)
	c.emit("pm", f)
	c.channel.record(Entry{
		Kind: KindPM, User: f.Username, To: f.To, Text: f.Msg, Class: f.Meta.AddClass, Time: f.Time,
	})
}
