package natsauth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
)

// Plugin is a plugin in a channel.
type Plugin struct {
	// Channel is the name of the channel.
	Channel string `json:"channel"`
	Name    string `json:"name"`
	// Grants are what it may do beside answering calls.
	Grants config.PluginGrants `json:"grants"`
}

// Check returns an error unless subjects can be made of the plugin's names and grants. It names the field.
func (p Plugin) Check() error {
	switch {
	case p.Channel == "" || !strings.EqualFold(bus.ChannelToken(p.Channel), p.Channel):
		return fmt.Errorf("channel: %q, expected at most 64 letters, digits, '-' and '_'", p.Channel)
	case !bus.IsPluginName(p.Name):
		return fmt.Errorf("name: %q, expected 1 to %d lower-case letters and digits", p.Name, bus.MaxPluginName)
	}
	for _, event := range p.Grants.Events {
		if event == "" || bus.SubjectToken(event) != event {
			return fmt.Errorf("grants.events: %q, expected an event of the feed, for example message", event)
		}
	}
	for _, thing := range p.Grants.State {
		if !slices.Contains(bus.PluginThings, bus.PluginThing(thing)) {
			return fmt.Errorf("grants.state: %q, expected one of %s", thing, listed(bus.PluginThings))
		}
	}
	for _, act := range p.Grants.Act {
		if !slices.Contains(bus.PluginVerbs, bus.PluginVerb(act.Verb)) {
			return fmt.Errorf("grants.act.verb: %q, expected one of %s", act.Verb, listed(bus.PluginVerbs))
		}
	}
	return nil
}

func listed[T ~string](values []T) string {
	var names []string
	for _, value := range values {
		names = append(names, string(value))
	}
	return strings.Join(names, ", ")
}

// CheckPlugins checks the plugins of one channel. Its errors begin with "plugins".
func CheckPlugins(plugins []Plugin) error {
	if len(plugins) > bus.MaxPlugins {
		return fmt.Errorf("plugins: %d, expected at most %d", len(plugins), bus.MaxPlugins)
	}
	seen := map[string]bool{}
	for i, plugin := range plugins {
		if err := plugin.Check(); err != nil {
			return fmt.Errorf("plugins[%d].%w", i, err)
		}
		if seen[plugin.Name] {
			return fmt.Errorf("plugins[%d].name: %q is there twice", i, plugin.Name)
		}
		seen[plugin.Name] = true
	}
	return nil
}

// plugins returns the grants of a user of plugins: of one, or of all that a host runs.
func (o Options) plugins() (grants []Grant) {
	for _, plugin := range o.Plugins {
		subjects, err := o.Subjects.Plugin(plugin.Channel, plugin.Name)
		if err == nil { // otherwise Check says why
			grants = append(grants, plugin.grants(o, subjects)...)
		}
	}
	return grants
}

func (p Plugin) grants(o Options, s bus.PluginSubjects) []Grant {
	group, about := s.QueueGroup(), " ("+p.Name+")"
	discovery := Grant{Why: "discovery by the bot, which asks for it alone" + about}
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		subject := "$SRV." + verb + "." + s.ServiceName()
		discovery.Subscribe = append(discovery.Subscribe, subject, subject+".>")
	}
	grants := []Grant{
		{Why: "replies" + about, Subscribe: []string{s.InboxPrefix() + ".>"}},
		{Why: "calls, in the plugin's queue group alone, and one reply to each" + about,
			Subscribe: inGroup([]string{s.AllCalls()}, group), Responses: oneReply()},
		{Why: "that nobody waits for an answer any more" + about, Subscribe: []string{s.Cancel()}},
		discovery,
		{Why: "lines, because of a call or with the grant say, lines that it takes as commands, and that it begins or ends" +
			about, Publish: []string{s.Say(), s.Take(), s.Hello(), s.Bye()}},
		{Why: "its keys in the database" + about, Publish: []string{s.AnyKV()}},
	}
	granted := Grant{Why: "what is granted" + about}
	if p.Grants.Queue {
		granted.Publish = append(granted.Publish, s.Queue())
	}
	for _, thing := range p.Grants.State {
		granted.Publish = append(granted.Publish, s.State(bus.PluginThing(thing)))
	}
	for _, act := range p.Grants.Act {
		granted.Publish = append(granted.Publish, s.Act(bus.PluginVerb(act.Verb)))
	}
	for _, event := range p.Grants.Events {
		granted.Subscribe = append(granted.Subscribe, o.Subjects.Subject(bus.FeedEvents(p.Channel, event)))
	}
	if granted.Subscribe = inGroup(granted.Subscribe, group); len(granted.Publish)+len(granted.Subscribe) > 0 {
		grants = append(grants, granted)
	}
	return grants
}

// PluginUser is a user for plugins of a RoseyBot.
type PluginUser struct {
	// Name is that of the plugin, or hostUser.
	Name string
	// Secret is the name of the Secret with its credentials. Empty: the RoseyBot names none.
	Secret  string
	Plugins []Plugin
}

// hostUser is the PluginUser.Name of the host of the plugins that are built in. It is no name of a plugin.
const hostUser = "plugin-host"

// isHost reports whether the user is that of the host.
func (u PluginUser) isHost() bool { return u.Name == hostUser }

// secretField returns the field of a RoseyBot that names the Secret.
func (u PluginUser) secretField() string {
	if u.isHost() {
		return "spec.pluginHost.natsCredentialsSecretRef.name"
	}
	return "spec.plugins[" + u.Name + "].natsCredentialsSecretRef.name"
}

// defaultSecret returns the name of the Secret if the RoseyBot names none.
func (u PluginUser) defaultSecret(bot Bot) string {
	if u.isHost() {
		return bot.Name + "-nats-plugins"
	}
	return bot.Name + "-nats-plugin-" + u.Name
}

// Role returns the name of the user within the account of a RoseyBot: plugins, or plugin_NAME.
func (u PluginUser) Role() string {
	if u.isHost() {
		return "plugins"
	}
	return string(bus.PluginRole) + "_" + u.Name
}

// PluginUsers returns the users for plugins of a channel: one for those that are built in, and one for each other.
func PluginUsers(channel string, plugins []config.Plugin) (users []PluginUser, err error) {
	host := PluginUser{Name: hostUser}
	var all []Plugin
	for _, configured := range plugins {
		plugin := Plugin{Channel: channel, Name: configured.Name, Grants: configured.EffectiveGrants()}
		all = append(all, plugin)
		if configured.Builtin != "" {
			host.Plugins = append(host.Plugins, plugin)
			continue
		}
		users = append(users, PluginUser{Name: plugin.Name, Plugins: []Plugin{plugin}})
	}
	if len(host.Plugins) > 0 {
		users = slices.Insert(users, 0, host)
	}
	return users, CheckPlugins(all)
}

// pluginsManifest is what is read of the plugins of a RoseyBot.
type pluginsManifest struct {
	Plugins []struct {
		config.Plugin

		NATSCredentialsSecretRef *refField `json:"natsCredentialsSecretRef"`
	} `json:"plugins"`
	PluginHost *struct {
		NATSCredentialsSecretRef *refField `json:"natsCredentialsSecretRef"`
	} `json:"pluginHost"`
}

// readPlugins reads spec.plugins and spec.pluginHost.
func (m manifest) readPlugins(b *Bot) (err error) {
	var plugins []config.Plugin
	secrets := map[string]string{}
	for _, plugin := range m.Spec.Plugins {
		plugins = append(plugins, plugin.Plugin)
		secrets[plugin.Name] = plugin.NATSCredentialsSecretRef.name()
	}
	if host := m.Spec.PluginHost; host != nil {
		secrets[hostUser] = host.NATSCredentialsSecretRef.name()
	}
	if b.Plugins, err = PluginUsers(m.Spec.Channel.Name, plugins); err != nil {
		return fmt.Errorf("spec.%w", err)
	}
	for i := range b.Plugins {
		user := &b.Plugins[i]
		user.Secret = secrets[user.Name]
		switch {
		case user.Secret == "":
		case !isSecretName(user.Secret):
			return fmt.Errorf("%s: %q, expected the name of a Secret", user.secretField(), user.Secret)
		case user.Secret == b.BotSecret || user.Secret == b.ServiceSecret:
			return fmt.Errorf("%s: %q, expected another Secret than those of bot and database service", user.secretField(),
				user.Secret)
		}
	}
	return nil
}

// checkChannels returns an error if two RoseyBots in one account have plugins in channels of one name: their subjects
// would be the same.
func checkChannels(bots []Bot) error {
	type place struct{ owner, channel string }
	taken := map[place]Bot{}
	for _, bot := range bots {
		for _, user := range bot.Plugins {
			here := place{bot.owner(), bus.ChannelToken(user.Plugins[0].Channel)}
			if other, ok := taken[here]; ok && other.ID() != bot.ID() {
				return fmt.Errorf("RoseyBots %s and %s: both have plugins in a channel %s, expected one, because they use the "+
					"same subjects (sharedFrom)", other.ID(), bot.ID(), here.channel)
			}
			taken[here] = bot
		}
	}
	return nil
}

// samePlugins reports whether lists have the same plugins with the same grants.
func samePlugins(a, b []Plugin) bool {
	one, errOne := json.Marshal(a) // which does not tell an empty list from none
	other, errOther := json.Marshal(b)
	return errOne == nil && errOther == nil && bytes.Equal(one, other)
}

// addPluginUsers adds the users of the plugins of a RoseyBot.
func (r *run) addPluginUsers(wanted map[string]User, bot Bot) {
	for _, plugins := range bot.Plugins {
		if plugins.Secret == "" {
			r.issued.Unset = append(r.issued.Unset, fmt.Sprintf("%s: set %s to %s", bot.ID(), plugins.secretField(),
				plugins.defaultSecret(bot)))
		}
		wanted[accountName(bot)+"_"+plugins.Role()] = User{
			Bot: bot.ID(), Roles: []bus.Role{bus.PluginRole}, Plugins: plugins.Plugins,
			Secret: cmp.Or(plugins.Secret, plugins.defaultSecret(bot)),
		}
	}
}
