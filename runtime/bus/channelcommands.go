package bus

import "rosey.dev/rosey/runtime/status"

// CommandsGet returns the subject of the request for the ChannelCommands of a channel. The bot that leads in the
// channel replies, and no other: without one there is no responder. The body is ignored.
func CommandsGet(channel string) Suffix {
	return Suffix(channelToken + "." + ChannelToken(channel) + "." + commandsToken)
}

// AnyCommandsGet matches CommandsGet of every channel, for permissions to publish.
const AnyCommandsGet Suffix = channelToken + ".*." + commandsToken

const commandsToken = "commands"

// MaxChannelCommandsBytes bounds a ChannelCommands as JSON.
const MaxChannelCommandsBytes = 512 << 10

// ChannelCommands is the reply to CommandsGet: which commands there are at the moment, of the bot and of its plugins.
type ChannelCommands struct {
	// Success is always true. A reply without it is not from a bot.
	Success bool `json:"success"`

	Server  string `json:"server"`
	Channel string `json:"channel"`
	// Prefix is what a command in the chat begins with. Chat and PM report whether the bot executes commands that are
	// given in the chat, and by private message.
	Prefix string `json:"prefix"`
	Chat   bool   `json:"chat"`
	PM     bool   `json:"pm"`
	// Plugins are those that are configured, in this order.
	Plugins []status.PluginReport `json:"plugins"`
	// Commands are those that can be given, in the order of !help. Those that do not fit are left out: then More is true.
	Commands []OfferedCommand `json:"commands"`
	More     bool             `json:"more,omitempty"`
	// Overrides are what the owner of the bot has decided, ordered by command.
	Overrides []OverriddenCommand `json:"overrides"`
}

// OfferedCommand is a command as it is in force.
type OfferedCommand struct {
	// Plugin is whose command it is. Empty: the bot's.
	Plugin string `json:"plugin,omitempty"`
	// Name is what users type, in the chat after the prefix, and Aliases what they may type instead.
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"`
	// Usage, Help and Examples are as in PluginCommand.
	Usage    string   `json:"usage,omitempty"`
	Help     string   `json:"help,omitempty"`
	Examples []string `json:"examples,omitempty"`
	// Rank is the lowest rank of users who may give it.
	Rank     float64        `json:"rank"`
	Cooldown PluginCooldown `json:"cooldown,omitzero"`
	// Via are ViaChat, ViaPM or both.
	Via []string `json:"via"`
	// Available is false for a command of a plugin that does not answer.
	Available bool `json:"available"`
}

// OverriddenCommand is what the owner of the bot has decided about a command.
type OverriddenCommand struct {
	// Command is NAME or PLUGIN.NAME, as in the configuration.
	Command  string `json:"command"`
	Disabled bool   `json:"disabled,omitempty"`
	// Name is what users type. Empty: the command's own.
	Name string `json:"name,omitempty"`
	// Rank is nil if it is the command's own. So are the cooldowns, in seconds.
	Rank           *float64 `json:"rank,omitempty"`
	UserSeconds    *int     `json:"user_seconds,omitempty"`
	ChannelSeconds *int     `json:"channel_seconds,omitempty"`
	// Allow are registered users who may give it whatever their rank is, and Deny users who may not.
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
}
