package simulator

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode/utf16"
)

// chatRank is the rank that chatting needs in a new channel: logged in, if only as a guest.
const chatRank = 0

// maxMessageLength is CyTube's default for a line, in UTF-16 code units as JavaScript counts. The rest is cut off.
const maxMessageLength = 320

// shoutRank is the lowest rank whose /say is a shout.
const shoutRank = 1.5

var controlCharacters = regexp.MustCompile(`[\x00-\x1f]+`)

func (c *client) handleChatMsg(arg json.RawMessage) {
	var request struct {
		Msg string `json:"msg"`
	}
	if !c.member {
		return
	}
	if err := json.Unmarshal(arg, &request); err != nil {
		c.emit("errorMsg", errorFrame{Msg: "Unexpected error for message chatMsg: " + err.Error()})
		return
	}
	c.chat(request.Msg)
}

// chat says a line in the channel, and is false when CyTube would drop it without a word.
func (c *client) chat(text string) (Entry, bool) {
	text = controlCharacters.ReplaceAllString(truncate(text), " ")
	if c.rank() < chatRank || strings.TrimSpace(text) == "" {
		return Entry{}, false
	}
	meta, text, ok := c.chatCommand(text)
	if !ok {
		return Entry{}, false
	}
	f := chatFrame{Username: c.name, Msg: formatMessage(text), Meta: meta, Time: time.Now().UnixMilli()}
	return c.channel.say(f), true
}

func (c *Channel) say(f chatFrame) Entry {
	c.broadcast("chatMsg", f)
	c.replay = append(c.replay, f)
	if len(c.replay) > replayLength {
		c.replay = c.replay[1:]
	}
	return c.record(Entry{Kind: KindChat, User: f.Username, Text: f.Msg, Class: f.Meta.AddClass, Time: f.Time})
}

// chatCommand takes the commands off that only change how a line looks. CyTube runs what follows a command again, so
// "/me >walks" is green text; a command it does not know is an ordinary line.
func (c *client) chatCommand(text string) (chatMeta, string, bool) {
	var meta chatMeta
	for {
		if strings.HasPrefix(text, ">") {
			meta.AddClass = "greentext"
		}
		command, rest, _ := strings.Cut(text, " ")
		switch command {
		case "/me":
			meta.AddClass, meta.Action = "action", true
		case "/sp":
			meta.AddClass = "spoiler"
		case "/say", "/shout", "/rcv":
			if c.rank() < shoutRank {
				return meta, "", false
			}
			meta.AddClass, meta.AddClassToNameAndTimestamp, meta.ForceShowName = "shout", true, true
		default:
			return meta, text, true
		}
		text = rest
	}
}

func truncate(text string) string {
	units := utf16.Encode([]rune(text))
	if len(units) <= maxMessageLength {
		return text
	}
	return string(utf16.Decode(units[:maxMessageLength]))
}
