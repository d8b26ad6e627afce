package simulator

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode/utf16"
)

// defaultMessageLength is CyTube's default limit for a line, in UTF-16 code units, which JavaScript counts.
const defaultMessageLength = 320

var controlCharacters = regexp.MustCompile(`[\x00-\x1f]+`)

type chatRequest struct {
	Msg  string                     `json:"msg"`
	Meta map[string]json.RawMessage `json:"meta"`
}

// handleChatMsg handles a line. CyTube silently drops many invalid lines.
func (c *client) handleChatMsg(request chatRequest) {
	if !c.allowed("chat") {
		return
	}
	text := c.truncate(request.Msg)
	if c.tooNew(text) {
		return
	}
	text = controlCharacters.ReplaceAllString(text, " ")
	if strings.TrimSpace(text) == "" || c.name == "" {
		c.refused("ignored: a blank line, or not logged in")
		return
	}
	var meta chatMeta
	var flair float64
	if c.isModerator() && json.Unmarshal(request.Meta["modflair"], &flair) == nil && flair == c.rank() {
		meta.ModFlair = flair
	}
	if text, ok := c.callDrinks(text, &meta); ok {
		c.process(text, meta)
	}
}

// tooNew refuses the lines of guests who have connected too recently.
func (c *client) tooNew(text string) bool {
	if c.isModerator() || c.account != nil {
		return false
	}
	known, options := time.Since(c.firstSeen), c.channel.options
	switch {
	case known < options.NewUserChatDelay:
		c.emit("spamFiltered", spamFrame{Reason: "NEW_USER_CHAT"})
	case known < options.NewUserChatLinkDelay && linkPattern.MatchString(text):
		c.emit("spamFiltered", spamFrame{Reason: "NEW_USER_CHAT_LINK"})
	default:
		return false
	}
	return true
}

// flooded counts a line and refuses it if the user exceeds a limit. The channel's limit is for users below moderator.
func (c *client) flooded(inChannel bool) bool {
	limit := c.srv.options.Limits.Chat
	if c.conn == nil {
		return false
	}
	if inChannel && c.channel.options.ChatAntiflood.Burst > 0 && !c.isModerator() {
		limit = c.channel.options.ChatAntiflood
	}
	if !c.chatLimiter.throttle(limit, time.Now()) {
		return false
	}
	c.emit("cooldown", limit.wait())
	return true
}

// process says a line or runs the command in it. It also processes the rest of a line after a command that only changes
// the style, so "/me >walks" is green text, and counts twice for the flood limit.
func (c *client) process(text string, meta chatMeta) {
	if !strings.Contains(text, "/afk") {
		c.setAFK(false)
	}
	if c.flooded(true) {
		return
	}
	if strings.HasPrefix(text, ">") {
		meta.AddClass = "greentext"
	}
	if c.runCommand(text, meta) {
		return
	}
	f := chatFrame{Username: c.name, Msg: formatMessage(text), Meta: meta, Time: time.Now().UnixMilli()}
	switch {
	case c.shadowMuted:
		c.sayInShadow(f)
	case c.muted:
		c.emit("noflood", noFloodFrame{Action: "chat", Msg: "You have been muted on this channel."})
	default:
		c.channel.say(f)
	}
}

func (c *Channel) say(f chatFrame) Entry {
	c.broadcast("chatMsg", f)
	c.replay = append(c.replay, f)
	if len(c.replay) > replayLength {
		c.replay = c.replay[1:]
	}
	return c.record(Entry{Kind: KindChat, User: f.Username, Text: f.Msg, Class: f.Meta.AddClass, Time: f.Time})
}

// sayInShadow sends a line to shadow-muted users and anonymous clients, and marked to moderators.
func (c *client) sayInShadow(f chatFrame) {
	marked := f
	marked.Meta.Shadow = true
	for _, m := range c.channel.members {
		if m.shadowMuted || m.name == "" {
			m.emit("chatMsg", f)
		}
		if m.isModerator() {
			m.emit("chatMsg", marked)
		}
	}
	c.refused("shadow-muted: " + f.Msg)
}

func (c *client) truncate(text string) string {
	units := utf16.Encode([]rune(text))
	if len(units) <= c.srv.options.Limits.MessageLength {
		return text
	}
	return string(utf16.Decode(units[:c.srv.options.Limits.MessageLength]))
}
