package config

import "errors"

// DefaultCommandPrefix is what a command in the chat begins with.
const DefaultCommandPrefix = "!"

// Commands says which commands of users `rosey bot` answers.
type Commands struct {
	// Chat: everybody's commands in the chat, such as !help. Default: true.
	Chat *bool `json:"chat,omitempty"`
	// PM: moderators' commands by private message. Default: true.
	PM *bool `json:"pm,omitempty"`
	// Prefix is what a command in the chat begins with: 1 to 5 characters without spaces. Default: "!".
	Prefix string `json:"prefix,omitempty"`
	// CooldownSeconds is how long somebody waits between two commands in the chat. Default: 5.
	CooldownSeconds *int `json:"cooldownSeconds,omitempty"`
}

// Limits of CooldownSeconds, and what it is by default.
const (
	maxCooldownSeconds     = 3600
	defaultCooldownSeconds = 5
)

func (c *Commands) setDefaults() {
	if c.Chat == nil {
		c.Chat = new(true)
	}
	if c.PM == nil {
		c.PM = new(true)
	}
	if c.CooldownSeconds == nil {
		c.CooldownSeconds = new(defaultCooldownSeconds)
	}
	setDefault(&c.Prefix, DefaultCommandPrefix)
}

func (c *Commands) validate() error {
	return errors.Join(
		checkPattern("commands.prefix", c.Prefix),
		checkRange("commands.cooldownSeconds", *c.CooldownSeconds),
	)
}
