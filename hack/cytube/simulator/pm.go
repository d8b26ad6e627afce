package simulator

import (
	"encoding/json"
	"strings"
	"time"
)

func (c *client) handlePM(arg json.RawMessage) {
	var request struct {
		To  string `json:"to"`
		Msg string `json:"msg"`
	}
	if !c.member {
		return
	}
	if err := json.Unmarshal(arg, &request); err != nil {
		c.emit("errorMsg", errorFrame{Msg: "Unexpected error for message pm: " + err.Error()})
		return
	}
	if _, problem := c.pm(request.To, request.Msg); problem != "" {
		c.emit("errorMsg", errorFrame{Msg: problem})
	}
}

// pm sends a private message to both ends, or says in CyTube's words why it cannot.
func (c *client) pm(to, text string) (Entry, string) {
	to = strings.ToLower(to)
	switch {
	case c.name == "":
		return Entry{}, "You must be signed in to send PMs"
	case strings.EqualFold(to, c.name):
		return Entry{}, "You can't PM yourself!"
	case !validUserName.MatchString(to):
		return Entry{}, "PM failed: " + to + " isn't a valid username."
	}
	other := c.channel.named(to)
	if other == nil {
		return Entry{}, "PM failed: " + to + " isn't connected to this channel."
	}
	text = truncate(text)
	f := chatFrame{Username: c.name, Msg: formatMessage(text), Time: time.Now().UnixMilli(), To: other.name}
	if strings.HasPrefix(text, ">") {
		f.Meta.AddClass = "greentext"
	}
	other.emit("pm", f)
	c.emit("pm", f)
	return c.channel.record(Entry{
		Kind: KindPM, User: f.Username, To: f.To, Text: f.Msg, Class: f.Meta.AddClass, Time: f.Time,
	}), ""
}
