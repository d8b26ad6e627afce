package config

// CommandOverride is what the owner of a bot decides about a command, whatever the bot or a plugin declares.
type CommandOverride struct {
	// Disabled is true if nobody may give the command.
	Disabled bool `json:"disabled,omitempty"`
	// Name replaces the command's name. Empty: it keeps its own.
	Name string `json:"name,omitempty"`
	// Rank replaces the lowest rank of users who may give it. Nil: it keeps its own.
	Rank *float64 `json:"rank,omitempty"`
	// Allow are users who may give it whatever their rank is, and Deny users who may not.
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
	// Cooldown replaces the command's. Nil: it keeps its own.
	Cooldown *CommandCooldown `json:"cooldown,omitempty"`
}

// CommandCooldown is how long a user, and the whole channel, wait between two calls of a command.
type CommandCooldown struct {
	UserSeconds    *int `json:"userSeconds,omitempty"`
	ChannelSeconds *int `json:"channelSeconds,omitempty"`
}

// Plugin is a plugin that the bot may call.
type Plugin struct {
	// Name is 1 to 30 lower-case letters and digits.
	Name string `json:"name"`
	// Builtin is the name of a plugin of this program. Empty: the plugin is a process of somebody else.
	Builtin string `json:"builtin,omitempty"`
	// Config is for the plugin: its keys are described there.
	Config map[string]string `json:"config,omitempty"`
	// Grants are what the plugin may do. Nil: what BuiltinGrants says for a built-in one, and nothing for others.
	Grants *PluginGrants `json:"grants,omitempty"`
}

// PluginGrants are what a plugin may do beside answering calls.
type PluginGrants struct {
	// Events are the events of the feed that it gets, for example message.
	Events []string `json:"events,omitempty"`
	// Say lets it say lines by itself, and Queue put lines into the outbound queue.
	Say   bool `json:"say,omitempty"`
	Queue bool `json:"queue,omitempty"`
	// State are the parts of the channel's state for which it may ask: users, media, playlist.
	State []string `json:"state,omitempty"`
	// Act are what it may do in the channel.
	Act []ActGrant `json:"act,omitempty"`
}

// ActGrant lets a plugin do something in the channel.
type ActGrant struct {
	// Verb is one of bus.PluginVerbs.
	Verb string `json:"verb"`
	// Rank is the lowest rank of the user because of whose call it does it. Nil: it may do it by itself.
	Rank *float64 `json:"rank,omitempty"`
}
