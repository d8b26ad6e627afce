package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// CommandOverride is what the owner of a bot decides about a command, whatever the bot or a plugin declares.
type CommandOverride struct {
	// Disabled is true if nobody may give the command.
	Disabled bool `json:"disabled,omitempty"`
	// Name replaces the command's name. Empty: it keeps its own.
	Name string `json:"name,omitempty"`
	// Rank replaces the lowest rank of users who may give it. Nil: it keeps its own.
	Rank *float64 `json:"rank,omitempty"`
	// Allow are registered users who may give it whatever their rank is, and Deny users who may not.
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

// PluginProcess is what a process needs to know that is one plugin.
type PluginProcess struct {
	// Name is the name of the plugin in the channel: Plugin.Name in the bot's configuration. Empty: the one that the
	// program has.
	Name string `json:"name,omitempty"`
	// Settings is a directory with one file for each setting of the plugin, or a file with all of them. It is read while
	// the plugin runs.
	Settings string `json:"settings,omitempty"`
}

// Plugin is a plugin that the bot may call.
type Plugin struct {
	// Name is 1 to 30 lower-case letters and digits.
	Name string `json:"name"`
	// Builtin is the name of a plugin of this program. Empty: the plugin is a process of somebody else.
	Builtin string `json:"builtin,omitempty"`
	// Config is for the plugin: its keys are described there.
	Config map[string]string `json:"config,omitempty"`
	// Grants are what the plugin may do; see EffectiveGrants. Nil: what BuiltinGrants says for a built-in one, and nothing
	// for others.
	Grants *PluginGrants `json:"grants,omitempty"`
}

// PluginGrants are what a plugin may do beside answering calls.
type PluginGrants struct {
	// Events are the events of the feed that it gets, for example message.
	Events []string `json:"events,omitempty"`
	// Say lets it say lines by itself, and Queue put lines into the outbound queue.
	Say   bool `json:"say,omitempty"`
	Queue bool `json:"queue,omitempty"`
	// State are the parts of the channel's state for which it may ask: users, media, playlist, poll.
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

// EffectiveGrants returns what a plugin may do.
func (p Plugin) EffectiveGrants() PluginGrants {
	if p.Grants != nil {
		return *p.Grants
	}
	return BuiltinGrants(p.Builtin)
}

// Allows reports whether the grants have a verb, and the lowest rank of the user because of whose call it may be done.
// Nil: the plugin may do it by itself.
func (g PluginGrants) Allows(verb string) (rank *float64, granted bool) {
	at := slices.IndexFunc(g.Act, func(grant ActGrant) bool { return grant.Verb == verb })
	if at < 0 {
		return nil, false
	}
	return g.Act[at].Rank, true
}

// builtinGrants are what the plugins of this program need, by their names, and no more: the built-in ones of a channel
// share a NATS user, which has the sum of them.
var builtinGrants = map[string]PluginGrants{
	"countdown": {Say: true},
	"custom":    {Events: []string{"changeMedia", "user_join"}, Say: true},
	"dice":      {},
	"http":      {},
	// The state has the bot's name. It acts on nothing, whatever viewers make the model say.
	"llm": {Events: []string{"message"}, Say: true, State: []string{"media"}},
	// Votes, and what stands still, make it skip by itself.
	"playlist": {
		Events: []string{"changeMedia", "delete", "playlist", "queue", "queueFail", "setCurrent"}, Say: true,
		State: []string{"users", "media", "playlist"},
		Act: []ActGrant{
			{Verb: "playlist.add", Rank: new(1.0)}, {Verb: "playlist.skip"}, {Verb: "playlist.remove", Rank: new(2.0)},
			{Verb: "playlist.shuffle", Rank: new(2.0)},
		},
	},
	// A moderator opens a poll. The plugin closes it when its time is over, and adds the winner.
	"polls": {
		Say: true, State: []string{"poll"},
		Act: []ActGrant{
			{Verb: "poll.open", Rank: new(2.0)}, {Verb: "poll.close"}, {Verb: "playlist.add"},
		},
	},
	"quotes": {Events: []string{"message"}},
	"trivia": {Events: []string{"message"}, Say: true},
}

// BuiltinNames returns the names of the plugins of this program, sorted.
func BuiltinNames() []string { return slices.Sorted(maps.Keys(builtinGrants)) }

// BuiltinGrants returns what a plugin of this program may do unless its configuration says otherwise. A name that is
// none has no grants.
func BuiltinGrants(name string) PluginGrants { return builtinGrants[name] }

// validatePlugins is about what checkElements cannot check. path is that of the list.
func validatePlugins(path string, plugins []Plugin) error {
	var problems []error
	names := map[string]bool{}
	for i, plugin := range plugins {
		if names[plugin.Name] {
			problems = append(problems, &KeyError{Key: fmt.Sprintf("%s[%d].name", path, i),
				Problem: fmt.Sprintf("%q, expected a name that no other plugin has", plugin.Name)})
		}
		names[plugin.Name] = true
	}
	return errors.Join(problems...)
}
