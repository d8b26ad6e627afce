package config

import (
	"errors"
	"fmt"
	"strings"
)

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

const defaultCooldownSeconds = 5

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
	var problems []error
	if len(c.Prefix) > 5 || strings.ContainsAny(c.Prefix, " \t\r\n") || strings.HasPrefix(c.Prefix, "/") {
		problems = append(problems, fmt.Errorf(
			"commands.prefix: %q, expected 1 to 5 characters without spaces that do not begin with '/'", c.Prefix))
	}
	if *c.CooldownSeconds < 0 || *c.CooldownSeconds > 3600 {
		problems = append(problems, fmt.Errorf(
			"commands.cooldownSeconds: %d, expected 0 to 3600", *c.CooldownSeconds))
	}
	return errors.Join(problems...)
}
