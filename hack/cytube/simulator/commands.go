package simulator

import "strings"

// command is a chat command. It gets the rest of the line.
type command func(c *client, rest string, meta chatMeta)

// shoutRank is the lowest rank that may use /say.
const shoutRank = 1.5

func newCommands() map[string]command {
	commands := map[string]command{
		"me": func(c *client, rest string, meta chatMeta) {
			meta.AddClass, meta.Action = "action", true
			c.process(rest, meta)
		},
		"sp": func(c *client, rest string, meta chatMeta) {
			meta.AddClass = "spoiler"
			c.process(rest, meta)
		},
		"clear":     func(c *client, _ string, _ chatMeta) { c.clearChat() },
		"afk":       func(c *client, _ string, _ chatMeta) { c.setAFK(!c.afk) },
		"a":         func(c *client, _ string, _ chatMeta) { c.refused("ignored: /a is for the site's administrators") },
		"mute":      func(c *client, rest string, _ chatMeta) { c.muteCommand("/mute", rest, false) },
		"smute":     func(c *client, rest string, _ chatMeta) { c.muteCommand("/smute", rest, true) },
		"unmute":    func(c *client, rest string, _ chatMeta) { c.unmuteCommand(rest) },
		"unsmute":   func(c *client, rest string, _ chatMeta) { c.unmuteCommand(rest) },
		"kick":      func(c *client, rest string, _ chatMeta) { c.kickCommand(rest) },
		"kickanons": func(c *client, _ string, _ chatMeta) { c.kickAnonymous() },
		"ban":       func(c *client, rest string, _ chatMeta) { c.banCommand(rest) },
		"rank":      func(c *client, rest string, _ chatMeta) { c.rankCommand(rest) },
		"poll":      func(c *client, rest string, _ chatMeta) { c.pollCommand(rest, false) },
		"hpoll":     func(c *client, rest string, _ chatMeta) { c.pollCommand(rest, true) },
	}
	for _, name := range []string{"say", "shout", "rcv"} {
		commands[name] = (*client).shout
	}
	return commands
}

// shout says a highlighted line.
func (c *client) shout(rest string, meta chatMeta) {
	if c.rank() < shoutRank {
		c.refused("ignored: /say needs rank 1.5")
		return
	}
	meta.AddClass, meta.AddClassToNameAndTimestamp, meta.ForceShowName = "shout", true, true
	c.process(rest, meta)
}

// clearChat clears the chat history.
func (c *client) clearChat() {
	if !c.allowed("chatclear") {
		return
	}
	c.channel.replay = nil
	c.channel.record(Entry{Kind: KindClear, User: c.name})
	c.channel.broadcast("clearchat", clearFrame{ClearedBy: c.name})
	c.channel.whisper(everyone, c.name+" cleared chat.")
}

// runCommand runs a line that is a command. It reports false for other lines.
func (c *client) runCommand(text string, meta chatMeta) bool {
	if !strings.HasPrefix(text, "/") {
		return false
	}
	name, rest, _ := strings.Cut(text[1:], " ")
	run, known := c.srv.commands[name]
	if known {
		run(c, rest, meta)
	}
	return known
}
