package simulator

import (
	"encoding/json"
	"regexp"
	"slices"
)

type motdRequest struct {
	MOTD string `json:"motd"`
}

// handleSetMOTD changes the message of the day. Unlike CyTube, it does not remove HTML that is not allowed.
func (c *client) handleSetMOTD(request motdRequest) {
	if !c.may("motdedit") {
		c.kick("Attempted setMotd with insufficient permission")
		return
	}
	c.channel.motd = request.MOTD
	c.channel.record(Entry{Kind: KindMOTD, User: c.name, Text: request.MOTD})
	c.channel.broadcast("setMotd", request.MOTD)
}

var emoteSpecials = regexp.MustCompile(`[\\.?+*$^|()[\]{}]`)

func (c *client) handleUpdateEmote(payload json.RawMessage) {
	var emote Emote
	if jsType(payload) != "object" || !c.allowed("emoteedit") {
		return
	}
	if json.Unmarshal(payload, &emote) != nil || emote.Name == "" || emote.Image == "" {
		c.emit("errorMsg", errorFrame{Msg: "Emote names and images must not be blank.", Alert: true})
		return
	}
	emote.Image = escapeAll.Replace(emote.Image)
	emote.Source = `(^|\s)` + emoteSpecials.ReplaceAllString(escapeLoosely.Replace(emote.Name), `\$0`) + `(?!\S)`
	channel := c.channel
	i := slices.IndexFunc(channel.emotes, func(e Emote) bool { return e.Name == emote.Name })
	if i >= 0 {
		channel.emotes[i] = emote
	} else {
		channel.emotes = append(channel.emotes, emote)
	}
	channel.record(Entry{Kind: KindEmote, User: c.name, Text: emote.Name})
	channel.broadcast("updateEmote", emote)
}

func (c *client) handleRemoveEmote(payload json.RawMessage) {
	var emote nameFrame
	if json.Unmarshal(payload, &emote) != nil || !c.allowed("emoteedit") {
		return
	}
	c.channel.emotes = slices.DeleteFunc(c.channel.emotes, func(e Emote) bool { return e.Name == emote.Name })
	c.channel.record(Entry{Kind: KindEmote, User: c.name, Text: emote.Name})
	c.channel.broadcast("removeEmote", payload)
}
